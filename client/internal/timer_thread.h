// The real Scheduler: one thread that sleeps until the next task is due.
#pragma once

#include <queue>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "client/internal/scheduler.h"

namespace tranche::internal {

class TimerThread : public Scheduler {
 public:
  TimerThread();
  ~TimerThread() override;

  absl::Time Now() const override;
  void RunAt(absl::Time when, Task task) override;
  void Shutdown() override;

 private:
  struct Entry {
    absl::Time when;
    mutable Task task;  // priority_queue::top() is const
    bool operator<(const Entry& other) const { return when > other.when; }
  };

  void Run();

  absl::Mutex mutex_;
  std::priority_queue<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  absl::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Mutex join_mutex_;
  std::thread thread_;
};

}  // namespace tranche::internal
