// How a node reports who waits in its rooms, and learns how far they are.
#include "server/node/room_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/room_announcements.h"
#include "quota/fake/fake_coordination.h"
#include "server/admission/room_rank.h"
#include "tests/support/sessions.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {
namespace {

using internal::v1::RoomBoards;
using internal::v1::RoomReport;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Key;

constexpr storage::IncarnationId kSelf = 7;
constexpr int64_t kRound = 3;

class RoomLinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sessions_.session = *connector_.Connect(&observer_);
    other_ = *connector_.Connect(&observer_);
  }

  void Open() {
    const OpenRoom room{.sku_id = "tv", .round = kRound, .poll_interval = absl::Seconds(20)};
    rooms_.SetRooms(absl::MakeConstSpan(&room, 1));
  }
  void Count(uint64_t rank) { rooms_.Count("tv", kRound, rank, clock_.Now()); }
  std::map<storage::IncarnationId, RoomReport> Reports() { return *quota::ReadRoomReports(*other_); }
  uint64_t Reported() {
    const auto reports = Reports();
    if (!reports.contains(self_) || reports.at(self_).rooms_size() != 1) return 0;
    const auto counts = RoomCounts::FromMessage(reports.at(self_).rooms(0).waiting());
    return counts.has_value() ? counts->total() : 0;
  }
  void Announce(int64_t round, uint64_t threshold) {
    RoomBoards boards;
    RoomBoards::Room* const room = boards.add_rooms();
    room->set_sku_id("tv");
    room->set_round(round);
    room->set_threshold(threshold);
    room->set_let_in_per_s(12.5);
    room->set_leaving_per_s(std::numeric_limits<double>::quiet_NaN());
    room->set_computed_at_us(absl::ToUnixMicros(clock_.Now()));
    ASSERT_TRUE(quota::WriteRoomBoards(*other_, boards).ok());
  }

  storage::FakeClock clock_;
  quota::FakeZookeeper zookeeper_;
  quota::FakeConnector connector_{&zookeeper_};
  testing::DeafObserver observer_;
  testing::FixedSession sessions_;
  std::shared_ptr<quota::Coordination> other_;
  DoorRooms rooms_;
  storage::IncarnationId self_ = kSelf;
  RoomLink link_{&rooms_, &sessions_, [this] { return self_; }, &clock_};
};

TEST_F(RoomLinkTest, WithoutRoomsItAsksNothing) {
  ASSERT_TRUE(other_->Delete(quota::kRoomsPath, quota::kAnyVersion).ok());
  link_.Tick();
  EXPECT_FALSE(other_->Get(quota::kRoomsPath, quota::Watch::kNo).ok());
}

TEST_F(RoomLinkTest, ReportsAreThereWhileSomebodyWaits) {
  Open();
  link_.Tick();
  EXPECT_THAT(Reports(), IsEmpty());
  Count(5);
  Count(6);
  link_.Tick();
  EXPECT_EQ(Reported(), 2u);
  EXPECT_EQ(Reports().at(kSelf).reported_at_us(), absl::ToUnixMicros(clock_.Now()));
  EXPECT_EQ(Reports().at(kSelf).rooms(0).round(), kRound);
  clock_.AdvanceBy(absl::Seconds(60));
  link_.Tick();
  EXPECT_THAT(Reports(), IsEmpty()) << "nobody has asked for an interval";
}

TEST_F(RoomLinkTest, WhatIsKnownIsReportedAlsoWhereNobodyWaits) {
  Open();
  Announce(kRound, 100);
  link_.Tick();
  link_.Tick();
  ASSERT_THAT(Reports(), ElementsAre(Key(kSelf)));
  ASSERT_EQ(Reports().at(kSelf).rooms_size(), 1);
  EXPECT_EQ(Reports().at(kSelf).rooms(0).round(), kRound);
  EXPECT_EQ(Reports().at(kSelf).rooms(0).threshold(), 100u);
  EXPECT_EQ(Reported(), 0u);
  rooms_.SetRooms({});
  link_.Tick();
  EXPECT_THAT(Reports(), IsEmpty());
}

// It would hold for all of the round, and at all nodes.
TEST_F(RoomLinkTest, AThresholdThatNobodyCanHaveMeantIsBounded) {
  Open();
  Announce(kRound, std::numeric_limits<uint64_t>::max());
  const absl::Time now = clock_.Now();
  link_.Tick();
  EXPECT_GE(rooms_.Board("tv", kRound)->threshold, LateRank(now)) << "clocks differ";
  EXPECT_LE(rooms_.Board("tv", kRound)->threshold, LateRank(now + absl::Minutes(1)));
}

TEST_F(RoomLinkTest, TheFirstLookIsAwaitedOnlyWhereThereAreRooms) {
  link_.AwaitFirstLook(absl::InfiniteDuration());
  Open();
  link_.AwaitFirstLook(absl::ZeroDuration());
  EXPECT_EQ(rooms_.Board("tv", kRound), nullptr) << "it was not waited for";
  Announce(kRound, 100);
  std::thread looks([this] { link_.Tick(); });
  link_.AwaitFirstLook(absl::InfiniteDuration());
  EXPECT_NE(rooms_.Board("tv", kRound), nullptr);
  looks.join();
}

TEST_F(RoomLinkTest, ARoomThatIsGoneIsReportedNoMore) {
  Open();
  Count(5);
  link_.Tick();
  EXPECT_EQ(Reported(), 1u);
  rooms_.SetRooms({});
  link_.Tick();
  EXPECT_THAT(Reports(), IsEmpty());
}

TEST_F(RoomLinkTest, ANewIncarnationReportsInItsOwnNameOnly) {
  Open();
  Count(5);
  link_.Tick();
  self_ = kSelf + 1;
  link_.Tick();
  EXPECT_THAT(Reports(), ElementsAre(Key(kSelf + 1)));
  self_ = storage::kPool;
  link_.Tick();
  EXPECT_THAT(Reports(), IsEmpty());
}

TEST_F(RoomLinkTest, ANewSessionReplacesTheReportOfTheOldOne) {
  Open();
  Count(5);
  link_.Tick();
  const int64_t old_session = sessions_.session->SessionId();
  const std::shared_ptr<quota::Coordination> old = sessions_.session;
  sessions_.session = *connector_.Connect(&observer_);
  link_.Tick();
  zookeeper_.ExpireSession(old_session);
  EXPECT_EQ(Reported(), 1u);
}

TEST_F(RoomLinkTest, BoardsAreTakenAndNeverFall) {
  Open();
  EXPECT_EQ(rooms_.Board("tv", kRound), nullptr);
  Announce(kRound, 100);
  link_.Tick();
  const auto board = rooms_.Board("tv", kRound);
  ASSERT_NE(board, nullptr);
  EXPECT_EQ(board->threshold, 100u);
  EXPECT_EQ(board->let_in_per_s, 12.5);
  EXPECT_EQ(board->leaving_per_s, 0) << "what is no number is not known";
  EXPECT_EQ(board->computed_at, clock_.Now());
  Announce(kRound, 50);
  link_.Tick();
  EXPECT_EQ(rooms_.Board("tv", kRound)->threshold, 100u);
  Announce(kRound + 1, 200);
  link_.Tick();
  EXPECT_EQ(rooms_.Board("tv", kRound)->threshold, 100u) << "that of another round";
}

TEST_F(RoomLinkTest, GarbageAndSilenceChangeNothing) {
  Open();
  Announce(kRound, 100);
  link_.Tick();
  ASSERT_TRUE(other_->Set(quota::kRoomsPath, "\xff", quota::kAnyVersion).ok());
  link_.Tick();
  EXPECT_EQ(rooms_.Board("tv", kRound)->threshold, 100u);
  Count(5);
  zookeeper_.SetDown(true);
  link_.Tick();
  EXPECT_EQ(rooms_.Board("tv", kRound)->threshold, 100u);
  zookeeper_.SetDown(false);
  link_.Tick();
  EXPECT_EQ(Reported(), 1u);
}

}  // namespace
}  // namespace tranche::server
