// Where calls that block are run. An interface, so that the simulation can run them without threads.
#pragma once

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

namespace tranche::storage {

// Thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;

  // Runs the task later, on a thread that may block. False when there is no room: the task will not run and is left as
  // it was.
  virtual bool TryRun(absl::AnyInvocable<void()>& task) = 0;
};

// Runs `call` on the executor and hands what it returns, an absl::StatusOr, to `done`. When there is no room `done`
// gets kResourceExhausted, inline, and `call` does not run.
template <typename Call, typename Done>
void RunOn(Executor& executor, Call call, Done done) {
  // Shared, so that it can still be answered when there is no room.
  auto answer = std::make_shared<Done>(std::move(done));
  absl::AnyInvocable<void()> task = [call = std::move(call), answer]() mutable { (*answer)(call()); };
  if (!executor.TryRun(task)) (*answer)(absl::ResourceExhaustedError("too many calls wait for the ledger"));
}

}  // namespace tranche::storage
