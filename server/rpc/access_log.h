// A line in the log for calls that have ended, for those who ask for it (--access-log): of so many calls, up to a
// bound, and not of requests that cannot be read. A stream or a watch has one line, at its end.
//
// A line has the method, the code, the reason, the time it took, the caller's address, the reservation if the request
// names a single one, and the caller's trace. Not the user id: that is personal data, and logs are kept and read by
// others than the ledger is. An address may be personal data, too.
#pragma once

#include <grpcpp/support/status.h>
#include <unistd.h>

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
  // internal error or an unknown outcome. `log` is where the lines go. While nobody reads there, and it is full, calls
  // have no lines: the threads that answer buyers would wait for the reader. Only those who write at the same moment
  // may still do so.
  AccessLog(AccessLogMode mode, int sample, storage::Clock* clock, int log = STDERR_FILENO)
      : mode_(mode), sample_(sample), clock_(clock), log_(log) {}

  // Whether the call that ends with this code has a line. Counts it; what is left out is told in a line of its own, in
  // a later second, once there is room again.
  bool Takes(grpc::StatusCode code);
  absl::Time Now() { return clock_->Now(); }

 private:
  bool HasRoom();

  const AccessLogMode mode_;
  const int sample_;
  storage::Clock* const clock_;
  const int log_;
  std::atomic<uint64_t> sampled_{0};

  absl::Mutex mutex_;
  int64_t second_ ABSL_GUARDED_BY(mutex_) = 0;  // the one that the lines are of
  int lines_ ABSL_GUARDED_BY(mutex_) = 0;
  bool may_tell_ ABSL_GUARDED_BY(mutex_) = true;  // not yet in this second
  int64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;  // not told yet
};

}  // namespace tranche::server
