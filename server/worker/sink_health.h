// Whether a sink takes messages at all, and so which ones to send it, and how many at once.
//
// Two things look alike: a sink that is down, and a message that its receiver cannot take. Messages that never failed
// before tell them apart. If none of those is taken, the sink is suspected, and one more is tried at once; if that one
// fails, too, the sink is down. Then it is left alone for a while, longer each time, and tried with a single message.
// So in an outage each try costs one message an attempt, instead of costing thousands of messages all of their
// attempts.
//
// Messages that failed before and fail again say little: they may be bad ones. They only put off their own kind, so
// that no number of bad messages holds up a good one. Whatever the sink takes ends all pauses, and the batches grow
// back.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/worker/retry_policy.h"

namespace tranche::server {

struct SinkHealthOptions {
  int max_batch = 256;
  BackoffBounds pause = {absl::Milliseconds(500), absl::Seconds(30)};
  absl::Duration least_pause = absl::Milliseconds(100);
};

// Thread-safe.
class SinkHealth {
 public:
  enum class Which {
    kAny,           // those that are due longest
    kFresh,         // only messages that were never tried
    kFreshElseOne,  // if there are none of those, one that was
  };
  struct Permit {
    int messages = 0;  // 0: none now, ask again after `wait`
    absl::Duration wait = {};
    Which which = Which::kAny;
    bool probe = false;
  };
  struct Outcomes {
    int answered = 0;      // taken or refused: the sink is up
    int failed = 0;        // at the message's first attempt
    int failed_again = 0;  // at a later one
    int not_tried = 0;
  };
  enum class Change { kNone, kDown, kUp };

  explicit SinkHealth(const SinkHealthOptions& options) : options_(options) {}

  // Every permit for messages must be handed back to Report, even if nothing was sent.
  Permit Ask(absl::Time now);
  // How long messages that were tried before must wait; zero if they need not.
  absl::Duration PauseLeft(absl::Time now) const;
  Change Report(const Permit& permit, const Outcomes& outcomes, absl::Time now, double random);
  // Has it taken nothing for so long that it is only tried with single messages?
  bool down() const;

 private:
  // Messages of one kind: how often in a row nothing was taken, and until when they wait.
  struct Lane {
    int failures = 0;
    absl::Time after = absl::InfinitePast();
  };

  Change NoteAnswer(const Outcomes& outcomes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteFailure(absl::Time now, double random, Lane* lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration Left(const Lane& lane, absl::Time now) const;

  const SinkHealthOptions options_;
  mutable absl::Mutex mutex_;
  int batch_ ABSL_GUARDED_BY(mutex_) = 1;
  // Messages that were never tried. Failures: the sink is suspected, or down.
  Lane fresh_ ABSL_GUARDED_BY(mutex_);
  Lane tried_ ABSL_GUARDED_BY(mutex_);
  bool down_ ABSL_GUARDED_BY(mutex_) = false;
  bool probing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche::server
