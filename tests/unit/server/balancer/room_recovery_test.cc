// What is left of a waiting room when the whole tree was deleted: nodes that know how far it was, not all equally far.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "quota/coordination/incarnation_znodes.h"
#include "quota/coordination/room_announcements.h"
#include "server/admission/door_rooms.h"
#include "server/admission/room_rank.h"
#include "server/node/room_link.h"
#include "tests/unit/server/balancer/room_keeper_fixture.h"

namespace tranche::server {
namespace {

using internal::v1::RoomBoards;

constexpr int64_t kRecoveredRound = 1;
constexpr uint64_t kFar = uint64_t{1} << 60;

class RoomRecoveryTest : public RoomKeeperFixture {
 protected:
  // What the node reports to have heard of.
  void Know(storage::IncarnationId node, uint64_t threshold, int64_t round = kRecoveredRound) {
    internal::v1::RoomReport& report = reports_[node];
    internal::v1::RoomReport::Room* const room = report.rooms_size() > 0 ? report.mutable_rooms(0) : report.add_rooms();
    room->set_sku_id("tv");
    room->set_round(round);
    room->set_threshold(threshold);
  }
  void DeleteTree() { ASSERT_TRUE(quota::DeleteWithChildren(*nodes_, quota::kRoomsPath).ok()); }
};

TEST_F(RoomRecoveryTest, WithoutBoardsANewLeaderAnnouncesAtOnceWhatNodesKnow) {
  OpenRoom("tv", 0);
  Wait(1, 100);
  Know(1, kFar);
  Know(2, kFar / 2);
  leads_ = false;
  Ticks(1);
  DeleteTree();
  leads_ = true;
  Ticks(1);
  EXPECT_EQ(Board().threshold(), kFar);
  EXPECT_EQ(Board().held(), RoomBoards::HELD_COUNTING);
  EXPECT_EQ(Counted(), 100u);
  Settle();
  EXPECT_EQ(Board().threshold(), kFar);
}

TEST_F(RoomRecoveryTest, AnOlderBoardIsNotGoneOnFrom) {
  OpenRoom("tv", 0);
  RoomBoards boards;
  RoomBoards::Room* const room = boards.add_rooms();
  room->set_sku_id("tv");
  room->set_round(kRecoveredRound);
  room->set_threshold(kFar / 2);
  ASSERT_TRUE(quota::WriteRoomBoards(*nodes_, boards).ok());
  Ticks(1);
  EXPECT_EQ(Board().threshold(), kFar / 2);
  Know(1, kFar);
  Ticks(1);
  EXPECT_EQ(Board().threshold(), kFar);
  Know(1, kFar / 4);
  Ticks(2);
  EXPECT_EQ(Board().threshold(), kFar) << "it never falls";
}

// Its process may live on, and its buyers have been let in.
TEST_F(RoomRecoveryTest, WhatANodeThatHangsHasHeardOfCounts) {
  OpenRoom("radio", 0);
  Know(1, kFar);
  hung_.insert(1);
  Settle();
  Ticks(4);
  OpenRoom("tv", 0);
  Ticks(11);
  ASSERT_EQ(Board().round(), kRecoveredRound);
  EXPECT_EQ(Board().threshold(), kFar);
}

TEST_F(RoomRecoveryTest, WhatIsOfAnotherRoundOrNotToldIsIgnored) {
  OpenRoom("tv", 0);
  Know(1, kFar, kRecoveredRound + 1);
  Know(2, 0);
  Ticks(2);
  EXPECT_EQ(Board().round(), kRecoveredRound);
  EXPECT_EQ(Board().threshold(), 0u);
}

TEST_F(RoomRecoveryTest, GarbageInAReportLetsInNobodyWhoComesLater) {
  OpenRoom("tv", 0);
  Know(1, std::numeric_limits<uint64_t>::max());
  const uint64_t now = LateRank(clock_.Now());
  Ticks(1);
  EXPECT_EQ(Board().threshold(), now);
}

TEST_F(RoomRecoveryTest, WhoIsUnderWayIsNotForgottenForAReport) {
  OpenRoom("tv", 100);
  Wait(1, 5000);
  Settle();
  Ticks(10);
  const int64_t under_way = Board().under_way();
  ASSERT_GT(under_way, 100);
  Know(2, Board().threshold() + 1);
  Ticks(1);
  EXPECT_GT(Board().under_way(), under_way / 2);
}

// Nodes as they are, beside the keeper: all with their own sessions, and looking in any order.
class RoomTreeDeletedTest : public RoomRecoveryTest, public ::testing::WithParamInterface<uint64_t> {
 protected:
  struct Node {
    explicit Node(storage::IncarnationId incarnation, storage::Clock* clock)
        : link(
              &rooms, &sessions, [incarnation] { return incarnation; }, clock) {
      const server::OpenRoom room{.sku_id = "tv", .round = kRecoveredRound, .poll_interval = absl::Seconds(2)};
      rooms.SetRooms(absl::MakeConstSpan(&room, 1));
    }
    uint64_t Threshold() const {
      const std::shared_ptr<const RoomBoard> board = rooms.Board("tv", kRecoveredRound);
      return board == nullptr ? 0 : board->threshold;
    }

    DoorRooms rooms;
    testing::FixedSession sessions;
    RoomLink link;
  };

  void AddNode() {
    all_.push_back(std::make_unique<Node>(static_cast<storage::IncarnationId>(all_.size() + 1), &clock_));
    all_.back()->sessions.session = *connector_.Connect(&observer_);
  }
  // At each node somebody waits in each bucket that has not been passed.
  void Ask() {
    for (const std::unique_ptr<Node>& node : all_) {
      for (uint64_t bucket = 0; bucket < uint64_t{RoomCounts::kShuffledBuckets}; ++bucket) {
        const uint64_t rank = bucket << 55;
        if (rank >= node->Threshold()) node->rooms.Count("tv", kRecoveredRound, rank, clock_.Now());
      }
    }
  }
  // Half a second: nodes and keeper look, each once. After so many looks the tree is deleted, and nobody leads: who did
  // was known by it.
  void Step(size_t delete_after = std::numeric_limits<size_t>::max()) {
    Ask();
    std::vector<std::function<void()>> looks;
    for (const std::unique_ptr<Node>& node : all_) looks.push_back([&node] { node->link.Tick(); });
    looks.push_back([this] { EXPECT_TRUE(keeper_.Tick().ok()); });
    std::shuffle(looks.begin(), looks.end(), random_);
    for (size_t i = 0; i < looks.size(); ++i) {
      if (i == delete_after) {
        DeleteTree();
        leads_ = false;
      }
      looks[i]();
    }
    clock_.AdvanceBy(kKeeperTick);
  }
  uint64_t Highest() const {
    uint64_t highest = 0;
    for (const std::unique_ptr<Node>& node : all_) highest = std::max(highest, node->Threshold());
    return highest;
  }
  void ExpectAllLetInAsFarAs(uint64_t threshold) const {
    for (const std::unique_ptr<Node>& node : all_) EXPECT_GE(node->Threshold(), threshold);
  }

  std::mt19937_64 random_{GetParam()};
  std::vector<std::unique_ptr<Node>> all_;
};

// Who is let in at one node is so at all others soon after somebody leads again: reported in the first step, read by
// the leader in the second at the latest, and by the nodes in the third.
TEST_P(RoomTreeDeletedTest, AllNodesSoonLetInWhomOneDoes) {
  constexpr int kStepsUntilKnown = 3;
  OpenRoom("tv", 50);
  for (int i = 0; i < 4; ++i) AddNode();
  for (int i = 0; i < 40; ++i) Step();
  const uint64_t before = Highest();
  ASSERT_GT(before, 0u);
  ASSERT_LT(before, kFirstLateRank);
  // While some have read the newest boards, and others have not.
  Step(/*delete_after=*/1 + random_() % all_.size());
  for (uint64_t i = random_() % 8 + 1; i > 0; --i) Step();
  AddNode();
  leads_ = true;
  for (int i = 0; i < 40; ++i) {
    const uint64_t highest = Highest();
    EXPECT_GE(highest, before);
    for (int step = 0; step < kStepsUntilKnown; ++step) Step();
    SCOPED_TRACE(i);
    ExpectAllLetInAsFarAs(highest);
  }
  EXPECT_GT(Highest(), before) << "the room goes on";
}

INSTANTIATE_TEST_SUITE_P(Seeds, RoomTreeDeletedTest, ::testing::Range(uint64_t{1}, uint64_t{9}));

}  // namespace
}  // namespace tranche::server
