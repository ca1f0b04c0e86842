#include "server/handlers/lottery_round_handler.h"

#include <gmock/gmock.h>

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/proto_time.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class LotteryRoundHandlerTest : public ::testing::Test {
 protected:
  // Adds it in front, as the newest.
  void Add(const std::string& policy_sku_id, int64_t number, absl::Time started_at, bool ended) {
    storage::LotteryRound round;
    round.policy_sku_id = policy_sku_id;
    round.number = number;
    round.key = "secret-of-" + policy_sku_id;
    round.commitment = "hash-of-" + policy_sku_id;
    round.admitted_per_million = 100'000;
    round.started_at = started_at;
    if (ended) round.ended_at = started_at + absl::Minutes(1);
    auto& rounds = stored_[policy_sku_id];
    rounds.insert(rounds.begin(), round);
  }
  absl::StatusOr<v1::ListLotteryRoundsResponse> List(const std::string& sku_id = "tv") {
    v1::ListLotteryRoundsRequest request;
    request.set_sku_id(sku_id);
    absl::StatusOr<v1::ListLotteryRoundsResponse> result = absl::InternalError("not answered");
    handler_.List(request, absl::InfiniteFuture(),
                  [&](absl::StatusOr<v1::ListLotteryRoundsResponse> response) { result = std::move(response); });
    return result;
  }

  storage::FakeClock clock_;
  std::map<std::string, LotteryRoundHandler::Rounds> stored_;
  bool fails_ = false;
  int reads_ = 0;
  LotteryRoundHandler handler_{[this](const std::string& policy_sku_id, auto done) {
                                 ++reads_;
                                 if (fails_) return done(absl::UnavailableError("down"));
                                 done(stored_[policy_sku_id]);
                               },
                               &clock_};
};

TEST_F(LotteryRoundHandlerTest, ASkuHasTheRoundsOfItsOwnPolicyAndOfThatOfAllSkus) {
  Add("tv", 1, clock_.Now(), /*ended=*/true);
  Add("*", 4, clock_.Now() + absl::Hours(1), /*ended=*/true);
  Add("tv", 2, clock_.Now() + absl::Hours(2), /*ended=*/false);
  Add("radio", 9, clock_.Now(), /*ended=*/true);
  const auto listed = List();
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->rounds_size(), 3);
  EXPECT_EQ(listed->rounds(0).round(), 2) << "the newest first";
  EXPECT_EQ(listed->rounds(0).policy_sku_id(), "tv");
  EXPECT_EQ(listed->rounds(1).round(), 4);
  EXPECT_EQ(listed->rounds(1).policy_sku_id(), "*");
  EXPECT_EQ(listed->rounds(2).round(), 1);
  EXPECT_EQ(listed->rounds(2).commitment(), "hash-of-tv");
  EXPECT_EQ(listed->rounds(2).admitted_per_million(), 100'000);
  EXPECT_EQ(FromTimestamp(listed->rounds(2).start_time()), clock_.Now());
}

TEST_F(LotteryRoundHandlerTest, TheKeyIsToldOnceTheRoundHasEnded) {
  Add("tv", 1, clock_.Now(), /*ended=*/false);
  const auto running = List();
  ASSERT_TRUE(running.ok()) << running.status();
  EXPECT_FALSE(running->rounds(0).has_end_time());
  EXPECT_THAT(running->SerializeAsString(), Not(HasSubstr("secret")));
  stored_["tv"][0].ended_at = clock_.Now();
  clock_.AdvanceBy(absl::Seconds(2));
  const auto ended = List();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->rounds(0).key(), "secret-of-tv");
  EXPECT_TRUE(ended->rounds(0).has_end_time());
}

TEST_F(LotteryRoundHandlerTest, AtMostAHundredAreTold) {
  for (int i = 0; i < 80; ++i) Add("tv", i, clock_.Now(), /*ended=*/true);
  for (int i = 0; i < 80; ++i) Add("*", i, clock_.Now(), /*ended=*/true);
  EXPECT_EQ(List()->rounds_size(), 100);
}

TEST_F(LotteryRoundHandlerTest, TheLedgerIsReadOnceASecond) {
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(List().ok());
  EXPECT_EQ(reads_, 2) << "the SKU's own, and those of all";
  EXPECT_TRUE(List("radio").ok());
  EXPECT_EQ(reads_, 3);
}

TEST_F(LotteryRoundHandlerTest, WhoComesWhileTooManyWaitIsToldAtOnce) {
  LotteryRoundHandler::RoundCache::ReadDone read;
  LotteryRoundHandler slow(
      [&](const std::string&, LotteryRoundHandler::RoundCache::ReadDone done) { read = std::move(done); }, &clock_);
  v1::ListLotteryRoundsRequest request;
  request.set_sku_id("tv");
  size_t answered = 0;
  absl::Status last;
  const auto list = [&] {
    slow.List(request, absl::InfiniteFuture(), [&](const absl::StatusOr<v1::ListLotteryRoundsResponse>& response) {
      ++answered;
      last = response.status();
    });
  };
  for (size_t i = 0; i < LotteryRoundHandler::kMaxWaiting; ++i) list();
  EXPECT_EQ(answered, 0u);
  list();
  EXPECT_EQ(answered, 1u);
  EXPECT_EQ(ReasonOf(last), "OVERLOADED");
  auto own = std::move(read);
  own(absl::UnavailableError("down"));
  EXPECT_EQ(answered, 1 + LotteryRoundHandler::kMaxWaiting);
}

TEST_F(LotteryRoundHandlerTest, ErrorsAreTold) {
  EXPECT_EQ(ReasonOf(List("*").status()), "SKU_ID_MALFORMED");
  fails_ = true;
  EXPECT_EQ(ReasonOf(List().status()), "LEDGER_UNAVAILABLE");
}

}  // namespace
}  // namespace tranche::server
