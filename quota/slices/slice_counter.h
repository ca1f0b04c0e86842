// The local counter: how many units of its slice a node may still grant.
//
//   free = allotted (announced) - spent (granted here and not given back, in flight included)
//
// kept as one atomic number, so that a grant or a refusal costs one atomic operation, no lock and no I/O. Announcements
// are cumulative: applying one twice, or skipping some, does no harm.
#pragma once

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "storage/mutation.h"

namespace tranche::quota {

// Thread-safe.
class SliceCounter {
 public:
  // Takes `units` (>= 1) if that many are free. A refusal only reads, so that a sold-out SKU's cache line stays shared.
  bool TryTake(int64_t units) {
    int64_t free = free_.load(std::memory_order_relaxed);
    while (free >= units) {
      if (free_.compare_exchange_weak(free, free - units, std::memory_order_relaxed)) return true;
    }
    return false;
  }

  // Returns units that TryTake took and that the ledger did not book.
  void GiveBack(int64_t units) { free_.fetch_add(units, std::memory_order_relaxed); }

  // Applies an announcement. False, changing nothing, if one of the same or a newer version was applied before.
  bool Apply(int64_t allotted, int64_t version) {
    absl::MutexLock lock(&mutex_);
    const bool older = version <= version_.load(std::memory_order_relaxed);
    if (older && !storage::Mutated(storage::Mutation::kUnorderedAnnouncements)) return false;
    // Below zero while units that are in flight are withdrawn: nothing is granted until it is positive again.
    free_.fetch_add(allotted - allotted_, std::memory_order_relaxed);
    if (storage::Mutated(storage::Mutation::kInFlightNotCounted)) free_.store(allotted);
    allotted_ = allotted;
    version_.store(version, std::memory_order_relaxed);
    return true;
  }

  // As last announced.
  int64_t allotted() const {
    absl::MutexLock lock(&mutex_);
    return allotted_;
  }
  // May be negative, see Apply.
  int64_t free() const { return free_.load(std::memory_order_relaxed); }
  // The version of the last announcement applied; 0 before the first.
  int64_t version() const { return version_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> free_{0};
  std::atomic<int64_t> version_{0};
  mutable absl::Mutex mutex_;
  int64_t allotted_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::quota
