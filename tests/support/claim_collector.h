// A receiver of queued claims that only remembers, and a publish that waits.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/queue/claim_queue.h"

namespace tranche::testing {

// How long a test waits for what must happen, on a busy machine.
inline constexpr absl::Duration kClaimPatience = absl::Seconds(30);

// Thread-safe.
class ClaimCollector : public server::ClaimSource::Receiver {
 public:
  void OnDelivery(server::ClaimDelivery delivery) override {
    absl::MutexLock lock(&mutex_);
    deliveries_.push_back(std::move(delivery));
  }
  void OnLost(const std::string& queue) override {
    absl::MutexLock lock(&mutex_);
    ++lost_[queue];
  }

  // The deliveries so far, when there are at least `count`; fewer if they do not come.
  std::vector<server::ClaimDelivery> WaitFor(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return deliveries_.size() >= count; };
    mutex_.AwaitWithTimeout(absl::Condition(&enough), kClaimPatience);
    return deliveries_;
  }
  // The same, when one of them has this id.
  std::vector<server::ClaimDelivery> WaitForId(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    const auto there = [this, &id]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return std::any_of(deliveries_.begin(), deliveries_.end(),
                         [&id](const server::ClaimDelivery& delivery) { return delivery.id == id; });
    };
    mutex_.AwaitWithTimeout(absl::Condition(&there), kClaimPatience);
    return deliveries_;
  }
  bool WaitForLoss(const std::string& queue) {
    absl::MutexLock lock(&mutex_);
    const auto lost = [this, &queue]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return lost_[queue] > 0; };
    return mutex_.AwaitWithTimeout(absl::Condition(&lost), kClaimPatience);
  }
  size_t count() {
    absl::MutexLock lock(&mutex_);
    return deliveries_.size();
  }

 private:
  absl::Mutex mutex_;
  std::vector<server::ClaimDelivery> deliveries_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> lost_ ABSL_GUARDED_BY(mutex_);
};

inline std::vector<std::string> IdsOf(const std::vector<server::ClaimDelivery>& deliveries) {
  std::vector<std::string> ids;
  for (const server::ClaimDelivery& delivery : deliveries) ids.push_back(delivery.id);
  return ids;
}

inline absl::Status PublishAndWait(server::ClaimPublisher& publisher, const std::string& queue, const std::string& id,
                                   const std::string& body, absl::Duration timeout = kClaimPatience) {
  absl::Notification answered;
  absl::Status result;
  publisher.Publish(queue, id, body, absl::Now() + timeout, [&](absl::Status status) {
    result = std::move(status);
    answered.Notify();
  });
  answered.WaitForNotification();
  return result;
}

// Whether `condition()` becomes true in time.
template <typename Condition>
bool BecomesTrue(const Condition& condition) {
  const absl::Time deadline = absl::Now() + kClaimPatience;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

}  // namespace tranche::testing
