#include "tests/integration/shoppers.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace tranche::testing {

Shoppers::Shoppers(Client* client, std::vector<std::string> skus, int threads, absl::Duration rest)
    : client_(client), skus_(std::move(skus)), rest_(rest) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this, i] { Shop(i); });
}

void Shoppers::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Shoppers::Shop(int thread) {
  for (int n = 0; !stopping_; ++n) {
    if (n > 0) absl::SleepFor(rest_);
    const std::string id = MakeUuidV7();
    const auto reservation = client_->Create({.sku = skus_[static_cast<size_t>(n) % skus_.size()],
                                              .user = absl::StrCat("buyer-", thread, "-", n),
                                              .reservation_id = id});
    absl::MutexLock lock(&mutex_);
    if (reservation.ok()) {
      acknowledged_.insert(reservation->reservation_id);
    } else if (IsOutcomeUnknown(reservation.status())) {
      unknown_.emplace(id, reservation.status().ToString());
    } else {
      ++refused_[ReasonNameOf(reservation.status())];
    }
  }
}

bool Shoppers::WaitForMore(int acknowledged, absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  return AwaitTotal(acknowledged_.size() + static_cast<size_t>(acknowledged), timeout);
}

bool Shoppers::WaitForTotal(int acknowledged, absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  return AwaitTotal(static_cast<size_t>(acknowledged), timeout);
}

bool Shoppers::AwaitTotal(size_t total, absl::Duration timeout) {
  const auto reached = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return acknowledged_.size() >= total; };
  return mutex_.AwaitWithTimeout(absl::Condition(&reached), timeout);
}

bool Shoppers::WaitForReason(Reason reason, int refusals, absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  const std::string name = ReasonName(reason);
  const int goal = refused_[name] + refusals;
  const auto reached = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return refused_[name] >= goal; };
  return mutex_.AwaitWithTimeout(absl::Condition(&reached), timeout);
}

std::set<std::string> Shoppers::acknowledged() {
  absl::MutexLock lock(&mutex_);
  return acknowledged_;
}

std::map<std::string, std::string> Shoppers::unknown() {
  absl::MutexLock lock(&mutex_);
  return unknown_;
}

std::map<std::string, int> Shoppers::refused() {
  absl::MutexLock lock(&mutex_);
  return refused_;
}

}  // namespace tranche::testing
