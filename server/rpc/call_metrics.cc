#include "server/rpc/call_metrics.h"

#include <algorithm>
#include <utility>

namespace tranche::server {
namespace {

// As Go writes them, by their numbers.
constexpr const char* kCodeNames[] = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

const char* NameOfType(CallType type) {
  switch (type) {
    case CallType::kUnary:
      return "unary";
    case CallType::kServerStream:
      return "server_stream";
    case CallType::kClientStream:
      return "client_stream";
    case CallType::kBidiStream:
      return "bidi_stream";
  }
  return "";
}

double AsDouble(int64_t count) { return static_cast<double>(count); }

}  // namespace

MethodMetrics::MethodMetrics(CallType type, absl::string_view service, absl::string_view method, storage::Clock* clock)
    : type_(type),
      labels_{{"grpc_type", NameOfType(type)},
              {"grpc_service", std::string(service)},
              {"grpc_method", std::string(method)}},
      clock_(clock) {
  static_assert(std::size(kCodeNames) == kCodes);
}

bool MethodMetrics::IsOf(absl::string_view service, absl::string_view method) const {
  return labels_[1].second == service && labels_[2].second == method;
}

absl::Time MethodMetrics::Begin() {
  started_.Add();
  return clock_->Now();
}

void MethodMetrics::End(grpc::StatusCode code, absl::Time began) {
  const auto number = static_cast<size_t>(code);
  if (number < kCodes) handled_[number].fetch_add(1, std::memory_order_relaxed);
  // The clock may have been set meanwhile.
  handling_.Observe(std::max(absl::ZeroDuration(), clock_->Now() - began));
}

int64_t MethodMetrics::received() const {
  const bool streams = type_ == CallType::kClientStream || type_ == CallType::kBidiStream;
  return streams ? received_.value() : started_.value();
}

int64_t MethodMetrics::sent() const {
  const bool streams = type_ == CallType::kServerStream || type_ == CallType::kBidiStream;
  return streams ? sent_.value() : handled_[grpc::StatusCode::OK].load(std::memory_order_relaxed);
}

void MethodMetrics::AddTo(MetricSet* metrics) const {
  metrics->AddCounter("grpc_server_started_total", "Calls that have begun.", AsDouble(started_.value()), labels_);
  for (size_t code = 0; code < kCodes; ++code) {
    const int64_t count = handled_[code].load(std::memory_order_relaxed);
    // All 17 for each method would be a thousand series. The rate of the others is not zero, but absent.
    if (count == 0 && code != grpc::StatusCode::OK) continue;
    MetricLabels labels = labels_;
    labels.emplace_back("grpc_code", kCodeNames[code]);
    metrics->AddCounter("grpc_server_handled_total", "Calls that were answered, whoever still listened, by code.",
                        AsDouble(count), labels);
  }
  metrics->AddCounter("grpc_server_msg_received_total", "Messages that were received; a frame of a stream is one.",
                      AsDouble(received()), labels_);
  metrics->AddCounter("grpc_server_msg_sent_total", "Messages that were sent; a frame of a stream is one.",
                      AsDouble(sent()), labels_);
  if (started_.value() == 0) return;
  metrics->AddHistogram("grpc_server_handling_seconds", "Time from the beginning of a call to its answer.",
                        handling_.values(), labels_);
}

MethodMetrics* CallMetrics::Add(CallType type, absl::string_view service, absl::string_view method) {
  for (MethodMetrics& known : methods_) {
    if (known.IsOf(service, method)) return &known;
  }
  return &methods_.emplace_back(type, service, method, clock_);
}

void CallMetrics::Collect(MetricSet* metrics) {
  for (const MethodMetrics& method : methods_) method.AddTo(metrics);
}

}  // namespace tranche::server
