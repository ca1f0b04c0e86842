// How a loop bears a ledger that does not answer: it waits, longer each time, and says so, not at every try.
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
  // `what` is for the log: what cannot be done. By default it waits shortly: units of lapsed holds wait for it.
  LedgerTrouble(std::string what, storage::Clock* clock, RandomSource random,
                BackoffBounds pause = {absl::Milliseconds(200), absl::Seconds(2)})
      : what_(std::move(what)), clock_(clock), random_(std::move(random)), pause_(pause) {}

  // Returns how long to wait.
  absl::Duration Failed(const absl::Status& status);
  void Answered();

  // How often it was said that the ledger fails.
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
