#include "client/internal/timer_thread.h"

#include <utility>

#include "absl/time/clock.h"

namespace tranche::internal {

TimerThread::TimerThread() : thread_([this] { Run(); }) {}

TimerThread::~TimerThread() { Shutdown(); }

absl::Time TimerThread::Now() const { return absl::Now(); }

void TimerThread::RunAt(absl::Time when, Task task) {
  {
    absl::MutexLock lock(&mutex_);
    if (!stopping_) {
      const bool is_next = entries_.empty() || when < entries_.top().when;
      entries_.push({when, std::move(task)});
      if (is_next) changed_.Signal();
      return;
    }
  }
  task();
}

void TimerThread::Shutdown() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.Signal();
  }
  absl::MutexLock lock(&join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void TimerThread::Run() {
  while (true) {
    Task task;
    {
      absl::MutexLock lock(&mutex_);
      while (!stopping_ && (entries_.empty() || entries_.top().when > absl::Now())) {
        changed_.WaitWithDeadline(&mutex_, entries_.empty() ? absl::InfiniteFuture() : entries_.top().when);
      }
      if (entries_.empty()) return;  // only when stopping
      task = std::move(entries_.top().task);
      entries_.pop();
    }
    task();
  }
}

}  // namespace tranche::internal
