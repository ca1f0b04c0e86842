// Runs calls that block. An interface, so that the simulation can run them without threads.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

namespace tranche::storage {

// Thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;

  // Runs the task later, on a thread that may block. False when there is no room: then the task does not run and is
  // unchanged.
  virtual bool TryRun(absl::AnyInvocable<void()>& task) = 0;

  // How many tasks wait for a thread.
  virtual size_t queued() const { return 0; }
};

// Runs `call` on the executor and passes its result, an absl::StatusOr, to `done`. When there is no room, `call` does
// not run and `done` gets kResourceExhausted, inline.
template <typename Call, typename Done>
void RunOn(Executor& executor, Call call, Done done) {
  // Shared, so that it can still be called when there is no room.
  auto answer = std::make_shared<Done>(std::move(done));
  absl::AnyInvocable<void()> task = [call = std::move(call), answer]() mutable { (*answer)(call()); };
  if (!executor.TryRun(task)) (*answer)(absl::ResourceExhaustedError("too many calls wait for the ledger"));
}

}  // namespace tranche::storage
