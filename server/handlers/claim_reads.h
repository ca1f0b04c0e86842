// Reads the rows of queued claims for the many who ask whether theirs is decided: one read at a time, for all who came
// meanwhile. So they take one thread of those that lists are read by, however many they are.
#pragma once

#include <deque>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/books.h"
#include "storage/clock.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies; outlives the reads that it has begun.
class ClaimReads {
 public:
  // Called exactly once, inline or on another thread; must not block.
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::vector<storage::Reservation>>)>;

  // More do not wait for the next read.
  static constexpr size_t kMostWaiting = 4096;

  ClaimReads(storage::Books* books, storage::Clock* clock) : books_(books), clock_(clock) {}

  // As Books::ReadAll, of the ids of one claim or cart: from 1 to kMaxCartLines. kResourceExhausted, too, if too many
  // wait.
  void Read(std::vector<storage::Uuid> ids, absl::Time deadline, Done done) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Waiting {
    std::vector<storage::Uuid> ids;
    absl::Time deadline;
    Done done;
  };

  // Reads for those who wait, if any: then the next one begins when this one has ended.
  void ReadNext() ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<Waiting> TakeBatch() ABSL_LOCKS_EXCLUDED(mutex_);

  storage::Books* const books_;
  storage::Clock* const clock_;
  absl::Mutex mutex_;
  bool under_way_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
