// How many unary calls each caller has open: a bound, so that a caller who hangs, or is attacked, does not take all of
// a node.
//
// A call costs a copy of its caller's name and, twice, a lock of one part of the table (of 16): for a look-up by name,
// and for a subtraction. All calls of one caller take the same lock, for less than a microsecond.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/base/counter.h"

namespace tranche::server {

// Thread-safe. Keeps an entry for each caller with an open call, so it is bounded by the open calls.
class CallerCalls {
 public:
  // What a call takes while it is open.
  class Place;

  // `limit`: for each caller; positive. Calls that settle reservations may be an eighth more, rounded up: a caller
  // whose claims hang can still pay.
  explicit CallerCalls(int limit);
  CallerCalls(const CallerCalls&) = delete;
  CallerCalls& operator=(const CallerCalls&) = delete;

  // For one more call of `caller` (CallContext::caller); OVERLOADED if it has as many as it may. `settles`: see
  // SettlesReservation.
  absl::StatusOr<Place> Take(const std::string& caller, bool settles);
  // Once for each place, when the call is answered.
  void GiveBack(const Place& place);

  // How often there was no room.
  int64_t refused() const { return refused_.value(); }
  // How many callers have an open call.
  size_t callers();

 private:
  static constexpr size_t kParts = 16;
  // How many calls each caller has, at least one.
  using Counts = std::map<std::string, int>;
  struct alignas(64) Part {
    absl::Mutex mutex;
    Counts counts ABSL_GUARDED_BY(mutex);
  };

  const int limit_;
  const int limit_to_settle_;
  const absl::Status full_;  // made once: a caller at its limit is refused often
  Counter refused_;
  std::array<Part, kParts> parts_;
};

// Only data: it stays taken until GiveBack, whatever becomes of its copies.
class CallerCalls::Place {
 private:
  friend class CallerCalls;

  Part* part_ = nullptr;
  Counts::iterator caller_;
};

}  // namespace tranche::server
