#include "quota/balancer/inbox.h"

#include <utility>

namespace tranche::quota {

void News::Add(const News& more) {
  everything = everything || more.everything;
  leader = leader || more.leader;
  nodes = nodes || more.nodes;
  demand = demand || more.demand;
  reports.insert(more.reports.begin(), more.reports.end());
}

void Inbox::Note(absl::FunctionRef<void(News&)> note) {
  absl::MutexLock lock(&mutex_);
  note(news_);
  woken_ = true;
}

void Inbox::Again() {
  absl::MutexLock lock(&mutex_);
  woken_ = true;
}

News Inbox::Take() {
  absl::MutexLock lock(&mutex_);
  woken_ = false;
  return std::exchange(news_, News{});
}

bool Inbox::HasWork() const {
  absl::MutexLock lock(&mutex_);
  return woken_;
}

bool Inbox::Await(absl::Duration patience) {
  absl::MutexLock lock(&mutex_);
  const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return closed_ || woken_; };
  mutex_.AwaitWithTimeout(absl::Condition(&wanted), patience);
  return !closed_;
}

void Inbox::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

}  // namespace tranche::quota
