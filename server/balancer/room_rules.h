// Which waiting rooms there are, and how fast they let buyers in: home's policies, as the balancer needs them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/balancer/room_pacer.h"
#include "storage/clock.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {

struct RoomRound {
  int64_t round = 0;
  absl::Time started_at = absl::InfinitePast();  // the round, by home's clock
  RoomPace pace = {};
};

// Used by one thread. Outlived by its dependencies.
class RoomRules {
 public:
  // Between two looks at the ledger, if nothing is announced.
  static constexpr absl::Duration kLookEvery = absl::Seconds(5);
  // And after one that failed.
  static constexpr absl::Duration kLookAfterFailure = absl::Seconds(1);

  RoomRules(storage::FrontLedger* ledger, storage::Clock* clock) : ledger_(ledger), clock_(clock) {}

  // Reads what has changed, if `announced`, which is what the tree says that the version is, is another one than
  // before, or it is time. Blocks. If it fails, what is known holds, and it is tried again after kLookAfterFailure.
  absl::Status Follow(int64_t announced);
  // The next Follow looks.
  void LookSoon() { looked_at_ = absl::InfinitePast(); }

  // Has the ledger ever answered?
  bool known() const { return known_.number > 0; }
  // By sku_id, the first kMostRooms. A policy that cannot be read counts as one without a room.
  const std::map<std::string, RoomRound>& rooms() const { return paced_; }
  // May buyers claim, by the service mode? If not, the rooms let nobody in.
  bool sells() const { return mode_ == storage::ServiceMode::Kind::kNormal; }

 private:
  absl::Status Read();
  void Apply(const storage::FrontPolicyRow& row);
  void ChoosePaced();

  storage::FrontLedger* const ledger_;
  storage::Clock* const clock_;
  storage::FrontVersion known_;
  storage::ServiceMode::Kind mode_ = storage::ServiceMode::Kind::kNormal;
  int64_t announced_ = 0;
  absl::Time looked_at_ = absl::InfinitePast();
  std::map<std::string, RoomRound> all_;
  std::map<std::string, RoomRound> paced_;
  std::set<std::string> told_left_out_;
};

}  // namespace tranche::server
