// Does the balancer lead, and do its rounds succeed? Noted after each round, read by others.
#pragma once

#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tranche::quota {

// Thread-safe.
class BalancerPulse {
 public:
  // nullopt: it never did. By the balancer's clock.
  struct State {
    bool leads = false;
    std::optional<absl::Time> leads_since;  // only while it leads
    std::optional<absl::Time> led_at;       // the last time that it was seen to lead
    std::optional<absl::Time> round_at;     // the last round that succeeded
  };

  void NoteRound(bool succeeded, bool leads, absl::Time now) {
    absl::MutexLock lock(&mutex_);
    if (!leads) state_.leads_since.reset();
    if (leads && !state_.leads) state_.leads_since = now;
    if (leads) state_.led_at = now;
    if (succeeded) state_.round_at = now;
    state_.leads = leads;
  }

  State Read() const {
    absl::MutexLock lock(&mutex_);
    return state_;
  }

 private:
  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::quota
