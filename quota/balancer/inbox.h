// Passes what the balancer hears from the threads that hear it to the one that runs the rounds.
#pragma once

#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::quota {

// What to look at.
struct News {
  bool everything = false;
  bool leader = false;
  bool nodes = false;
  bool demand = false;
  std::set<storage::IncarnationId> reports = {};  // whose demand reports

  void Add(const News& more);
};

// Thread-safe.
class Inbox {
 public:
  // Something was heard; the next round is due at once.
  void Note(absl::FunctionRef<void(News&)> note);
  // Nothing was heard, but there is more to do at once.
  void Again();

  // All that was heard since the last time.
  News Take();
  // Has anything come since the last Take?
  bool HasWork() const;

  // Waits for work, at most this long. Returns false if the inbox was closed.
  bool Await(absl::Duration patience);
  void Close();

 private:
  mutable absl::Mutex mutex_;
  News news_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche::quota
