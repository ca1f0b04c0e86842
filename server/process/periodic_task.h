// Runs a task at intervals, on a thread of its own.
#pragma once

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tranche::server {

class PeriodicTask {
 public:
  // `task` should be short: the next run starts `interval` after the last one has ended.
  PeriodicTask(absl::Duration interval, std::function<void()> task)
      : PeriodicTask(/*first_after=*/interval, interval, std::move(task)) {}
  PeriodicTask(absl::Duration first_after, absl::Duration interval, std::function<void()> task)
      : task_(std::move(task)), thread_([this, first_after, interval] { Run(first_after, interval); }) {}
  // Waits for a run that has begun.
  ~PeriodicTask() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    thread_.join();
  }
  PeriodicTask(const PeriodicTask&) = delete;
  PeriodicTask& operator=(const PeriodicTask&) = delete;

 private:
  void Run(absl::Duration first_after, absl::Duration interval) {
    for (absl::Duration pause = first_after;; pause = interval) {
      {
        absl::MutexLock lock(&mutex_);
        if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), pause)) return;
      }
      task_();
    }
  }

  const std::function<void()> task_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace tranche::server
