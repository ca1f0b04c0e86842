// Where calls that block are run. An interface, so that the simulation can run them without threads.
#pragma once

#include "absl/functional/any_invocable.h"

namespace tranche::storage {

// Thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;

  // Runs the task later, on a thread that may block. False when there is no room: the task will not run and is left as
  // it was.
  virtual bool TryRun(absl::AnyInvocable<void()>& task) = 0;
};

}  // namespace tranche::storage
