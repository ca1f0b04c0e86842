// A keeper of waiting rooms on the fakes, with nodes that report who waits.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/room_announcements.h"
#include "quota/fake/fake_coordination.h"
#include "server/admission/room_counts.h"
#include "server/balancer/room_keeper.h"
#include "storage/fake/fake_front_ledger.h"
#include "tests/support/sessions.h"
#include "tests/unit/server/door_fixture.h"
#include "tranche/internal/v1/coordination.pb.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

inline constexpr absl::Duration kKeeperTick = absl::Milliseconds(500);

inline v1::FrontPolicy KeptRoomPolicy(int buyers_per_second) {
  v1::FrontPolicy policy = LimitByUser(100, absl::Seconds(1));
  policy.mutable_purchase_token();
  policy.mutable_room()->set_buyers_per_second(buyers_per_second);
  policy.mutable_room()->mutable_poll_interval()->set_seconds(2);
  return policy;
}

class RoomKeeperFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    sessions_.session = *connector_.Connect(&observer_);
    nodes_ = *connector_.Connect(&observer_);
  }

  void SetDocument(const std::string& sku_id, const std::string& document, std::optional<int32_t> admitted,
                   bool new_round = false) {
    storage::FrontPolicyChange change;
    change.sku_id = sku_id;
    change.document = document;
    change.admitted_per_million = admitted;
    change.new_round = new_round;
    const auto set = ledger_.SetFrontPolicy(change, /*preview=*/false, "test");
    ASSERT_TRUE(set.ok()) << set.status();
  }
  void OpenRoom(const std::string& sku_id, int buyers_per_second, bool new_round = false) {
    SetDocument(sku_id, ToDocument(KeptRoomPolicy(buyers_per_second)), storage::kEverybody, new_round);
  }
  void SetSale(bool open, int64_t unsold) {
    sale_ = std::optional<RoomSale>(RoomSale{.open = open, .unsold = unsold, .stock = 100'000});
  }

  // So many wait in the room of "tv" at this node, spread over the early ranks.
  void Wait(storage::IncarnationId node, int buyers, int64_t round = 1) {
    RoomCounts counts;
    for (int i = 0; i < RoomCounts::kShuffledBuckets; ++i) {
      const int from = buyers * i / RoomCounts::kShuffledBuckets;
      const int to = buyers * (i + 1) / RoomCounts::kShuffledBuckets;
      if (to > from) counts.Add((uint64_t{1} << 55) * static_cast<uint64_t>(i), static_cast<uint64_t>(to - from));
    }
    internal::v1::RoomReport& report = reports_[node];
    report.Clear();
    internal::v1::RoomReport::Room* const room = report.add_rooms();
    room->set_sku_id("tv");
    room->set_round(round);
    *room->mutable_waiting() = counts.ToMessage();
  }
  // Half a second: the nodes report, and the keeper looks.
  absl::Status Tick() {
    for (auto& [node, report] : reports_) {
      if (!hung_.contains(node)) report.set_reported_at_us(absl::ToUnixMicros(clock_.Now()));
      EXPECT_TRUE(quota::WriteRoomReport(*nodes_, node, report).ok());
    }
    absl::Status kept = keeper_.Tick();
    clock_.AdvanceBy(kKeeperTick);
    return kept;
  }
  void Ticks(int count) {
    for (int i = 0; i < count; ++i) {
      const absl::Status kept = Tick();
      ASSERT_TRUE(kept.ok()) << kept;
    }
  }

  // Until all nodes are known to have reported, since this process leads.
  void Settle() { Ticks(static_cast<int>(RoomReports::kNodesReport / kKeeperTick) + 1); }

  internal::v1::RoomBoards Announced() { return *quota::ReadRoomBoards(*nodes_); }
  // That of the SKU; an empty one if there is none.
  internal::v1::RoomBoards::Room Board(const std::string& sku_id = "tv") {
    const internal::v1::RoomBoards boards = Announced();
    for (const internal::v1::RoomBoards::Room& room : boards.rooms()) {
      if (room.sku_id() == sku_id) return room;
    }
    return {};
  }
  uint64_t Counted() { return RoomCounts::FromMessage(Board().waiting()).value_or(RoomCounts()).total(); }
  int32_t BoardWrites() { return nodes_->Get(quota::kRoomsPath, quota::Watch::kNo)->version; }

  storage::FakeClock clock_;
  storage::FakeFrontLedger ledger_{&clock_};
  quota::FakeZookeeper zookeeper_;
  quota::FakeConnector connector_{&zookeeper_};
  testing::DeafObserver observer_;
  testing::FixedSession sessions_;
  std::shared_ptr<quota::Coordination> nodes_;
  std::map<storage::IncarnationId, internal::v1::RoomReport> reports_;
  std::set<storage::IncarnationId> hung_;
  bool leads_ = true;
  absl::StatusOr<std::optional<RoomSale>> sale_ =
      std::optional<RoomSale>(RoomSale{.open = true, .unsold = 100'000, .stock = 100'000});
  int asked_ = 0;
  RoomKeeper keeper_{&ledger_, &sessions_, [this] { return leads_; },
                     [this](const std::string&) {
                       ++asked_;
                       return sale_;
                     },
                     &clock_};
};

}  // namespace tranche::server
