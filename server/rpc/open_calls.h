// Detects calls that are not answered long after their deadline: a queue, thread or callback has lost the request, or
// it hangs at the ledger.
//
// It only counts the calls that began and the calls that were answered, per kind and per second in which they become
// overdue. So it does not depend on the code that should answer, takes no lock and allocates nothing: two atomic
// additions per call.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "storage/clock.h"

namespace tranche::server {

enum class CallKind : uint8_t { kReservation, kCart, kConfirm, kCancel, kExtend, kGet, kList };
inline constexpr size_t kCallKinds = 7;
// In their order.
inline constexpr std::array<const char*, kCallKinds> kCallKindNames = {"reservation", "cart", "confirm", "cancel",
                                                                       "extend",      "get",  "list"};

// A call that began. Only data: a call that is dropped without an answer stays counted, as its caller is left waiting.
struct OpenCall {
  CallKind kind = CallKind::kReservation;
  int64_t overdue_at = 0;  // in seconds since 1970
};

// By kind, in the order of CallKind.
struct OverdueCalls {
  std::array<int64_t, kCallKinds> open{};     // overdue and not answered yet
  std::array<int64_t, kCallKinds> noticed{};  // including those that were answered later
};

// Thread-safe. Outlived by the clock.
class OpenCalls {
 public:
  // A call is overdue 1 to 2 s after its deadline. A deadline that is missing or further away than `max_deadline`
  // counts as `max_deadline`.
  OpenCalls(storage::Clock* clock, absl::Duration max_deadline);
  OpenCalls(const OpenCalls&) = delete;
  OpenCalls& operator=(const OpenCalls&) = delete;

  OpenCall Begin(CallKind kind, std::optional<absl::Time> deadline);
  // Once per call, when it is answered.
  void End(OpenCall call);

  // Looks for calls that have become overdue, and logs each once. True while a call is overdue that sells or changes
  // something. Reads and lists do not count: they wait for few threads, so in an overload they are late at all nodes at
  // once, and callers would find no node although each still sells. A ledger that hangs holds up the other kinds, too.
  // Call it once a second, on one thread. An answer that comes during a check may only be seen by the next one.
  bool Check();

  OverdueCalls Overdue() const;

 private:
  struct Kind {
    std::vector<std::atomic<int64_t>> open;  // by overdue_at, modulo the size
    std::atomic<int64_t> overdue{0};         // moved out of `open` by Check
    std::atomic<int64_t> noticed{0};
    bool told = false;  // only in Check
  };

  Kind& Of(CallKind kind) { return kinds_[static_cast<size_t>(kind)]; }
  std::atomic<int64_t>& Slot(Kind& kind, int64_t second) const {
    return kind.open[static_cast<size_t>(second) % slots_];
  }
  // Of all calls of the kind that are overdue at `now`.
  int64_t TakeOverdue(Kind& kind, int64_t now) const;

  storage::Clock* const clock_;
  const absl::Duration max_deadline_;
  const int64_t horizon_;  // how far ahead a call that begins now may become overdue
  const size_t slots_;
  std::array<Kind, kCallKinds> kinds_;
  // The slots up to this second have been taken. On its own cache line, away from the counts, which every call writes.
  alignas(64) std::atomic<int64_t> taken_until_;
};

}  // namespace tranche::server
