// As OpenLoopCaller, but each claim is a call of its own (CreateReservation) with a deadline of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/load/histogram.h"
#include "tests/benchmark/open_loop_caller.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::benchmark {

// Of one run. `streams` is the number of connections; claims that the caller itself is too late for are not sent.
class OpenLoopCalls {
 public:
  explicit OpenLoopCalls(OpenLoopOptions options);
  ~OpenLoopCalls();

  OpenLoopResult Run(absl::Duration duration);
  const load::Histogram& latency() const { return *latency_; }

 private:
  struct Call;

  void Start(absl::Time due, uint64_t number);
  void End(const Call& call);

  const OpenLoopOptions options_;
  const std::string user_prefix_;
  std::unique_ptr<load::Histogram> latency_;
  std::vector<std::unique_ptr<tranche::v1::ReservationService::Stub>> stubs_;
  absl::Mutex mutex_;
  OpenLoopResult result_ ABSL_GUARDED_BY(mutex_);
  int64_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::benchmark
