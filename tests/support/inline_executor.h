// An executor for tests.
#pragma once

#include "absl/functional/any_invocable.h"
#include "storage/executor.h"

namespace tranche::testing {

// Runs tasks at once, or never.
class InlineExecutor : public storage::Executor {
 public:
  bool TryRun(absl::AnyInvocable<void()>& task) override {
    if (full) return false;
    task();
    return true;
  }
  bool full = false;
};

}  // namespace tranche::testing
