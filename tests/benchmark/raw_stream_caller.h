// A client of StreamReservations as thin as gRPC allows: a fixed number of claims in flight on each stream, in frames
// of a fixed size or in single messages, without retries.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/benchmark/raw_caller.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::benchmark {

struct RawStreamOptions {
  std::string address;
  std::string sku;
  // More: so many in turn, with the names that SkuOfMany makes of `sku`. Each stream begins elsewhere, so that no two
  // walk the same ones in step, and goes on in the next run where it was.
  int skus = 1;
  int streams = 2;        // each on a connection of its own
  int in_flight = 1024;   // claims of each stream
  int frame_items = 256;  // 0: single messages
  internal::ChannelSecurity* security =
      nullptr;  // of the channels and calls; null: plaintext, and nobody in particular
};

class RawStreamCaller {
 public:
  explicit RawStreamCaller(RawStreamOptions options);
  ~RawStreamCaller();

  // Calls for that long, then waits for outstanding answers; counts only answers within the time. A stream that breaks
  // counts as the outcome "stream", with its status.
  RawResult Run(absl::Duration duration);

 private:
  class Stream;

  const RawStreamOptions options_;
  std::vector<std::string> skus_;  // that are bought, in turn
  std::vector<size_t> next_sku_;   // of each stream, of its next claim
  std::vector<std::unique_ptr<tranche::v1::ReservationService::Stub>> stubs_;
};

}  // namespace tranche::benchmark
