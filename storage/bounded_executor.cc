#include "storage/bounded_executor.h"

#include <utility>

namespace tranche::storage {

BoundedExecutor::BoundedExecutor(int threads, int max_queue) : max_queue_(max_queue) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

BoundedExecutor::~BoundedExecutor() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

bool BoundedExecutor::TryRun(absl::AnyInvocable<void()>& task) {
  absl::MutexLock lock(&mutex_);
  if (stopping_ || queue_.size() >= max_queue_) return false;
  queue_.push_back({std::move(task), CurrentTrace()});
  return true;
}

size_t BoundedExecutor::queued() const {
  absl::MutexLock lock(&mutex_);
  return queue_.size();
}

void BoundedExecutor::Work() {
  while (true) {
    Task task;
    {
      absl::MutexLock lock(&mutex_);
      const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !queue_.empty(); };
      mutex_.Await(absl::Condition(&has_work));
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    const ScopedTrace trace(std::move(task.trace));
    task.run();
  }
}

}  // namespace tranche::storage
