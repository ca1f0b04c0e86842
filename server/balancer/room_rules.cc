#include "server/balancer/room_rules.h"

#include <cstddef>
#include <optional>
#include <utility>

#include "glog/logging.h"
#include "server/admission/door_rooms.h"
#include "server/admission/front_policy.h"
#include "storage/base/status_macros.h"

namespace tranche::server {

absl::Status RoomRules::Follow(int64_t announced) {
  const absl::Time now = clock_->Now();
  // A clock that is set back is no reason not to look.
  const bool due = now - looked_at_ >= kLookEvery || now < looked_at_;
  if (announced == announced_ && !due) return absl::OkStatus();
  announced_ = announced;
  looked_at_ = now;
  const absl::Status read = Read();
  if (!read.ok()) looked_at_ = now - kLookEvery + kLookAfterFailure;
  return read;
}

absl::Status RoomRules::Read() {
  ASSIGN_OR_RETURN(const storage::FrontVersion version, ledger_->ReadFrontVersion());
  if (version == known_) return absl::OkStatus();
  // Only the first page has policies; the others have entries of the access list.
  ASSIGN_OR_RETURN(const storage::FrontChanges changes, ledger_->ReadFrontChanges(known_, std::nullopt));
  if (changes.complete) all_.clear();
  for (const storage::FrontPolicyRow& row : changes.policies) Apply(row);
  if (changes.mode.has_value()) mode_ = changes.mode->kind;
  known_ = changes.version;
  ChoosePaced();
  return absl::OkStatus();
}

void RoomRules::Apply(const storage::FrontPolicyRow& row) {
  all_.erase(row.sku_id);
  if (row.document.empty()) return;
  const DoorPolicy policy = CompilePolicy(row);
  if (!policy.unreadable.empty() || !policy.room.has_value()) return;
  RoomRound round;
  round.round = policy.room->round;
  if (row.round.has_value()) round.started_at = row.round->started_at;
  round.pace.buyers_per_s = policy.room->buyers_per_s;
  round.pace.ahead = policy.room->ahead;
  round.pace.poll_interval = policy.room->poll_interval;
  if (policy.token_lifetime.has_value()) round.pace.token_lifetime = *policy.token_lifetime;
  all_.emplace(row.sku_id, round);
}

void RoomRules::ChoosePaced() {
  paced_.clear();
  std::set<std::string> left_out;
  for (const auto& [sku_id, round] : all_) {
    if (paced_.size() < static_cast<size_t>(kMostRooms)) {
      paced_.emplace(sku_id, round);
      continue;
    }
    left_out.insert(sku_id);
    LOG_IF(ERROR, !told_left_out_.contains(sku_id))
        << "the waiting room of " << sku_id << " lets nobody in: there are more than " << kMostRooms
        << " rooms, and the first by SKU are paced. Remove rooms that are over";
  }
  told_left_out_ = std::move(left_out);
}

}  // namespace tranche::server
