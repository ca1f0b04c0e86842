#include "server/rpc/open_calls.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "glog/logging.h"

namespace tranche::server {
namespace {

// A call counts from its deadline's second on, so it is overdue when its deadline is more than one second ago.
constexpr int64_t kGrace = 2;

bool IsLookOnly(CallKind kind) { return kind == CallKind::kGet || kind == CallKind::kList; }

}  // namespace

// Twice as many slots as can be in use: a late count in a slot that Check has already taken is found there by a later
// check, before the slot is used again.
OpenCalls::OpenCalls(storage::Clock* clock, absl::Duration max_deadline)
    : clock_(clock),
      max_deadline_(max_deadline),
      horizon_(absl::ToInt64Seconds(absl::Ceil(max_deadline, absl::Seconds(1))) + kGrace + 2),
      slots_(2 * static_cast<size_t>(horizon_)),
      taken_until_(absl::ToUnixSeconds(clock->Now())) {
  for (Kind& kind : kinds_) kind.open = std::vector<std::atomic<int64_t>>(slots_);
}

OpenCall OpenCalls::Begin(CallKind kind, std::optional<absl::Time> deadline) {
  const absl::Time now = clock_->Now();
  const absl::Time latest = now + max_deadline_;
  // A deadline that has already passed still leaves time to answer so.
  const absl::Time effective = std::clamp(deadline.value_or(latest), now, latest);
  const OpenCall call{kind, absl::ToUnixSeconds(effective) + kGrace};
  Slot(Of(kind), call.overdue_at).fetch_add(1, std::memory_order_relaxed);
  return call;
}

void OpenCalls::End(OpenCall call) {
  Kind& kind = Of(call.kind);
  const bool taken = call.overdue_at <= taken_until_.load(std::memory_order_relaxed);
  // If Check takes the slot at this moment, the slot is one too low and `overdue` one too high. Their sum stays right,
  // and the next check adds them up.
  std::atomic<int64_t>& count = taken ? kind.overdue : Slot(kind, call.overdue_at);
  count.fetch_sub(1, std::memory_order_relaxed);
}

int64_t OpenCalls::TakeOverdue(Kind& kind, int64_t now) const {
  int64_t taken = 0;
  const int64_t slots = static_cast<int64_t>(slots_);
  // All slots but those in use.
  for (int64_t second = now - (slots - horizon_) + 1; second <= now; ++second) {
    std::atomic<int64_t>& slot = Slot(kind, second);
    if (slot.load(std::memory_order_relaxed) != 0) taken += slot.exchange(0, std::memory_order_relaxed);
  }
  return taken;
}

bool OpenCalls::Check() {
  const int64_t now = absl::ToUnixSeconds(clock_->Now());
  taken_until_.store(now, std::memory_order_relaxed);
  bool buyers_wait = false;
  for (size_t i = 0; i < kCallKinds; ++i) {
    Kind& kind = kinds_[i];
    const int64_t taken = TakeOverdue(kind, now);
    const int64_t overdue = kind.overdue.fetch_add(taken, std::memory_order_relaxed) + taken;
    if (taken > 0) {
      kind.noticed.fetch_add(taken, std::memory_order_relaxed);
      LOG(ERROR) << taken << " " << kCallKindNames[i] << " calls are not answered a second after their deadline, "
                 << overdue << " at the moment";
    }
    if (kind.told && overdue <= 0) LOG(INFO) << "no " << kCallKindNames[i] << " call is overdue any more";
    kind.told = overdue > 0;
    if (!IsLookOnly(static_cast<CallKind>(i))) buyers_wait = buyers_wait || overdue > 0;
  }
  return buyers_wait;
}

OverdueCalls OpenCalls::Overdue() const {
  OverdueCalls result;
  for (size_t i = 0; i < kCallKinds; ++i) {
    result.open[i] = std::max<int64_t>(0, kinds_[i].overdue.load(std::memory_order_relaxed));
    result.noticed[i] = kinds_[i].noticed.load(std::memory_order_relaxed);
  }
  return result;
}

}  // namespace tranche::server
