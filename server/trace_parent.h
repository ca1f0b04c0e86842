// The W3C trace context that a caller may send, https://www.w3.org/TR/trace-context/.
#pragma once

#include "absl/strings/string_view.h"

namespace tranche::server {

// The trace id within the value of a traceparent header: 32 lower-case hexadecimal digits. A view into the header. ""
// when the header is malformed by the specification, or has a length that no valid header has.
absl::string_view TraceIdOf(absl::string_view traceparent);

}  // namespace tranche::server
