// Counts groups that have ended: each once, although several answers may tell of one end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "storage/uuid.h"

namespace tranche::server {

// Thread-safe.
class EndedGroups {
 public:
  // Answers about one end come in one batch, or soon after it.
  static constexpr size_t kRemembered = 4096;

  // Not counted again while it is remembered.
  void Note(const storage::Uuid& group_id) {
    absl::MutexLock lock(&mutex_);
    if (!known_.insert(group_id).second) return;
    oldest_first_.push_back(group_id);
    ++count_;
    if (oldest_first_.size() <= kRemembered) return;
    known_.erase(oldest_first_.front());
    oldest_first_.pop_front();
  }

  int64_t count() const {
    absl::MutexLock lock(&mutex_);
    return count_;
  }

 private:
  mutable absl::Mutex mutex_;
  absl::flat_hash_set<storage::Uuid> known_ ABSL_GUARDED_BY(mutex_);
  std::deque<storage::Uuid> oldest_first_ ABSL_GUARDED_BY(mutex_);
  int64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::server
