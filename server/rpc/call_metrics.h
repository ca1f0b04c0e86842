// Counts calls by method, under the names of go-grpc-middleware, so that dashboards for these work.
#pragma once

#include <grpcpp/support/status.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/metrics/metric_set.h"
#include "storage/base/counter.h"
#include "storage/base/histogram.h"
#include "storage/clock.h"

namespace tranche::server {

enum class CallType : uint8_t { kUnary, kServerStream, kClientStream, kBidiStream };

// What is counted about one method. Thread-safe; takes no lock.
class MethodMetrics {
 public:
  // `service` with its package, as in the .proto.
  MethodMetrics(CallType type, absl::string_view service, absl::string_view method, storage::Clock* clock);

  // A call has begun; returns when.
  absl::Time Begin();
  // It is answered with this code, whether or not its caller still listens.
  void End(grpc::StatusCode code, absl::Time began);
  // Messages of a stream. Those of other calls follow from what is counted above.
  void Received() { received_.Add(); }
  void Sent() { sent_.Add(); }

  void AddTo(MetricSet* metrics) const;
  bool IsOf(absl::string_view service, absl::string_view method) const;

 private:
  static constexpr size_t kCodes = 17;

  int64_t received() const;
  int64_t sent() const;

  const CallType type_;
  const MetricLabels labels_;
  storage::Clock* const clock_;
  Counter started_;
  Counter received_;
  Counter sent_;
  std::array<std::atomic<int64_t>, kCodes> handled_{};
  Histogram handling_{LatencyBounds()};
};

// Of all methods of a process. A method that was never called shows zeros, and its times once it was.
class CallMetrics final : public MetricSource {
 public:
  explicit CallMetrics(storage::Clock* clock) : clock_(clock) {}

  // The method's counts, which live as long as this: the same ones if it is served at another port, too. Not beside
  // Collect.
  MethodMetrics* Add(CallType type, absl::string_view service, absl::string_view method);

  void Collect(MetricSet* metrics) override;

 private:
  storage::Clock* const clock_;
  std::deque<MethodMetrics> methods_;
};

// One call, from its beginning to its answer. Cheap to copy.
class CallMeter {
 public:
  // Counts nothing.
  CallMeter() = default;
  // The call begins. Null: counts nothing.
  explicit CallMeter(MethodMetrics* method) : method_(method) {
    if (method_ != nullptr) began_ = method_->Begin();
  }

  void End(grpc::StatusCode code) const {
    if (method_ != nullptr) method_->End(code, began_);
  }
  void Received() const {
    if (method_ != nullptr) method_->Received();
  }
  void Sent() const {
    if (method_ != nullptr) method_->Sent();
  }

 private:
  MethodMetrics* method_ = nullptr;
  absl::Time began_;
};

}  // namespace tranche::server
