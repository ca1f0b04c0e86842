// What one node knows of the front door, and what it counts there.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/admission/access_lists.h"
#include "server/admission/door_rooms.h"
#include "server/admission/front_keys.h"
#include "server/admission/front_policy.h"
#include "server/admission/homes.h"
#include "server/admission/rate_key.h"
#include "server/admission/rate_table.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {

// What the ledger says, as one node knows it.
struct DoorState {
  storage::FrontVersion version;
  std::shared_ptr<const AccessLists> access;                                     // never null
  std::shared_ptr<const FrontKeys> keys;                                         // never null
  absl::flat_hash_map<std::string, std::shared_ptr<const DoorPolicy>> policies;  // by sku_id, "*" too
  storage::ServiceMode mode;

  // The SKU's own policy, else that of all SKUs; null: none.
  const DoorPolicy* PolicyOf(absl::string_view sku_id) const;
  // Nobody is refused or counted.
  bool open() const { return policies.empty() && access->empty() && !reserves_nothing(); }
  // Claims, carts and entries are refused, whoever comes.
  bool reserves_nothing() const { return mode.kind != storage::ServiceMode::Kind::kNormal; }
  // Buyers' changes of what is reserved are, too.
  bool changes_nothing() const { return mode.kind == storage::ServiceMode::Kind::kReadOnly; }
  // Some policy counts tries: by limits, or the refused ones of a network.
  bool NeedsTable() const;
  // The rooms of policies, by sku_id: the first kMostRooms, since no more are paced.
  std::vector<OpenRoom> OpenRooms() const;
};

// All that the checks of one moment need. Immutable, but for the counts of the table and the rooms.
struct DoorView {
  std::shared_ptr<const DoorState> state;
  std::shared_ptr<const Homes> homes;
  RateTable* table = nullptr;  // null: no policy has counted tries yet
  const RateKeyHasher* hasher = nullptr;
  DoorRooms* rooms = nullptr;  // never null in a front door's view
};

// In the order in which they are made.
enum class DoorCheck : uint8_t {
  kAccessList,
  kPolicy,
  kDraw,
  kRisk,
  kLimitUser,
  kLimitAddress,
  kLimitToken,
  kLottery,
  kRoom,
  kPurchaseToken,
  kLimitSku,
};
inline constexpr int kDoorChecks = 11;
// "access_list", "policy", "draw", "risk", "limit_user", ...
absl::string_view DoorCheckName(DoorCheck check);
DoorCheck CheckOfLimit(RateKeyKind kind);

// Touched only where somebody is refused, made wait, or let in by a policy: a SKU without one costs nothing here.
struct DoorCounts {
  // How often each check refused (the lottery: also at EnterSale; the room: there only), and made wait (limits only).
  std::array<std::atomic<uint64_t>, kDoorChecks> refused = {};
  std::array<std::atomic<uint64_t>, kDoorChecks> waited = {};
  // Claims, carts and entries into draws, by a policy. All threads count here, so it has a cache line of its own.
  alignas(64) std::atomic<uint64_t> admitted{0};
  alignas(64) std::atomic<uint64_t> parked_full{0};
  std::atomic<uint64_t> tokens_issued{0};
  std::atomic<uint64_t> challenges_issued{0};
  std::atomic<uint64_t> challenges_solved{0};
  std::atomic<uint64_t> challenges_refused{0};
  std::atomic<uint64_t> captchas_asked{0};
  std::atomic<uint64_t> captchas_solved{0};
  std::atomic<uint64_t> captchas_refused{0};
  std::atomic<uint64_t> captchas_expired{0};
  std::atomic<uint64_t> captchas_replaced{0};  // a challenge was issued instead
  std::atomic<uint64_t> delays_given{0};
  std::atomic<uint64_t> delays_waited{0};
  // EnterSales by the tier that risk rules gave, from 1: [0] is the first.
  std::array<std::atomic<uint64_t>, 4> tiers = {};

  void Judged(int tier) { tiers[static_cast<size_t>(tier - 1) % tiers.size()].fetch_add(1, std::memory_order_relaxed); }
  void Refused(DoorCheck check) { refused[static_cast<size_t>(check)].fetch_add(1, std::memory_order_relaxed); }
  void Waited(DoorCheck check) { waited[static_cast<size_t>(check)].fetch_add(1, std::memory_order_relaxed); }
};

}  // namespace tranche::server
