#include "server/outbound/circuit_breaker.h"

#include <algorithm>

namespace tranche::server {

CircuitBreaker::Permit CircuitBreaker::Ask() {
  absl::MutexLock lock(&mutex_);
  if (open_for_ == absl::ZeroDuration()) return Permit::kCall;
  if (!MayProbe()) return Permit::kNo;
  probing_ = true;
  return Permit::kProbe;
}

void CircuitBreaker::Note(Permit permit, bool succeeded) {
  absl::MutexLock lock(&mutex_);
  const bool closed = open_for_ == absl::ZeroDuration();
  if (closed) {
    failures_ = succeeded ? 0 : failures_ + 1;
    if (failures_ < kFailuresToOpen) return;
    open_for_ = kFirstOpen;
    opened_at_ = clock_->Now();
    return;
  }
  if (permit != Permit::kProbe) return;
  probing_ = false;
  failures_ = 0;
  open_for_ = succeeded ? absl::ZeroDuration() : std::min(2 * open_for_, kLongestOpen);
  opened_at_ = clock_->Now();
}

bool CircuitBreaker::closed() const {
  absl::MutexLock lock(&mutex_);
  return open_for_ == absl::ZeroDuration();
}

// A clock that was set back must not keep it open for longer.
bool CircuitBreaker::MayProbe() const {
  if (probing_) return false;
  const absl::Time now = clock_->Now();
  return now - opened_at_ >= open_for_ || now < opened_at_;
}

}  // namespace tranche::server
