#include "server/admission/turn_queue.h"

#include <algorithm>
#include <utility>

namespace tranche::server {

TurnQueue::TurnQueue(storage::Clock* clock, size_t max_waiting, std::function<size_t()> others)
    : clock_(clock), max_waiting_(max_waiting), others_(std::move(others)) {}

TurnQueue::~TurnQueue() { End(); }

bool TurnQueue::IsLater(const Turn& a, const Turn& b) {
  return a.until != b.until ? a.until > b.until : a.number > b.number;
}

bool TurnQueue::HasRoom() const { return waiting() + (others_ ? others_() : 0) < max_waiting_; }

bool TurnQueue::Park(absl::Time until, absl::AnyInvocable<void()> go_on) {
  absl::MutexLock lock(&mutex_);
  if (ended_) return false;
  turns_.push_back({until, ++last_number_, std::move(go_on)});
  std::push_heap(turns_.begin(), turns_.end(), IsLater);
  size_.store(turns_.size(), std::memory_order_relaxed);
  return true;
}

std::vector<TurnQueue::Turn> TurnQueue::TakeUntil(absl::Time time) {
  std::vector<Turn> taken;
  while (!turns_.empty() && turns_.front().until <= time) {
    std::pop_heap(turns_.begin(), turns_.end(), IsLater);
    taken.push_back(std::move(turns_.back()));
    turns_.pop_back();
  }
  size_.store(turns_.size(), std::memory_order_relaxed);
  return taken;
}

void TurnQueue::CallDue() {
  if (waiting() == 0) return;
  const absl::Time now = clock_->Now();
  std::vector<Turn> due;
  {
    absl::MutexLock lock(&mutex_);
    due = TakeUntil(now);
  }
  for (Turn& turn : due) turn.go_on();
}

void TurnQueue::End() {
  std::vector<Turn> all;
  {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
    all = TakeUntil(absl::InfiniteFuture());
  }
  for (Turn& turn : all) turn.go_on();
}

}  // namespace tranche::server
