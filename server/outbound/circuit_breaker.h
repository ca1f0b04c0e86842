// Keeps a server that fails from being asked by everybody.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/clock.h"

namespace tranche::server {

// The circuit breaker of Michael Nygard's "Release It!". Closed: all may ask. After kFailuresToOpen failures in a row
// it is open: nobody may. After a while one caller at a time may ask as a probe ("half-open"). A probe that succeeds
// closes it; after one that fails it stays open for twice as long as before, and at most kLongestOpen.
//
// Thread-safe. Neither blocks nor does I/O.
class CircuitBreaker {
 public:
  static constexpr int kFailuresToOpen = 5;
  static constexpr absl::Duration kFirstOpen = absl::Seconds(1);
  static constexpr absl::Duration kLongestOpen = absl::Seconds(30);

  enum class Permit { kNo, kCall, kProbe };

  // `clock` outlives this.
  explicit CircuitBreaker(storage::Clock* clock) : clock_(clock) {}

  // Whether to ask now. What is not kNo must be given to Note once, soon: until then no other probe begins.
  Permit Ask();
  // How a call with this permit (not kNo) went. While it is open only a probe counts: calls from before say nothing
  // new.
  void Note(Permit permit, bool succeeded);

  // False from kFailuresToOpen failures in a row until a probe succeeds.
  bool closed() const;

 private:
  bool MayProbe() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  storage::Clock* const clock_;
  mutable absl::Mutex mutex_;
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;                                // in a row, while closed
  absl::Duration open_for_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();  // zero: closed
  absl::Time opened_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();  // since then; also anew by each failed probe
  bool probing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche::server
