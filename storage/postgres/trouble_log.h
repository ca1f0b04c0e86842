// Logs why PostgreSQL fails, and what to do about it. Thousands of requests fail for one cause: each cause is told at
// most once a minute.
#pragma once

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/clock.h"
#include "storage/postgres/postgres_error.h"

namespace tranche::storage {

// Thread-safe.
class TroubleLog {
 public:
  // `who` begins each line: whose connections they are.
  TroubleLog(std::string who, const Clock* clock) : who_(std::move(who)), clock_(clock) {}

  // Says nothing of errors that need no operator: refusals and deadlocks.
  void Note(const PostgresError& error);

  // How many lines were logged.
  int told() const;

 private:
  const std::string who_;
  const Clock* const clock_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, absl::Time> last_told_ ABSL_GUARDED_BY(mutex_);  // by SQLSTATE
  int told_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::storage
