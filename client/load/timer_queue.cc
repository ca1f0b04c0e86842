#include "client/load/timer_queue.h"

#include <utility>

#include "absl/time/clock.h"

namespace tranche::load {

TimerQueue::TimerQueue() : thread_([this] { Run(); }) {}

TimerQueue::~TimerQueue() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    hurrying_ = true;
    changed_.Signal();
  }
  thread_.join();
}

void TimerQueue::RunAt(absl::Time when, Task task) {
  absl::MutexLock lock(&mutex_);
  const bool is_next = entries_.empty() || when < entries_.top().when;
  entries_.push({when, std::move(task)});
  if (is_next) changed_.Signal();
}

void TimerQueue::Hurry() {
  absl::MutexLock lock(&mutex_);
  hurrying_ = true;
  changed_.Signal();
}

void TimerQueue::Run() {
  mutex_.Lock();
  while (!ending_ || !entries_.empty()) {
    if (entries_.empty()) {
      changed_.Wait(&mutex_);
    } else if (!hurrying_ && entries_.top().when > absl::Now()) {
      changed_.WaitWithDeadline(&mutex_, entries_.top().when);
    } else {
      Task task = std::move(entries_.top().task);
      entries_.pop();
      mutex_.Unlock();
      task();
      mutex_.Lock();
    }
  }
  mutex_.Unlock();
}

}  // namespace tranche::load
