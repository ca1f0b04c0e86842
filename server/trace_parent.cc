#include "server/trace_parent.h"

#include <algorithm>

namespace tranche::server {
namespace {

// version "-" trace id "-" parent id "-" flags
constexpr size_t kTraceId = 3, kParentId = 36, kFlags = 53, kLength = 55;
constexpr size_t kTraceIdLength = 32, kParentIdLength = 16;

bool IsLowerHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsId(absl::string_view text) {
  return IsLowerHex(text) && std::any_of(text.begin(), text.end(), [](char c) { return c != '0'; });
}

}  // namespace

absl::string_view TraceIdOf(absl::string_view traceparent) {
  // Versions after 00 may append fields; none is defined yet.
  if (traceparent.size() != kLength) return "";
  if (traceparent[kTraceId - 1] != '-' || traceparent[kParentId - 1] != '-' || traceparent[kFlags - 1] != '-')
    return "";
  const absl::string_view version = traceparent.substr(0, 2);
  if (!IsLowerHex(version) || version == "ff" || !IsLowerHex(traceparent.substr(kFlags))) return "";
  const absl::string_view trace_id = traceparent.substr(kTraceId, kTraceIdLength);
  return IsId(trace_id) && IsId(traceparent.substr(kParentId, kParentIdLength)) ? trace_id : "";
}

}  // namespace tranche::server
