// Runs a task once after a delay, on a thread of its own, unless it is cancelled before.
#pragma once

#include <functional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tranche::server {

class DelayedTask {
 public:
  DelayedTask(absl::Duration delay, std::function<void()> task)
      : task_(std::move(task)), thread_([this, delay] { Run(delay); }) {}
  // Waits for a run that has begun; otherwise the task will not run.
  ~DelayedTask() {
    {
      absl::MutexLock lock(&mutex_);
      unwanted_ = true;
    }
    thread_.join();
  }
  DelayedTask(const DelayedTask&) = delete;
  DelayedTask& operator=(const DelayedTask&) = delete;

 private:
  void Run(absl::Duration delay) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&unwanted_), delay)) return;
    }
    task_();
  }

  const std::function<void()> task_;
  absl::Mutex mutex_;
  bool unwanted_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace tranche::server
