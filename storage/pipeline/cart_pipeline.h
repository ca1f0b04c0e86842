// The way of carts to one ledger. Each is committed by itself, on a thread of an executor, where it waits for the slots
// of all its SKUs.
//
// The threads are few, and another transaction may lock a SKU for long. So that it holds up the carts with that SKU
// only:
//   - of each SKU, only kMostPerSku carts are under way at a time; the others queue up here. That costs nothing: a
//     node's carts for a SKU lock the same slots, and so one after the other.
//   - a cart that has waited in vain is tried once more without waiting, to learn which of its SKUs are locked. From
//     then on it is *slow*, as requests of the other pipelines are (request_queues.h), and so is every cart with a SKU
//     that holds up a slow one. One thread tries slow carts until they succeed or their deadlines are near: the first
//     of each turn waits for its locks for a moment, because short transactions that follow each other closely would
//     otherwise keep them from it for ever; the others do not wait, nor does one that would be answered too late after
//     that. One that would hold SKUs that are not slow waits in few turns only.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/clock.h"
#include "storage/executor.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "storage/pipeline/commit_metrics.h"

namespace tranche::storage {

// Thread-safe. Outlives the executor's tasks.
class CartPipeline {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<CartResult>)>;

  // How often TrySlow should be called.
  static constexpr absl::Duration kTryInterval = absl::Milliseconds(50);

  CartPipeline(LifecycleLedger* ledger, Executor* executor, Clock* clock)
      : ledger_(*ledger), executor_(*executor), clock_(*clock) {}

  // Calls `done` exactly once: inline when refused, else on another thread. It must not block. Errors: see Books.
  // kUnavailable, too, for a cart that was slow until there was no time for another try before its deadline;
  // IsUnknownCommit if it was in doubt, too.
  void Submit(IncarnationId incarnation, std::vector<ReservationClaim> lines, absl::Time deadline, Done done);

  // Answers carts that wait here and whose deadlines have passed, those of slow ones by the time of the next call, and
  // has the other slow ones tried. Does not block.
  void TrySlow();

  // Refuses the carts that wait here, and later ones. Those that are under way get the ledger's answer. Repeating it is
  // harmless.
  void Stop();

  // Carts that wait here, and how many of them are slow.
  size_t waiting() const;
  size_t slow() const;
  // A cart is a batch of its own: its size is the number of its lines.
  const CommitMetrics& metrics() const { return metrics_; }

 private:
  struct Cart {
    IncarnationId incarnation;
    std::vector<ReservationClaim> lines;
    absl::Time deadline;
    Done done;
    std::vector<std::string> skus;       // of its lines, each once
    std::vector<std::string> slow_skus;  // of these, those that hold it up
    bool slow = false;
    bool in_doubt = false;                        // an earlier try may have been committed
    absl::Time queued_at = absl::InfinitePast();  // see CommitMetrics
  };
  using CartPtr = std::shared_ptr<Cart>;
  using Carts = std::vector<CartPtr>;
  using SkuCounts = absl::flat_hash_map<std::string, int>;  // of carts, by SKU; none is zero
  using Result = absl::StatusOr<CartResult>;

  Result Try(Cart& cart, LockMode mode);
  // On the executor. It counts as under way.
  void Commit(const CartPtr& cart);
  void CommitSlow();
  // The cart is decided, or slow.
  void Settle(const CartPtr& cart, Result result);
  void Answer(const CartPtr& cart, Result result);
  // Hands them to the executor. They count as under way.
  void Send(const Carts& carts);

  // One that is not slow: what becomes of it now. True: it goes, and counts as under way. `ahead`: SKUs that earlier
  // ones are waiting for; otherwise a cart of several SKUs would never find a place for all of them.
  bool MayGo(const CartPtr& cart, const SkuCounts& ahead) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Enqueue(const CartPtr& cart) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // One that was under way is not any more. Returns those that go in its place.
  Carts NextAfter(const Cart& cart) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `slow_skus`: what holds it up, as far as it is known now; empty: as before.
  void MakeSlow(const CartPtr& cart, std::vector<std::string> slow_skus) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetSlowSkusOf(const Cart& cart) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<std::string> SlowSkusOf(const Cart& cart) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  CartPtr NextSlow();

  LifecycleLedger& ledger_;
  Executor& executor_;
  Clock& clock_;
  CommitMetrics metrics_;

  mutable absl::Mutex mutex_;
  std::deque<CartPtr> queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<CartPtr> slow_ ABSL_GUARDED_BY(mutex_);
  SkuCounts queued_ ABSL_GUARDED_BY(mutex_);     // of those in queue_
  SkuCounts under_way_ ABSL_GUARDED_BY(mutex_);  // of those that are, without the slow ones
  SkuCounts slow_skus_ ABSL_GUARDED_BY(mutex_);  // of unanswered slow ones: SKUs that hold them up
  bool slow_under_way_ ABSL_GUARDED_BY(mutex_) = false;
  int turns_without_waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche::storage
