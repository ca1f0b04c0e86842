#include "storage/ledger/trace_text.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"

namespace tranche::storage {
namespace {

// Version, trace id, the caller's span and flags, https://www.w3.org/TR/trace-context/. Checked when the call comes in;
// here only whether others can be given it.
constexpr size_t kTraceparentBytes = 55, kTraceId = 3, kTraceIdBytes = 32;
constexpr size_t kMaxRequestIdBytes = 128;

bool IsGraphic(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); });
}

bool IsTraceparent(absl::string_view text) { return text.size() == kTraceparentBytes && IsGraphic(text); }

bool IsRequestId(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxRequestIdBytes && IsGraphic(text);
}

}  // namespace

std::string TraceText(const TraceTag& trace) {
  std::string text;
  if (trace == nullptr) return text;
  if (IsTraceparent(trace->traceparent)) text = trace->traceparent;
  if (IsRequestId(trace->request_id)) text.append(" ").append(trace->request_id);
  return text;
}

TraceTag TraceOfText(absl::string_view text) {
  const size_t space = std::min(text.find(' '), text.size());
  const absl::string_view traceparent = text.substr(0, space);
  const absl::string_view request_id = text.substr(std::min(space + 1, text.size()));
  LogTrace trace;
  if (IsTraceparent(traceparent)) {
    trace.traceparent = std::string(traceparent);
    trace.trace_id = trace.traceparent.substr(kTraceId, kTraceIdBytes);
  }
  if (IsRequestId(request_id)) trace.request_id = std::string(request_id);
  if (trace.traceparent.empty() && trace.request_id.empty()) return nullptr;
  return std::make_shared<const LogTrace>(std::move(trace));
}

}  // namespace tranche::storage
