// Who has asked to be let into one room at this node within the last while. Each buyer asks once in the room's poll
// interval, and is counted once in it (room_entry.h), so this is how many wait: who has gone away drops out after one
// interval, or a tenth more.
#pragma once

#include <cstdint>
#include <deque>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/admission/room_counts.h"

namespace tranche::server {

// Thread-safe. About 48 KiB at most.
class RoomTally {
 public:
  // `window`: the room's poll interval.
  explicit RoomTally(absl::Duration window) : window_(window) {}

  void Count(uint64_t rank, absl::Time now);
  // Those counted in (now - window, now], and of a tenth of the window before it between none and all: buyers come back
  // after one interval to one and a tenth, so that on average each is counted once here. A clock that is set back
  // counts as standing still; by more than a window, all counts begin anew.
  RoomCounts Living(absl::Time now);
  absl::Duration window() const { return window_; }

 private:
  static constexpr int kSlots = 10;
  struct Slot {
    absl::Time began_at;
    RoomCounts counts;
  };

  // Drops what is too old by then. Returns the time that counts: a clock that was set back stands still.
  absl::Time MoveTo(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const absl::Duration window_;
  absl::Mutex mutex_;
  std::deque<Slot> slots_ ABSL_GUARDED_BY(mutex_);  // the oldest first, at most kSlots + 1
  absl::Time latest_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace tranche::server
