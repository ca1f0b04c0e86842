// One line in the log for each call that ends, for those who ask for it (--access-log).
//
// A line has the method, the code, the reason, the time it took, the caller's address, the reservation if the request
// names one, and the caller's trace. Never who the buyer is: user ids are personal data, and logs are kept and read by
// others than the ledger is.
#pragma once

#include <grpcpp/support/status.h>

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/process/options.h"
#include "storage/clock.h"

namespace tranche::server {

// Thread-safe.
class AccessLog {
 public:
  static constexpr int kMostLinesPerS = 1000;

  // `mode` is not kOff: without a line there is no AccessLog. One of `sample` calls has a line, and each that met an
  // internal error or an unknown outcome.
  AccessLog(AccessLogMode mode, int sample, storage::Clock* clock) : mode_(mode), sample_(sample), clock_(clock) {}

  // Whether the call that ends with this code has a line. Counts it; what the bound leaves out is told in a line of its
  // own, once there is room again.
  bool Takes(grpc::StatusCode code);
  absl::Time Now() { return clock_->Now(); }

 private:
  bool HasRoom();

  const AccessLogMode mode_;
  const int sample_;
  storage::Clock* const clock_;
  std::atomic<uint64_t> sampled_{0};

  absl::Mutex mutex_;
  int64_t second_ ABSL_GUARDED_BY(mutex_) = 0;  // the one that the lines are of
  int lines_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;  // not told yet
};

}  // namespace tranche::server
