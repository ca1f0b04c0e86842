#include "tests/benchmark/peers/waiting_callers.h"

#include <random>

#include "absl/strings/str_cat.h"

namespace tranche::peers {
namespace {

std::string RandomCallersName() {
  std::random_device random;
  return absl::StrCat(absl::Hex(random(), absl::kZeroPad8), absl::Hex(random(), absl::kZeroPad8));
}

}  // namespace

WaitingCallers::WaitingCallers() : name_(RandomCallersName()) {}

WaitingCallers::Caller::Caller(WaitingCallers* all) : all_(all) {
  absl::MutexLock lock(&all_->mutex_);
  correlation_ = absl::StrCat(all_->name_, "-", ++all_->last_);
  all_->callers_.emplace(correlation_, this);
}

WaitingCallers::Caller::~Caller() {
  absl::MutexLock lock(&all_->mutex_);
  all_->callers_.erase(correlation_);
}

std::optional<Outcome> WaitingCallers::Caller::Await(absl::Time deadline) {
  absl::MutexLock lock(&all_->mutex_);
  if (!all_->mutex_.AwaitWithDeadline(absl::Condition(&answered_), deadline)) return std::nullopt;
  return outcome_;
}

void WaitingCallers::Answer(const std::string& correlation, Outcome outcome) {
  absl::MutexLock lock(&mutex_);
  const auto found = callers_.find(correlation);
  if (found == callers_.end()) return;
  found->second->outcome_ = outcome;
  found->second->answered_ = true;
}

}  // namespace tranche::peers
