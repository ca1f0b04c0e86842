// The trace of the call that made a change, as the ledger keeps it with the messages about the change: one text, so
// that later versions may keep more of it without another column.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "storage/base/log_trace.h"

namespace tranche::storage {

// The traceparent, or nothing, and after a space the request id, if there is one. "" for null and for a trace with
// neither. What is no header of its kind is left out: it would be sent on to others, and may be too long for the
// ledger.
std::string TraceText(const TraceTag& trace);

// Reads it back. It may come from another version: what is no header of its kind counts as none. Null if nothing is
// left.
TraceTag TraceOfText(absl::string_view text);

}  // namespace tranche::storage
