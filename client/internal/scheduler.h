// Time and timers as a dependency, so that tests decide what time it is.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace tranche::internal {

// Thread-safe.
class Scheduler {
 public:
  using Task = absl::AnyInvocable<void()>;
  virtual ~Scheduler() = default;
  virtual absl::Time Now() const = 0;
  // Runs `task` once at `when`, or as soon as possible after Shutdown(). The task must not block.
  virtual void RunAt(absl::Time when, Task task) = 0;
  // Runs waiting tasks at once. Returns when no task is left; idempotent. Must not run in a task.
  virtual void Shutdown() = 0;
};

}  // namespace tranche::internal
