// Which draws wait for a worker, and since when.
#include "server/handlers/draw_watch.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DrawWatchTest : public ::testing::Test {
 protected:
  // A draw that is drawn, with ten places of which none was given.
  storage::Draw DrawOf(const std::string& sku_id) const {
    storage::Draw draw;
    draw.key = {sku_id, 1};
    draw.state = storage::DrawState::kDrawn;
    draw.winners = 10;
    draw.entries = 100;
    draw.created_at = kNow;
    return draw;
  }
  // "tv 5", ...: what waits, and for how many seconds.
  std::vector<std::string> Waiting(const std::vector<storage::Draw>& draws, absl::Duration since_now) {
    std::vector<std::string> told;
    for (const v1::WaitingDraw& draw : watch_.Waiting("home", draws, kNow + since_now)) {
      told.push_back(absl::StrCat(draw.sku_id(), " ", draw.waiting_for().seconds()));
    }
    return told;
  }

  const absl::Time kNow = absl::FromUnixSeconds(1'795'788'000);
  DrawWatch watch_;
};

TEST_F(DrawWatchTest, AListAndRanksWaitSinceTheLedgerSays) {
  storage::Draw closing = DrawOf("tv");
  closing.state = storage::DrawState::kClosing;
  closing.closed_at = kNow - absl::Seconds(20);
  storage::Draw seeded = DrawOf("desk");
  seeded.state = storage::DrawState::kSeeded;
  seeded.closed_at = kNow - absl::Hours(1);
  seeded.seeded_at = kNow - absl::Seconds(30);
  EXPECT_THAT(Waiting({closing, seeded}, absl::ZeroDuration()), ElementsAre("desk 30", "tv 20"));
  EXPECT_EQ(watch_.Waiting("home", {closing}, kNow).front().state(), v1::Draw::STATE_CLOSING);
  EXPECT_THAT(Waiting({closing}, -absl::Hours(1)), ElementsAre("tv 0")) << "the clocks differ";
}

TEST_F(DrawWatchTest, FreePlacesWaitSinceTheyWereSeen) {
  storage::Draw draw = DrawOf("tv");
  EXPECT_THAT(Waiting({draw}, absl::ZeroDuration()), ElementsAre("tv 0"));
  EXPECT_THAT(Waiting({draw}, absl::Seconds(5)), ElementsAre("tv 5"));
  draw.pending = 4;
  EXPECT_THAT(Waiting({draw}, absl::Seconds(6)), ElementsAre("tv 0")) << "some were given";
  draw.pending = 2;
  draw.confirmed = 2;
  EXPECT_THAT(Waiting({draw}, absl::Seconds(8)), ElementsAre("tv 2")) << "payments give no place";
  draw.pending = 8;
  EXPECT_THAT(Waiting({draw}, absl::Seconds(9)), IsEmpty()) << "all are given";
  draw.pending = 7;
  draw.lapsed = 1;
  EXPECT_THAT(Waiting({draw}, absl::Seconds(20)), ElementsAre("tv 0")) << "one lapsed just now";
}

TEST_F(DrawWatchTest, WithoutEntriesLeftNothingWaits) {
  storage::Draw draw = DrawOf("tv");
  draw.entries = 7;
  draw.confirmed = 6;
  draw.lapsed = 1;
  EXPECT_THAT(Waiting({draw}, absl::ZeroDuration()), IsEmpty());
  draw.state = storage::DrawState::kClosed;
  draw.confirmed = 0;
  EXPECT_THAT(Waiting({draw}, absl::ZeroDuration()), IsEmpty()) << "an operator has the seed";
}

TEST_F(DrawWatchTest, AFewAreTold) {
  std::vector<storage::Draw> draws;
  for (int i = 0; i < 30; ++i) draws.push_back(DrawOf(absl::StrCat("sku-", i)));
  Waiting({draws.back()}, absl::ZeroDuration());
  const std::vector<std::string> told = Waiting(draws, absl::Seconds(5));
  EXPECT_THAT(told, SizeIs(DrawWatch::kMostTold));
  EXPECT_EQ(told.front(), "sku-29 5") << "the longest wait first";
}

}  // namespace
}  // namespace tranche::server
