// How waiting rooms are kept: who counts, what is announced, and what a new leader goes on from.
#include "server/balancer/room_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "quota/coordination/front_door_announcement.h"
#include "server/admission/door_rooms.h"
#include "server/admission/room_rank.h"
#include "server/balancer/room_metrics.h"
#include "tests/unit/server/balancer/room_keeper_fixture.h"
#include "tests/unit/server/metrics/metric_values.h"

namespace tranche::server {
namespace {

using internal::v1::RoomBoards;
using ::testing::IsEmpty;
using ::testing::Optional;

class RoomKeeperTest : public RoomKeeperFixture {
 protected:
  void Announce(int64_t round, uint64_t threshold) {
    RoomBoards boards;
    RoomBoards::Room* const room = boards.add_rooms();
    room->set_sku_id("tv");
    room->set_round(round);
    room->set_threshold(threshold);
    ASSERT_TRUE(quota::WriteRoomBoards(*nodes_, boards).ok());
  }
};

// Its ZooKeeper server may lag, or the one that led before may write once more: nodes that have read a threshold let
// buyers in whom others would keep waiting.
TEST_F(RoomKeeperTest, NeverAnnouncesLessThanWasAnnounced) {
  OpenRoom("tv", 0);
  Wait(1, 100);
  Settle();
  ASSERT_EQ(Board().threshold(), 0u);
  constexpr uint64_t kAnnouncedByAnother = uint64_t{1} << 60;
  Announce(1, kAnnouncedByAnother);
  for (int i = 0; i < 12; ++i) {
    Ticks(1);
    ASSERT_EQ(Board().threshold(), kAnnouncedByAnother);
  }
}

TEST_F(RoomKeeperTest, WithoutRoomsItAnnouncesAndAsksNothing) {
  Ticks(30);
  EXPECT_EQ(BoardWrites(), 0);
  EXPECT_EQ(asked_, 0);
  EXPECT_THAT(keeper_.Boards()->rooms(), IsEmpty());
}

TEST_F(RoomKeeperTest, LetsInWhoWaitsAtWhicheverNode) {
  OpenRoom("tv", 100);
  Wait(1, 3000);
  Wait(2, 2000);
  Wait(3, 500, /*round=*/2);
  Ticks(1);
  EXPECT_EQ(Counted(), 5000u) << "those of a round that does not run count for nobody";
  EXPECT_EQ(Board().round(), 1);
  Settle();
  uint64_t threshold = Board().threshold();
  for (int i = 0; i < 10; ++i) {
    Ticks(1);
    EXPECT_GE(Board().threshold(), threshold);
    threshold = Board().threshold();
  }
  EXPECT_GT(threshold, 0u);
  EXPECT_LT(threshold, kFirstLateRank) << "not all 5,000 in five seconds at 100 a second";
  EXPECT_EQ(Board().held(), RoomBoards::HELD_UNSPECIFIED);
}

TEST_F(RoomKeeperTest, ANodeThatHangsIsNotWaitedFor) {
  OpenRoom("tv", 0);
  Wait(1, 300);
  Wait(2, 200);
  Ticks(4);
  hung_.insert(2);
  Ticks(18);
  EXPECT_EQ(Counted(), 500u);
  Ticks(4);
  EXPECT_EQ(Counted(), 300u);
  hung_.clear();
  Ticks(1);
  EXPECT_EQ(Counted(), 500u);
}

TEST_F(RoomKeeperTest, GoesOnFromTheThresholdThatItFinds) {
  OpenRoom("tv", 0);
  Announce(1, 12345);
  Ticks(1);
  EXPECT_EQ(Board().threshold(), 12345u);
  Settle();
  EXPECT_EQ(Board().threshold(), 12345u);
  EXPECT_EQ(Board().held(), RoomBoards::HELD_RATE_ZERO);
}

TEST_F(RoomKeeperTest, WhatIsAnnouncedOfAnotherRoundIsOver) {
  OpenRoom("tv", 0);
  Announce(7, 12345);
  Ticks(1);
  EXPECT_EQ(Board().round(), 1);
  EXPECT_EQ(Board().threshold(), 0u);
}

TEST_F(RoomKeeperTest, NobodyWhoComesLaterIsLetInByAThresholdThatSomebodyWrote) {
  OpenRoom("tv", 0);
  Announce(1, std::numeric_limits<uint64_t>::max());
  const uint64_t now = LateRank(clock_.Now());
  Ticks(1);
  EXPECT_EQ(Board().threshold(), now);
}

TEST_F(RoomKeeperTest, ANewRoundBeginsAtItsBeginning) {
  OpenRoom("tv", 1000);
  Wait(1, 3000);
  Settle();
  Ticks(10);
  EXPECT_GT(Board().threshold(), 0u);
  OpenRoom("tv", 0, /*new_round=*/true);
  Ticks(11);
  EXPECT_EQ(Board().round(), 2);
  EXPECT_EQ(Board().threshold(), 0u);
  EXPECT_EQ(Counted(), 0u) << "they wait in the round before";
}

TEST_F(RoomKeeperTest, OnlyALeaderAnnounces) {
  OpenRoom("tv", 100);
  Wait(1, 100);
  leads_ = false;
  Ticks(20);
  EXPECT_EQ(BoardWrites(), 0);
  EXPECT_EQ(asked_, 0);
  EXPECT_EQ(keeper_.Boards(), nullptr);
  leads_ = true;
  Ticks(1);
  EXPECT_EQ(Board().round(), 1);
  ASSERT_NE(keeper_.Boards(), nullptr);
  // Another leads meanwhile, and has come further.
  leads_ = false;
  Ticks(1);
  Announce(1, uint64_t{1} << 60);
  leads_ = true;
  Ticks(1);
  EXPECT_GE(Board().threshold(), uint64_t{1} << 60);
}

TEST_F(RoomKeeperTest, TheLedgerIsAskedOnceASecond) {
  OpenRoom("tv", 0);
  Ticks(20);
  EXPECT_GE(asked_, 9);
  EXPECT_LE(asked_, 11);
  sale_ = absl::UnavailableError("down");
  Ticks(2);
  asked_ = 0;
  Ticks(18);
  EXPECT_GE(asked_, 2);
  EXPECT_LE(asked_, 4) << "a ledger that is down is left alone for a while";
}

TEST_F(RoomKeeperTest, WithoutAnAnswerOfTheLedgerNobodyIsLetIn) {
  OpenRoom("tv", 100);
  Wait(1, 5000);
  Settle();
  Ticks(6);
  EXPECT_GT(Board().threshold(), 0u);
  sale_ = absl::UnavailableError("down");
  Ticks(2);
  const uint64_t threshold = Board().threshold();
  Ticks(20);
  EXPECT_EQ(Board().threshold(), threshold);
  EXPECT_EQ(Board().held(), RoomBoards::HELD_LEDGER_SILENT);
  SetSale(/*open=*/true, 100'000);
  Ticks(8);
  EXPECT_GT(Board().threshold(), threshold);
}

TEST_F(RoomKeeperTest, WhatNoShardHasIsNotOpen) {
  OpenRoom("tv", 100);
  Wait(1, 100);
  sale_ = std::optional<RoomSale>();
  Settle();
  EXPECT_EQ(Board().held(), RoomBoards::HELD_NOT_OPEN);
  EXPECT_EQ(Board().threshold(), 0u);
}

TEST_F(RoomKeeperTest, WhoHasNotReadThePoliciesAnnouncesNothing) {
  Announce(1, 12345);
  const int32_t writes = BoardWrites();
  ledger_.FailNext(1);
  EXPECT_FALSE(Tick().ok());
  EXPECT_EQ(BoardWrites(), writes) << "that it knows of no rooms is not the same as that there are none";
  OpenRoom("tv", 0);
  Ticks(2);
  EXPECT_EQ(Board().threshold(), 12345u);
}

TEST_F(RoomKeeperTest, WithoutTheFrontLedgerThePoliciesThatAreKnownHold) {
  OpenRoom("tv", 100);
  Wait(1, 5000);
  Settle();
  const uint64_t threshold = Board().threshold();
  ledger_.FailNext(1000);
  for (int i = 0; i < 12; ++i) Tick().IgnoreError();
  EXPECT_GT(Board().threshold(), threshold);
}

TEST_F(RoomKeeperTest, APolicyThatIsAnnouncedIsReadAtOnce) {
  Ticks(3);
  OpenRoom("tv", 100);
  Ticks(1);
  EXPECT_EQ(Board().round(), 0) << "it has just looked";
  ASSERT_TRUE(quota::AnnounceFrontDoor(*nodes_, 99).ok());
  Ticks(1);
  EXPECT_EQ(Board().round(), 1);
  const int calls = ledger_.calls();
  Ticks(10);
  EXPECT_LE(ledger_.calls() - calls, 2) << "otherwise it looks every five seconds";
}

TEST_F(RoomKeeperTest, WhatHasNotChangedIsWrittenNowAndThen) {
  OpenRoom("tv", 0);
  Settle();
  const int32_t writes = BoardWrites();
  Ticks(40);
  EXPECT_GE(BoardWrites() - writes, 3) << "others must see that somebody keeps the room";
  EXPECT_LE(BoardWrites() - writes, 5);
}

TEST_F(RoomKeeperTest, ARoomThatIsRemovedIsAnnouncedNoMore) {
  OpenRoom("tv", 100);
  Ticks(1);
  EXPECT_EQ(Announced().rooms_size(), 1);
  SetDocument("tv", "", std::nullopt);
  Ticks(11);
  EXPECT_THAT(Announced().rooms(), IsEmpty());
  EXPECT_THAT(keeper_.Boards()->rooms(), IsEmpty());
}

TEST_F(RoomKeeperTest, APolicyOfTheFutureIsNone) {
  SetDocument("tv", R"({"aPartOfTheFuture":{}})", std::nullopt);
  OpenRoom("radio", 100);
  Ticks(1);
  ASSERT_EQ(Announced().rooms_size(), 1);
  EXPECT_EQ(Announced().rooms(0).sku_id(), "radio");
}

TEST_F(RoomKeeperTest, OfTooManyRoomsTheFirstArePaced) {
  for (int i = 0; i < kMostRooms + 3; ++i) OpenRoom(absl::StrCat("sku-", 100 + i), 100);
  Ticks(1);
  ASSERT_EQ(Announced().rooms_size(), kMostRooms);
  EXPECT_EQ(Announced().rooms(kMostRooms - 1).sku_id(), absl::StrCat("sku-", 100 + kMostRooms - 1));
}

TEST_F(RoomKeeperTest, ThePathIsMadeAgainAlsoWithoutRooms) {
  Ticks(1);
  ASSERT_TRUE(nodes_->Delete(quota::kRoomsPath, quota::kAnyVersion).ok());
  Ticks(1);
  EXPECT_TRUE(nodes_->Get(quota::kRoomsPath, quota::Watch::kNo).ok());
}

TEST_F(RoomKeeperTest, AnErrorOfZookeeperIsTold) {
  OpenRoom("tv", 100);
  Wait(1, 100);
  Ticks(1);
  zookeeper_.SetDown(true);
  EXPECT_TRUE(absl::IsUnavailable(keeper_.Tick()));
  zookeeper_.SetDown(false);
  Ticks(1);
}

TEST_F(RoomKeeperTest, MetricsAreThereWhileItLeadsAndTheRoomIsThere) {
  RoomMetrics metrics(&keeper_);
  EXPECT_THAT(MetricValues(metrics).Names(), IsEmpty());
  OpenRoom("tv", 0);
  SetSale(/*open=*/true, 70);
  Wait(1, 300);
  Settle();
  const MetricLabels tv = {{"sku", "tv"}};
  EXPECT_THAT(MetricValues(metrics).Of("tranche_room_waiting", tv), Optional(300));
  EXPECT_THAT(MetricValues(metrics).Of("tranche_room_unsold", tv), Optional(70));
  EXPECT_THAT(MetricValues(metrics).Of("tranche_room_let_in_per_second", tv), Optional(0));
  EXPECT_THAT(MetricValues(metrics).Of("tranche_room_under_way", tv), Optional(0));
  EXPECT_THAT(MetricValues(metrics).Of("tranche_room_held", {{"sku", "tv"}, {"reason", "rate_zero"}}), Optional(1));
  EXPECT_THAT(MetricValues(metrics).Of("tranche_room_held", {{"sku", "tv"}, {"reason", "enough"}}), Optional(0));
  EXPECT_THAT(MetricValues(metrics).Of("tranche_room_computed_timestamp_seconds", tv),
              Optional(absl::ToDoubleSeconds(clock_.Now() - kKeeperTick - absl::UnixEpoch())));
  leads_ = false;
  Ticks(1);
  EXPECT_THAT(MetricValues(metrics).Names(), IsEmpty());
  leads_ = true;
  SetDocument("tv", "", std::nullopt);
  Ticks(1);
  EXPECT_THAT(MetricValues(metrics).Names(), IsEmpty());
}

}  // namespace
}  // namespace tranche::server
