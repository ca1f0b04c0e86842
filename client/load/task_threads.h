// Threads for what blocks or computes: watches, and the solving of challenges.
#pragma once

#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace tranche::load {

// Thread-safe.
class TaskThreads {
 public:
  using Task = absl::AnyInvocable<void()>;

  // At most `most_waiting` tasks wait for a thread.
  TaskThreads(int threads, size_t most_waiting);
  // Runs what waits, and returns when all tasks have ended. Tasks must not add others by then.
  ~TaskThreads();
  TaskThreads(const TaskThreads&) = delete;
  TaskThreads& operator=(const TaskThreads&) = delete;

  // False, and the task is not run: too many wait.
  bool TryRun(Task task);

 private:
  void Run();

  const size_t most_waiting_;
  absl::Mutex mutex_;
  std::deque<Task> waiting_ ABSL_GUARDED_BY(mutex_);
  int idle_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace tranche::load
