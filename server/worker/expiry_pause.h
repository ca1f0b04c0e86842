// Whether holds expire now. While buyers cannot pay, by home's service mode READ_ONLY, their holds must not lapse; and
// when they can again, they have a moment to do so; also if a worker begins in that moment.
#pragma once

#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/clock.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies.
class ExpiryPause {
 public:
  // Between two looks at home: one row of one table.
  static constexpr absl::Duration kLookEvery = absl::Seconds(1);
  // After READ_ONLY, until holds expire again: shops try payments again that were refused.
  static constexpr absl::Duration kGrace = absl::Minutes(1);

  // No hold expires before home has answered once, for so long at most: the mode may be READ_ONLY.
  static constexpr absl::Duration kFirstAnswer = absl::Seconds(30);
  // Who has had no answer for longer may have missed READ_ONLY.
  static constexpr absl::Duration kOutOfSight = absl::Seconds(5);

  ExpiryPause(storage::FrontLedger* home, storage::Clock* clock) : home_(home), clock_(clock) {}

  // Looks, if it is time and nobody else does. Blocks for at most one call to home. While home does not answer, what
  // was known holds; until its first answer, kFirstAnswer from the first look on, no hold expires.
  void LookIfDue();
  // Does not block for long.
  bool paused() const;

 private:
  void Note(const storage::ServiceMode& mode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Is it now before `end`, and was that to last for `most` at most? No pause is longer because the clock was set back.
  bool IsBefore(absl::Time end, absl::Duration most) const;

  storage::FrontLedger* const home_;
  storage::Clock* const clock_;
  mutable absl::Mutex mutex_;
  absl::Time look_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool looking_ ABSL_GUARDED_BY(mutex_) = false;  // one at a time: a later answer is never overtaken by an older one
  std::optional<absl::Time> first_look_at_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Time> answered_at_ ABSL_GUARDED_BY(mutex_);
  bool read_only_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time resume_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace tranche::server
