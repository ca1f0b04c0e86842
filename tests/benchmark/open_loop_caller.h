// Buyers on StreamReservations who wait for nobody: their claims become due at a fixed rate, whatever became of earlier
// ones, and go out in frames. It keeps nothing for a claim, so one thread makes more load than a node can take.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/load/histogram.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::benchmark {

struct OpenLoopOptions {
  std::string address;
  std::string sku;
  int streams = 16;       // each on a connection of its own
  double per_second = 0;  // of all streams together; more than 0
  // Of each claim, from when it was due.
  absl::Duration deadline = absl::Seconds(2);
  // How long a claim may wait until its stream has room for it: then its buyer is turned away.
  absl::Duration patience = absl::Milliseconds(10);
  int frame_items = 256;
};

struct OpenLoopResult {
  uint64_t due = 0;
  uint64_t sent = 0;                            // the others found no room
  uint64_t in_time = 0;                         // were sold within the deadline
  std::map<std::string, uint64_t> others = {};  // the reason, or "stream"; "" if no answer came
  double seconds = 0;                           // while claims became due
};

// Over a connection that nothing else uses, without gRPC's retries.
std::unique_ptr<tranche::v1::ReservationService::Stub> ConnectAlone(const std::string& address);

// Of one run.
class OpenLoopCaller {
 public:
  explicit OpenLoopCaller(OpenLoopOptions options);
  ~OpenLoopCaller();

  // Claims become due for so long; then it waits until the deadline of the last one, and ends the streams.
  OpenLoopResult Run(absl::Duration duration);

  // From when a claim was due until it was sold; after Run.
  const load::Histogram& latency() const { return *latency_; }

 private:
  class Stream;

  const OpenLoopOptions options_;
  std::unique_ptr<load::Histogram> latency_;
  std::vector<std::unique_ptr<tranche::v1::ReservationService::Stub>> stubs_;
};

}  // namespace tranche::benchmark
