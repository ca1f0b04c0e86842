#include "client/load/task_threads.h"

#include <utility>

namespace tranche::load {

TaskThreads::TaskThreads(int threads, size_t most_waiting) : most_waiting_(most_waiting), idle_(threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

TaskThreads::~TaskThreads() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

bool TaskThreads::TryRun(Task task) {
  absl::MutexLock lock(&mutex_);
  // An idle thread takes one at once, so it needs no place.
  if (waiting_.size() >= most_waiting_ + static_cast<size_t>(idle_)) return false;
  waiting_.push_back(std::move(task));
  return true;
}

void TaskThreads::Run() {
  const auto may_go_on = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ending_ || !waiting_.empty(); };
  while (true) {
    Task task;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&may_go_on));
      if (waiting_.empty()) return;
      --idle_;
      task = std::move(waiting_.front());
      waiting_.pop_front();
    }
    task();
    absl::MutexLock lock(&mutex_);
    ++idle_;
  }
}

}  // namespace tranche::load
