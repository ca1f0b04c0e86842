// A front door in memory, for tests of what asks it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/admission/door_rooms.h"
#include "server/admission/front_door.h"
#include "server/admission/front_policy.h"
#include "server/admission/lottery.h"
#include "server/admission/room_counts.h"
#include "server/admission/turn_queue.h"
#include "storage/clock.h"
#include "storage/ledger/front_ledger.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

inline constexpr size_t kDoorTableBytes = 1 << 20;

// One limit by user.
inline v1::FrontPolicy LimitByUser(int tries, absl::Duration per, absl::Duration max_wait = absl::ZeroDuration()) {
  v1::FrontPolicy policy;
  v1::RateLimit* const limit = policy.add_limits();
  limit->set_key(v1::RateLimit::KEY_USER);
  limit->set_tries(tries);
  limit->mutable_per()->set_seconds(absl::ToInt64Seconds(per));
  limit->set_burst(tries);
  if (max_wait > absl::ZeroDuration()) limit->mutable_max_wait()->set_seconds(absl::ToInt64Seconds(max_wait));
  return policy;
}

// Who waits asks again after about ten seconds. Its limit is in nobody's way.
inline v1::FrontPolicy RoomPolicyOfTest() {
  v1::FrontPolicy policy = LimitByUser(1'000, absl::Seconds(1));
  policy.mutable_purchase_token();
  policy.mutable_room()->set_buyers_per_second(100);
  policy.mutable_room()->mutable_poll_interval()->set_seconds(10);
  return policy;
}

inline storage::AccessEntry DenyAddress(const std::string& prefix) {
  return {.subject = {storage::AccessSubject::Kind::kAddress, prefix}, .allow = false};
}
inline storage::AccessEntry DenyUser(const std::string& user_id) {
  return {.subject = {storage::AccessSubject::Kind::kUser, user_id}, .allow = false};
}
inline storage::AccessEntry AllowUser(const std::string& user_id) {
  return {.subject = {storage::AccessSubject::Kind::kUser, user_id}, .allow = true};
}

// A door whose state the test sets. Turns come when the test calls turns().CallDue().
class DoorOfTest {
 public:
  explicit DoorOfTest(storage::Clock* clock, size_t max_waiting = 10)
      : turns_(clock, max_waiting, [] { return size_t{0}; }), door_(kDoorTableBytes, &turns_, clock) {}

  FrontDoor& door() { return door_; }
  TurnQueue& turns() { return turns_; }
  const FrontKeys& keys() const { return *keys_; }

  // The policy of the SKU, or of all ("*"), beside those that were set before. `round`: of its lottery.
  void Set(const std::string& sku_id, const v1::FrontPolicy& policy,
           std::optional<storage::LotteryRound> round = std::nullopt) {
    storage::FrontPolicyRow row;
    row.sku_id = sku_id;
    row.document = ToDocument(policy);
    row.version = ++version_;
    row.round = std::move(round);
    if (row.round.has_value()) row.round->policy_sku_id = sku_id;
    SetCompiled(CompilePolicy(row));
  }
  void SetCompiled(DoorPolicy policy) {
    const std::string sku_id = policy.sku_id;
    policies_[sku_id] = std::make_shared<const DoorPolicy>(std::move(policy));
    Show();
  }
  void Remove(const std::string& sku_id) {
    policies_.erase(sku_id);
    Show();
  }
  void SetAccess(const std::vector<storage::AccessEntry>& entries) {
    access_.Apply(entries);
    Show();
  }
  void SetMode(storage::ServiceMode::Kind kind, const std::string& reason = "") {
    mode_.kind = kind;
    mode_.reason = reason;
    Show();
  }

  // As the balancer would say of the room: it lets in whose rank is below, a hundred each second.
  void ShowBoard(const std::string& sku_id, int64_t round, uint64_t threshold, absl::Time computed_at,
                 const RoomCounts& waiting = {}) {
    RoomBoard board;
    board.sku_id = sku_id;
    board.round = round;
    board.threshold = threshold;
    board.waiting = waiting;
    board.let_in_per_s = 100;
    board.computed_at = computed_at;
    door_.rooms().SetBoards(absl::MakeConstSpan(&board, 1));
  }
  void LoseKeys() {
    keys_ = std::make_shared<const FrontKeys>();
    Show();
  }

  static storage::LotteryRound Round(int64_t number, int32_t admitted_per_million) {
    storage::LotteryRound round;
    round.number = number;
    round.key = std::string(storage::kFrontKeyBytes, 'r');
    round.commitment = Commitment(round.key);
    round.admitted_per_million = admitted_per_million;
    return round;
  }

 private:
  void Show() {
    auto state = std::make_shared<DoorState>();
    state->version = {.number = ++version_, .stamp = "test"};
    state->access = std::make_shared<const AccessLists>(access_);
    state->keys = keys_;
    state->policies = policies_;
    state->mode = mode_;
    door_.SetState(std::move(state));
  }

  int64_t version_ = 0;
  AccessLists access_;
  storage::ServiceMode mode_;
  std::shared_ptr<const FrontKeys> keys_ = std::make_shared<const FrontKeys>(
      std::vector<storage::FrontKey>{{.id = 1,
                                      .secret = std::string(storage::kFrontKeyBytes, 'k'),
                                      .use = storage::FrontKey::Use::kCurrent,
                                      .since = absl::UnixEpoch()}});
  absl::flat_hash_map<std::string, std::shared_ptr<const DoorPolicy>> policies_;
  TurnQueue turns_;
  FrontDoor door_;
};

}  // namespace tranche::server
