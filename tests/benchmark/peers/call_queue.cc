#include "tests/benchmark/peers/call_queue.h"

#include <utility>

namespace tranche::peers {

CallQueue::CallQueue(size_t most) : most_(most) {}

bool CallQueue::TryAdd(PendingCall call) {
  absl::MutexLock lock(&mutex_);
  if (closed_ || calls_.size() >= most_) return false;
  calls_.push_back(std::move(call));
  return true;
}

std::optional<PendingCall> CallQueue::Take() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &CallQueue::MayTake));
  if (calls_.empty()) return std::nullopt;
  PendingCall call = std::move(calls_.front());
  calls_.pop_front();
  return call;
}

void CallQueue::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

}  // namespace tranche::peers
