// The front door: who may try to buy. Checks in the order of their cost; each is in a file of its own.
//
// access list -> (the sale's terms and units: by the seller) -> policy readable -> limits by user, address, token and
// SKU -> lottery -> purchase token. A purchase token is read once, before the limit that needs it. Whoever is on the
// list of those who are let in skips limits and lottery. Whoever holds a good purchase token skips the lottery: they
// were admitted when they got it.
//
// The seller asks about terms and units before it comes here, so the access list is the first check of this class.
//
// The state is immutable and changed as a whole: no lock and no I/O on a claim's path.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "quota/sale/sale_gate.h"
#include "server/admission/door_explanation.h"
#include "server/admission/door_state.h"
#include "server/admission/front_policy.h"
#include "server/admission/homes.h"
#include "server/admission/limit_tries.h"
#include "server/admission/rate_key.h"
#include "server/admission/rate_table.h"
#include "server/admission/turn_queue.h"
#include "storage/clock.h"

namespace tranche::server {

// What EnterSale is answered.
struct DoorEntry {
  std::optional<quota::Refused> refused = {};  // then nothing else is set
  absl::Duration wait = absl::ZeroDuration();  // go on with this answer after that: call Park with it
  bool admitted = true;
  std::string purchase_token = {};  // "": none is asked for, or it is not earned yet
  absl::Time token_expires_at = absl::InfinitePast();
  std::string challenge = {};  // "": none to solve
  absl::Time challenge_expires_at = absl::InfinitePast();
  std::string challenge_problem = {};                 // why the solution that came was not taken
  absl::Duration retry_after = absl::ZeroDuration();  // not admitted: enter again after that
  std::optional<DoorLottery> lottery = {};            // without its key
  uint64_t rank = 0;
};

// Thread-safe. Outlived by its dependencies.
class FrontDoor : public quota::SaleGate {
 public:
  // `table_bytes` of memory are taken with the first policy that has a limit. `clock` is that of `turns`.
  FrontDoor(size_t table_bytes, TurnQueue* turns, const storage::Clock* clock = storage::Clock::Real());
  ~FrontDoor() override;

  // What is checked from now on; before the first state, the door is open. A rate table that was made stays, with its
  // counts.
  void SetState(std::shared_ptr<const DoorState> state);
  // Before the first: this node is everybody's home.
  void SetHomes(std::shared_ptr<const Homes> homes);
  std::shared_ptr<const DoorState> state() const;

  // SaleGate.
  bool closed_to_some() const override { return closed_to_some_.load(std::memory_order_acquire); }
  quota::GateVerdict Check(absl::Span<const quota::GateLine> lines, absl::Time now, absl::Time deadline) override;
  bool Park(absl::Duration wait, absl::AnyInvocable<void()> go_on) override;

  // One try, like a claim; then the lottery, the challenge and the token. Does not check terms or units. A solution is
  // only looked at where the policy asks for one; verifying it takes about 0.1 ms. `deadline`: as for Check.
  DoorEntry Enter(absl::string_view sku_id, absl::string_view user_id, absl::string_view address,
                  absl::string_view challenge_solution, absl::Time now, absl::Time deadline);

  // What all checks say, in their order, by one state. Counts no try.
  struct Explanation {
    std::shared_ptr<const DoorState> state;  // never null
    std::vector<DoorOpinion> opinions;
  };
  Explanation Explain(absl::string_view sku_id, absl::string_view user_id, absl::string_view address,
                      absl::string_view purchase_token, absl::Time now) const;

  const DoorCounts& counts() const { return counts_; }
  // Null before the first policy with a limit.
  const RateTable* table() const { return table_.load(std::memory_order_acquire); }

 private:
  void Publish(std::shared_ptr<const DoorState> state, std::shared_ptr<const Homes> homes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  DoorEntry RefusedEntry(DoorCheck check, quota::Refused refused);
  DoorEntry RefusedEntry(const LimitTries::Refusal& refusal);
  // Of an admitted buyer: true if the policy's challenge is solved, or there is none; otherwise the entry has one.
  bool EarnsToken(const DoorView& view, const DoorPolicy& policy, absl::string_view sku_id, absl::string_view user_id,
                  absl::string_view solution, absl::Time now, DoorEntry* entry);

  const size_t table_bytes_;
  TurnQueue* const turns_;
  const storage::Clock* const clock_;
  const RateKeyHasher hasher_;
  DoorCounts counts_;

  std::atomic<bool> closed_to_some_{false};
  // Never null. A claim's checks all go by the one that it loads.
  std::atomic<std::shared_ptr<const DoorView>> view_;
  std::atomic<const RateTable*> table_{nullptr};

  absl::Mutex mutex_;  // of those who change something
  std::unique_ptr<RateTable> made_table_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
