// The front door: who may try to buy. Checks in the order of their cost; each is in a file of its own.
//
// access list -> (the sale's terms and units: by the seller) -> policy readable -> limits by user, address, token and
// SKU -> lottery -> purchase token. A purchase token is read once, before the limit that needs it. Whoever is on the
// list of those who are let in skips limits and lottery. Whoever holds a good purchase token skips the lottery: they
// were admitted when they got it.
//
// The state is immutable and changed as a whole: no lock and no I/O on a claim's path.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "quota/sale/sale_gate.h"
#include "server/admission/access_lists.h"
#include "server/admission/front_keys.h"
#include "server/admission/front_policy.h"
#include "server/admission/homes.h"
#include "server/admission/rate_key.h"
#include "server/admission/rate_table.h"
#include "server/admission/turn_queue.h"

namespace tranche::server {

// What the ledger says, as one node knows it.
struct DoorState {
  storage::FrontVersion version;
  std::shared_ptr<const AccessLists> access;                                     // never null
  std::shared_ptr<const FrontKeys> keys;                                         // never null
  absl::flat_hash_map<std::string, std::shared_ptr<const DoorPolicy>> policies;  // by sku_id, "*" too

  // The SKU's own policy, else that of all SKUs; null: none.
  const DoorPolicy* PolicyOf(absl::string_view sku_id) const;
  // Nobody is refused or counted.
  bool open() const { return policies.empty() && access->empty(); }
};

enum class DoorCheck : uint8_t {
  kAccessList,
  kPolicy,
  kLimitUser,
  kLimitAddress,
  kLimitToken,
  kLimitSku,
  kLottery,
  kPurchaseToken,
};
inline constexpr int kDoorChecks = 8;
// "access_list", "policy", "limit_user", ...
absl::string_view DoorCheckName(DoorCheck check);

struct DoorCounts {
  // How often each check refused, made wait (limits only).
  std::array<std::atomic<uint64_t>, kDoorChecks> refused = {};
  std::array<std::atomic<uint64_t>, kDoorChecks> waited = {};
  std::atomic<uint64_t> admitted{0};  // by a policy
  std::atomic<uint64_t> parked_full{0};
  std::atomic<uint64_t> tokens_issued{0};
  std::atomic<uint64_t> challenges_issued{0};
  std::atomic<uint64_t> challenges_solved{0};
  std::atomic<uint64_t> challenges_refused{0};
};

// Of ExplainAdmission.
struct DoorOpinion {
  DoorCheck check;
  enum class Verdict { kPass, kWait, kRefuse, kSkip } verdict = Verdict::kSkip;
  std::optional<quota::Refused> refused;
  std::string detail;  // for operators
};

// What EnterSale is answered.
struct DoorEntry {
  std::optional<quota::Refused> refused;  // then nothing else is set
  absl::Duration wait;                    // go on with this answer after that
  bool admitted = true;
  std::string purchase_token;
  absl::Time token_expires_at;
  std::string challenge;  // "": none to solve
  absl::Time challenge_expires_at;
  std::string challenge_problem;
  absl::Duration retry_after;
  std::optional<DoorLottery> lottery;  // without its key
  uint64_t rank = 0;
};

// Thread-safe. Outlived by its dependencies.
class FrontDoor : public quota::SaleGate {
 public:
  // `table_bytes` of memory are taken with the first policy that has a limit.
  FrontDoor(size_t table_bytes, TurnQueue* turns);
  ~FrontDoor() override;

  void SetState(std::shared_ptr<const DoorState> state);
  void SetHomes(std::shared_ptr<const Homes> homes);
  std::shared_ptr<const DoorState> state() const;

  // SaleGate.
  bool closed_to_some() const override;
  quota::GateVerdict Check(absl::Span<const quota::GateLine> lines, absl::Time now) override;
  bool Park(absl::Duration wait, absl::AnyInvocable<void()> go_on) override;

  // One try, like a claim; then the lottery, the challenge and the token. Does not check terms or units. Verifying a
  // solution takes about 0.1 ms.
  DoorEntry Enter(absl::string_view sku_id, absl::string_view user_id, absl::string_view address,
                  absl::string_view challenge_solution, absl::Time now);

  // Counts no try.
  std::vector<DoorOpinion> Explain(absl::string_view sku_id, absl::string_view user_id, absl::string_view address,
                                   absl::string_view purchase_token, absl::Time now) const;

  const DoorCounts& counts() const;
  // Null before the first policy with a limit.
  const RateTable* table() const;
};

}  // namespace tranche::server
