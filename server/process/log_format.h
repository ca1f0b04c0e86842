// How a log line looks: one line for each message, whatever bytes it has, as text or as JSON.
//
//   2026-11-29T11:20:00.123456Z WARNING tranched node-1/42 front_node.cc:112 trace=0af7... request=r-17] message
//   {"time":"...","level":"WARNING","program":"tranched","node":"node-1","incarnation":42,"source":"front_node.cc:112",
//    "trace":"0af7...","request":"r-17","event":"sale.sold_out","fields":{"sku":"tv"},"message":"..."}
//
// What is not known is "-" in text (node), or is left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/base/log_event.h"
#include "storage/base/log_trace.h"

namespace tranche::server {

enum class LogFormat { kText, kJson };

// The longest line, its end included. Longer messages are cut, and say so.
inline constexpr size_t kMaxLogLineBytes = 8192;

struct LogLine {
  absl::Time time;
  absl::string_view level;
  absl::string_view program;
  absl::string_view node;   // "" for none
  int64_t incarnation = 0;  // 0 for none
  absl::string_view file;
  int line = 0;
  absl::string_view message;
  const LogTrace* trace = nullptr;     // null for none
  const LoggedEvent* event = nullptr;  // null for a line that is no event
};

// With its end of line. Pure; never fails.
std::string FormatLogLine(LogFormat format, const LogLine& line);

// The text with control characters and bytes that are no UTF-8 escaped as in C (\n, \x1b): nothing of it can end the
// line or reach a terminal as a command. At most `most` bytes, "...[cut]" at the end if that was not all.
std::string EscapeLogText(absl::string_view text, size_t most);
// The inside of a JSON string; a byte that is no UTF-8 becomes U+FFFD.
std::string EscapeJson(absl::string_view text, size_t most);

// From now on every line of glog goes to stderr in this format, by one write. Call once, after
// google::InitGoogleLogging. `program` must outlive everything. The stack that follows a FATAL line stays as glog
// prints it.
void WriteLogToStderr(LogFormat format, const char* program);

}  // namespace tranche::server
