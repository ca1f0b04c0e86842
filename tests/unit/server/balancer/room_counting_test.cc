// A threshold passes empty buckets at no cost: nobody is let in while those who wait are not counted.
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "quota/coordination/front_door_announcement.h"
#include "quota/coordination/room_announcements.h"
#include "server/admission/door_rooms.h"
#include "server/admission/room_rank.h"
#include "tests/unit/server/balancer/room_keeper_fixture.h"

namespace tranche::server {
namespace {

using internal::v1::RoomBoards;

constexpr int64_t kShorterPoll = 2, kLongerPoll = 10;
// How long a change between the two holds the room, in ticks.
const int kTicksToCount = static_cast<int>(
    (RoomKeeper::kNodesFollow + RoomKeeper::kIntervalsToCount * absl::Seconds(kLongerPoll)) / kKeeperTick);

class RoomCountingTest : public RoomKeeperFixture {
 protected:
  // It is known at the next look.
  void NoteChange() { ASSERT_TRUE(quota::AnnounceFrontDoor(*nodes_, ++announced_).ok()); }
  void SetPoll(int64_t seconds) {
    v1::FrontPolicy policy = KeptRoomPolicy(100);
    policy.mutable_room()->mutable_poll_interval()->set_seconds(seconds);
    SetDocument("tv", ToDocument(policy), storage::kEverybody);
    NoteChange();
  }
  void SetMode(storage::ServiceMode::Kind kind) {
    ASSERT_TRUE(ledger_.SetServiceMode({.kind = kind}, /*preview=*/false, "test").ok());
    NoteChange();
  }
  // 5,000 wait, and have been let in for a while.
  void LetInForAWhile(int64_t poll_s) {
    SetPoll(poll_s);
    Wait(1, 5000);
    Settle();
    Ticks(4);
    ASSERT_GT(Board().threshold(), 0u);
    ASSERT_EQ(Board().held(), RoomBoards::HELD_UNSPECIFIED);
  }
  void ExpectHeldFor(int ticks) {
    const uint64_t threshold = Board().threshold();
    for (int i = 0; i < ticks; ++i) {
      Ticks(1);
      ASSERT_EQ(Board().threshold(), threshold) << "after " << i << " ticks";
      ASSERT_EQ(Board().held(), RoomBoards::HELD_COUNTING) << "after " << i << " ticks";
    }
  }
  // At its rate, and nobody's turn is passed over.
  void ExpectGoesOn() {
    const uint64_t threshold = Board().threshold();
    Ticks(6);
    EXPECT_GT(Board().threshold(), threshold);
    EXPECT_LT(Board().threshold(), kFirstLateRank);
    EXPECT_EQ(Board().held(), RoomBoards::HELD_UNSPECIFIED);
  }
  void ExpectCountedAnew(int64_t from_poll_s, int64_t to_poll_s) {
    LetInForAWhile(from_poll_s);
    SetPoll(to_poll_s);
    // Nodes forget those who were told to come later.
    Wait(1, 10);
    ExpectHeldFor(kTicksToCount - 1);
    Wait(1, 5000);
    ExpectHeldFor(1);
    ExpectGoesOn();
  }

  int64_t announced_ = 100;
};

TEST_F(RoomCountingTest, WhoBeginsToLeadWaitsUntilAllNodesHaveReported) {
  OpenRoom("tv", 100);
  Wait(1, 10);
  ExpectHeldFor(15);
  EXPECT_EQ(Counted(), 10u) << "what is known is told";
  EXPECT_EQ(Board().let_in_per_s(), 0);
  Wait(2, 5000);
  ExpectHeldFor(5);
  ExpectGoesOn();
  leads_ = false;
  Ticks(1);
  leads_ = true;
  ExpectHeldFor(20);
  ExpectGoesOn();
}

TEST_F(RoomCountingTest, ARoomThatIsOpenedMeanwhileNeedNotWait) {
  Settle();
  SetPoll(kLongerPoll);
  Wait(1, 5000);
  Ticks(1);
  EXPECT_NE(Board().held(), RoomBoards::HELD_COUNTING);
  ExpectGoesOn();
}

TEST_F(RoomCountingTest, AfterAShorterPollIntervalAllAreCountedFirst) { ExpectCountedAnew(kLongerPoll, kShorterPoll); }

TEST_F(RoomCountingTest, AfterALongerPollIntervalAllAreCountedFirst) { ExpectCountedAnew(kShorterPoll, kLongerPoll); }

TEST_F(RoomCountingTest, TheNextLeaderCountsToTheEnd) {
  LetInForAWhile(kLongerPoll);
  SetPoll(kShorterPoll);
  Ticks(2);
  leads_ = false;
  Ticks(1);
  leads_ = true;
  ExpectHeldFor(kTicksToCount - 3);
  ExpectGoesOn();
}

TEST_F(RoomCountingTest, WhileNobodyMayClaimNobodyIsLetIn) {
  LetInForAWhile(kShorterPoll);
  const uint64_t threshold = Board().threshold();
  for (const auto kind : {storage::ServiceMode::Kind::kChangesOnly, storage::ServiceMode::Kind::kReadOnly}) {
    SetMode(kind);
    Ticks(10);
    EXPECT_EQ(Board().threshold(), threshold);
    EXPECT_EQ(Board().held(), RoomBoards::HELD_NOT_OPEN);
  }
  SetMode(storage::ServiceMode::Kind::kNormal);
  ExpectGoesOn();
}

TEST_F(RoomCountingTest, AfterASilenceOfZookeeperAllReportFirst) {
  LetInForAWhile(kShorterPoll);
  const auto silence = [&](absl::Duration lasts) {
    zookeeper_.SetDown(true);
    for (absl::Duration passed; passed < lasts; passed += kKeeperTick) {
      EXPECT_FALSE(keeper_.Tick().ok());
      clock_.AdvanceBy(kKeeperTick);
    }
    zookeeper_.SetDown(false);
  };
  silence(absl::Seconds(5));
  ExpectGoesOn();
  silence(absl::Seconds(11));
  ExpectHeldFor(20);
  ExpectGoesOn();
  clock_.AdvanceBy(absl::Seconds(30));
  ExpectGoesOn();
  EXPECT_GT(Counted(), 1000u) << "a ledger that keeps the process waiting is no silence of the nodes";
}

TEST_F(RoomCountingTest, WithANewSessionAllReportFirst) {
  LetInForAWhile(kShorterPoll);
  sessions_.session = *connector_.Connect(&observer_);
  ExpectHeldFor(20);
  ExpectGoesOn();
}

TEST_F(RoomCountingTest, WhoWasAtANodeThatVanishesCountsForAWhile) {
  OpenRoom("tv", 0);
  Wait(1, 300);
  Wait(2, 200);
  Ticks(4);
  reports_.erase(2);
  ASSERT_TRUE(quota::DeleteRoomReport(*nodes_, 2).ok());
  Ticks(18);
  EXPECT_EQ(Counted(), 500u) << "they come to other nodes, one after the other";
  Ticks(4);
  EXPECT_EQ(Counted(), 300u);
}

TEST_F(RoomCountingTest, ARoomThatWasOneTooManyIsCountedFirst) {
  for (int i = 0; i < kMostRooms; ++i) OpenRoom(absl::StrCat("sku-", 100 + i), 100);
  SetPoll(kLongerPoll);
  Wait(1, 10);
  Settle();
  Ticks(20);
  ASSERT_EQ(Board().round(), 0) << "it is not paced";
  SetDocument("sku-100", "", std::nullopt);
  NoteChange();
  ExpectHeldFor(kTicksToCount - 1);
  Wait(1, 5000);
  ExpectHeldFor(1);
  ExpectGoesOn();
}

TEST_F(RoomCountingTest, RanksThatOnlyAWrongClockCanHaveMadeAreNotCounted) {
  OpenRoom("tv", 0);
  const absl::Time now = clock_.Now();
  const auto report = [&](storage::IncarnationId node, absl::Time joined_at) {
    Wait(node, 0);
    RoomCounts counts;
    counts.Add(LateRank(joined_at), 50);
    *reports_[node].mutable_rooms(0)->mutable_waiting() = counts.ToMessage();
  };
  report(1, now);
  report(2, now + absl::Hours(24 * 100));
  report(3, now - absl::Hours(24 * 100));
  report(4, now + absl::Seconds(20));
  Ticks(1);
  EXPECT_EQ(Counted(), 100u);
  EXPECT_EQ(Board().waiting().late_width_s(), 1) << "the order of the others is kept";
}

}  // namespace
}  // namespace tranche::server
