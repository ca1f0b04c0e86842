// Runs tasks at their times, such as what visitors do after they have thought.
#pragma once

#include <queue>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tranche::load {

// One thread. Thread-safe.
class TimerQueue {
 public:
  using Task = absl::AnyInvocable<void()>;

  TimerQueue();
  // Runs what waits, at once. Tasks must not add others by then.
  ~TimerQueue();
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // The task must not block.
  void RunAt(absl::Time when, Task task);
  // From now on every task runs as soon as possible.
  void Hurry();

 private:
  struct Entry {
    absl::Time when;
    mutable Task task;  // priority_queue::top() is const
    bool operator<(const Entry& other) const { return when > other.when; }
  };

  void Run();

  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::priority_queue<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  bool hurrying_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace tranche::load
