// A client as thin as gRPC allows: CreateReservation with a fixed number in flight, no retries, and nothing per call
// that gRPC does not need.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/internal/channel_security.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::benchmark {

struct RawResult {
  uint64_t calls = 0;
  double per_second = 0;
  // Counts by the reason in the error, "OK", or the status code's number.
  std::map<std::string, uint64_t> outcomes;
};

class RawCaller {
 public:
  // `refusal_in_response`: as in the request. `security`: of the channels and calls; outlives this.
  RawCaller(const std::string& address, const std::string& sku, int in_flight, int channels, bool refusal_in_response,
            internal::ChannelSecurity* security);
  ~RawCaller();

  // Calls for that long, then waits for outstanding answers; counts only answers within the time.
  RawResult Run(absl::Duration duration);

 private:
  class Slot;

  void SlotIdle();

  std::vector<std::unique_ptr<tranche::v1::ReservationService::Stub>> stubs_;
  std::vector<std::unique_ptr<Slot>> slots_;
  absl::Mutex mutex_;
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::benchmark
