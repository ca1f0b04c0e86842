// Whether a sink takes messages at all, and so how many to send it at once.
//
// A sink that failed a whole batch is left alone for a while, longer each time; then it is tried with a single message.
// So in an outage each try costs one message an attempt, instead of costing thousands of messages all of their
// attempts. Once the sink takes messages again, the batches grow back.
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
  struct Permit {
    int messages = 0;  // 0: none now, ask again after `wait`
    absl::Duration wait = {};
    bool probe = false;
  };
  struct Outcomes {
    int answered = 0;  // taken or refused: the sink is up
    int failed = 0;
    int not_tried = 0;
  };
  enum class Change { kNone, kDown, kUp };

  explicit SinkHealth(const SinkHealthOptions& options) : options_(options) {}

  // Every permit for messages must be handed back to Report, even if nothing was sent.
  Permit Ask(absl::Time now);
  // How long the sink is still left alone; zero when it is not.
  absl::Duration PauseLeft(absl::Time now) const;
  Change Report(const Permit& permit, const Outcomes& outcomes, absl::Time now, double random);

 private:
  Change NoteAnswer(const Outcomes& outcomes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration PauseLeftLocked(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const SinkHealthOptions options_;
  mutable absl::Mutex mutex_;
  int batch_ ABSL_GUARDED_BY(mutex_) = 1;
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;  // in a row; 0: the sink is up
  bool probing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time paused_until_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace tranche::server
