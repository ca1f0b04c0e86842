// The front door: who may try to buy. Each check is in a file of its own.
//
// (the sale's terms and units: by the seller, before it comes here) -> no service mode forbids it -> access list ->
// policy readable -> no draw decides -> a key if tokens are asked for -> limits by user, address and token -> lottery
// -> purchase token -> limit by SKU. A purchase token is read once, before the limit that needs it. Whoever is on the
// list of those who are let in skips limits and lottery. Whoever holds a good purchase token skips the lottery. An
// entry into a draw goes the same way, where there is a draw.
//
// EnterSale goes the same way, too, but it earns the token instead of showing it: after the lottery, or the waiting
// room in its place, comes the challenge, the captcha or the delay. Only EnterSale asks the room and the risk rules. A
// claim needs no more than the token that it gave, so who was let in goes on, whatever becomes of the room. Risk rules
// come before the limits, since they say how many tries an EnterSale counts as; they may refuse it, too.
//
// The limit by SKU comes last, so that claims without a token or luck, and buyers who wait in a room, cannot use up the
// tries of all buyers. A try that the lottery, the room or the token refuses stays counted by user, address and token,
// since these limits are against floods. A try that a limit refuses is counted by none.
//
// The state is immutable and changed as a whole. A claim takes a reader's lock for as long as it copies a pointer, and
// makes no I/O.
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
#include "server/admission/door_rooms.h"
#include "server/admission/door_state.h"
#include "server/admission/door_visit.h"
#include "server/admission/homes.h"
#include "server/admission/rate_key.h"
#include "server/admission/rate_table.h"
#include "server/admission/turn_queue.h"
#include "storage/clock.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies.
class FrontDoor : public quota::SaleGate {
 public:
  // `table_bytes` of memory are taken with the first policy that needs a rate table, by the thread that sets it.
  // `clock` is that of `turns`.
  FrontDoor(size_t table_bytes, TurnQueue* turns, const storage::Clock* clock = storage::Clock::Real());
  ~FrontDoor() override;

  // What is checked from now on; before the first state, the door is open. A rate table that was made stays, with its
  // counts, and so do the rooms whose rounds go on. The state before is kept until the next call: it is large, and
  // should not end on a claim's thread.
  void SetState(std::shared_ptr<const DoorState> state);
  // Before the first: this node is everybody's home.
  void SetHomes(std::shared_ptr<const Homes> homes);
  std::shared_ptr<const DoorState> state() const;

  // SaleGate.
  bool closed_to_some() const override { return closed_to_some_.load(std::memory_order_acquire); }
  quota::GateVerdict Check(absl::Span<const quota::GateLine> lines, absl::Time now, absl::Time deadline) override;
  bool Park(absl::Duration wait, absl::AnyInvocable<void()> go_on) override;

  // What a service mode has buyers' changes of reservations refused with; nothing: they are made. One load while they
  // are.
  std::optional<quota::Refused> RefusesChanges() const;

  // As Check for a claim of this SKU, but for an entry into its draw: kDrawNotOpen if its policy has none. Whether the
  // ledger has a draw that is open, the ledger says. Call Park if it is to wait.
  quota::GateVerdict CheckDrawEntry(const std::string& sku_id, const std::string& user_id,
                                    const quota::Visitor& visitor, absl::Time now, absl::Time deadline);

  // What Enter would need to know to judge this visit: nothing if it would refuse it whatever is said, or if its answer
  // does not go by it, since nobody outside should be asked in vain. Counts no try.
  DoorNeeds NeedsOf(const DoorVisit& visit, absl::Time now) const;

  // The answer to a visit that does not come so far, since too many are asked about outside at once; counted as one
  // that the limit by user refuses, but for the policy's counts of tries.
  quota::Refused HoldBack(absl::Duration retry_after);

  // One try, like a claim, or as many as the risk rules say; then the lottery or the room, what is to be done for the
  // token, and the token. The limit by SKU counts it only
  // if it would earn what it came for. Does not check terms or units: that nobody may enter, the caller says. Then, and
  // while a service mode limits, nobody is let in through a room, also not who is on the list of those who are let in:
  // they have a place, and are not counted; at other times they have none. A buyer is counted as one who waits once in
  // their interval at this node, whatever tickets they show. A solution is only looked at where the policy asks for
  // one; verifying it takes about 0.1 ms. Where a score is needed by now that the caller could have asked for and did
  // not, since NeedsOf said otherwise, they are refused for a moment. `deadline`: as for Check.
  DoorEntry Enter(const DoorVisit& visit, absl::Time now, absl::Time deadline);

  // What all checks say, in their order, by one state. Counts no try.
  struct Explanation {
    std::shared_ptr<const DoorState> state;  // never null
    std::vector<DoorOpinion> opinions;
  };
  Explanation Explain(const DoorQuestion& question, absl::Time now) const;

  const DoorCounts& counts() const { return counts_; }
  // Thread-safe. Which rooms there are, SetState says; how far they are, whoever hears of it.
  DoorRooms& rooms() { return rooms_; }
  // Null before the first policy with a limit, or a risk rule about refused tries.
  const RateTable* table() const { return table_.load(std::memory_order_acquire); }

 private:
  // Never null. A claim's checks all go by the one that it asks for.
  std::shared_ptr<const DoorView> View() const {
    absl::ReaderMutexLock lock(&view_mutex_);
    return view_;
  }
  void Publish(std::shared_ptr<const DoorState> state, std::shared_ptr<const Homes> homes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const size_t table_bytes_;
  TurnQueue* const turns_;
  const storage::Clock* const clock_;
  const RateKeyHasher hasher_;
  DoorCounts counts_;
  DoorRooms rooms_;

  std::atomic<bool> closed_to_some_{false};
  std::atomic<bool> changes_refused_{false};
  std::atomic<const RateTable*> table_{nullptr};

  absl::Mutex mutex_;  // of those who change something
  std::unique_ptr<RateTable> made_table_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const DoorState> state_before_ ABSL_GUARDED_BY(mutex_);
  // Only while the pointer is copied or changed; comes after mutex_.
  mutable absl::Mutex view_mutex_;
  std::shared_ptr<const DoorView> view_ ABSL_GUARDED_BY(view_mutex_);
};

}  // namespace tranche::server
