// Which call a log line, or the message about a change, comes from: the ids by which its caller finds them again.
//
// A thread that works for a call says so with a ScopedTrace; every line that it logs meanwhile carries the ids, and
// what it hands on to other threads can take them along with CurrentTrace.
#pragma once

#include <memory>
#include <string>
#include <utility>

namespace tranche {

struct LogTrace {
  std::string trace_id;    // of the W3C header traceparent, 32 hex digits; "" for none
  std::string request_id;  // of the header x-request-id, printable ASCII without spaces; "" for none
  // The header itself, as it came: it names the caller's span, too. "" for none.
  std::string traceparent = {};
};

// Null for a call that came with no such header: then it costs nothing to keep and to copy.
using TraceTag = std::shared_ptr<const LogTrace>;

namespace log_trace_internal {
inline TraceTag& Current() {
  static thread_local TraceTag current;
  return current;
}
}  // namespace log_trace_internal

// Of this thread; null for none.
inline const TraceTag& CurrentTrace() { return log_trace_internal::Current(); }

// Until it goes, this thread works for the call; null: for one without a trace. May be nested.
class ScopedTrace {
 public:
  explicit ScopedTrace(TraceTag tag) : before_(std::exchange(log_trace_internal::Current(), std::move(tag))) {}
  ~ScopedTrace() { log_trace_internal::Current() = std::move(before_); }
  ScopedTrace(const ScopedTrace&) = delete;
  ScopedTrace& operator=(const ScopedTrace&) = delete;

 private:
  TraceTag before_;
};

}  // namespace tranche
