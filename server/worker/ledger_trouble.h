// How a loop bears a ledger that does not answer: it waits, longer each time, and says so once.
#pragma once

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/worker/retry_policy.h"

namespace tranche::server {

// Thread-safe.
class LedgerTrouble {
 public:
  // `what` is for the log: what cannot be done.
  LedgerTrouble(std::string what, RandomSource random) : what_(std::move(what)), random_(std::move(random)) {}

  // Returns how long to wait.
  absl::Duration Failed(const absl::Status& status);
  void Answered();

 private:
  const std::string what_;
  const RandomSource random_;
  absl::Mutex mutex_;
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::server
