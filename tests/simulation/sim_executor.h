// An executor whose tasks are run by fibers of the process.
#pragma once

#include <deque>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "storage/executor.h"
#include "tests/simulation/process.h"

namespace tranche::simulation {

class SimExecutor : public storage::Executor {
 public:
  SimExecutor(Process* process, size_t max_queue) : process_(process), max_queue_(max_queue) {}

  bool TryRun(absl::AnyInvocable<void()>& task) override {
    if (queue_.size() >= max_queue_) return false;
    queue_.push_back(std::move(task));
    process_->NoteChange();
    return true;
  }

  // The body of a fiber: runs tasks until the process ends.
  void Work() {
    while (true) {
      process_->AwaitChange([this] { return !queue_.empty(); }, absl::InfiniteDuration());
      if (process_->crashed()) return;
      if (queue_.empty()) continue;
      absl::AnyInvocable<void()> task = std::move(queue_.front());
      queue_.pop_front();
      task();
      process_->NoteChange();
    }
  }

 private:
  Process* const process_;
  const size_t max_queue_;
  std::deque<absl::AnyInvocable<void()>> queue_;
};

}  // namespace tranche::simulation
