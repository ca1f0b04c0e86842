// How a loop waits for a ledger that does not answer: longer each time, and without logging every try.
#pragma once

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/worker/retry_policy.h"
#include "storage/clock.h"

namespace tranche::server {

// Thread-safe.
class LedgerTrouble {
 public:
  // `what` is for the log: what cannot be done. The default wait is short, because the units of lapsed holds are
  // waiting.
  LedgerTrouble(std::string what, storage::Clock* clock, RandomSource random,
                BackoffBounds pause = {absl::Milliseconds(200), absl::Seconds(2)})
      : what_(std::move(what)), clock_(clock), random_(std::move(random)), pause_(pause) {}

  // Returns how long to wait.
  absl::Duration Failed(const absl::Status& status);
  void Answered();

  // How often a failure of the ledger was logged.
  int told() const;

 private:
  const std::string what_;
  storage::Clock* const clock_;
  const RandomSource random_;
  const BackoffBounds pause_;
  mutable absl::Mutex mutex_;
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status last_told_ ABSL_GUARDED_BY(mutex_);
  absl::Time tell_again_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int told_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::server
