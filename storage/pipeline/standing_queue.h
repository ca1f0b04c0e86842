// Tells a queue that stands from a burst. A burst is worked off, and all in it are answered in time. A queue that
// stands helps nobody: as much comes as goes, and each request is answered just as late. Callers that wait for so long
// hold their place on streams meanwhile, so that others' requests are not even read.
//
// A queue stands once its requests have waited for longer than kTarget for a whole kInterval, and until they have
// waited for less than half of it for as long. One that a batch empties does not stand, however slow the ledger is. As
// in CoDel (Nichols, Jacobson: Controlling Queue Delay, 2012), which Maurer adapts to servers' requests (Fail at Scale,
// 2015); the numbers are ours: a transaction of a full batch takes some 50 ms, and two must be able to wait.
#pragma once

#include <algorithm>
#include <optional>

#include "absl/time/time.h"

namespace tranche::storage {

// What Work::Patience may go by.
struct QueueOutlook {
  bool stands = false;
  absl::Duration per_batch = absl::ZeroDuration();  // how long until the next full batch is taken, as it seems
};

// Not thread-safe.
class StandingQueue {
 public:
  // While the queue stands, a request should wait for no longer.
  static constexpr absl::Duration kTarget = absl::Milliseconds(100);
  static constexpr absl::Duration kInterval = absl::Seconds(1);

  // A batch was taken, whose first request has waited for so long. `emptied`: nobody else waits.
  void NoteTaken(absl::Duration waited, bool emptied, absl::Time now) {
    // For a while nobody waited, or the clock was set.
    if (now - noted_at_ > std::max(kInterval, waited) || now < noted_at_) *this = StandingQueue();
    noted_at_ = now;
    last_wait_ = waited;
    if (emptied) waited = absl::ZeroDuration();
    waited_ = waited;
    const bool as_it_is = stands_ ? waited >= kTarget / 2 : waited <= kTarget;
    if (as_it_is) {
      differs_since_.reset();
    } else if (!differs_since_.has_value()) {
      differs_since_ = now;
    } else if (now - *differs_since_ >= kInterval) {
      stands_ = !stands_;
      differs_since_.reset();
    }
  }

  // Of what was noted last, whether or not it emptied the queue; zero where nobody has come for a while.
  absl::Duration last_wait(absl::Time now) const {
    return now - noted_at_ <= kInterval ? last_wait_ : absl::ZeroDuration();
  }

  // Not where nobody has come for a while.
  bool stands(absl::Time now) const { return stands_ && now - noted_at_ <= std::max(kInterval, waited_); }

 private:
  bool stands_ = false;
  std::optional<absl::Time> differs_since_ = std::nullopt;  // waits have been of the other kind since then
  absl::Time noted_at_ = absl::InfinitePast();
  absl::Duration last_wait_ = absl::ZeroDuration();  // what was noted
  absl::Duration waited_ = absl::ZeroDuration();     // the same; zero if that emptied the queue
};

}  // namespace tranche::storage
