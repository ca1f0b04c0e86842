// What operators see of the fake broker.
#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/queue/fake/fake_claim_queue.h"

namespace tranche::server {

class FakeClaimQueueAdmin : public ClaimQueueAdmin {
 public:
  explicit FakeClaimQueueAdmin(FakeClaimBroker* broker) : broker_(broker) {}

  absl::Status Declare(absl::Span<const std::string> queues) override {
    absl::MutexLock lock(&broker_->mutex_);
    if (!broker_->up_) return Away();
    for (const std::string& queue : queues) broker_->queues_.try_emplace(queue);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<QueueDepth>> Depths(absl::Span<const std::string> queues) override {
    absl::MutexLock lock(&broker_->mutex_);
    if (!broker_->up_) return Away();
    std::vector<QueueDepth> depths;
    for (const std::string& queue : queues) {
      const auto found = broker_->queues_.find(queue);
      if (found == broker_->queues_.end()) return absl::NotFoundError(absl::StrCat("no queue ", queue));
      const auto takes = [&queue](const FakeClaimBroker::Consumer* consumer) {
        return !consumer->paused &&
               std::find(consumer->queues.begin(), consumer->queues.end(), queue) != consumer->queues.end();
      };
      depths.push_back({.queue = queue,
                        .ready = static_cast<int64_t>(found->second.ready.size()),
                        .consumers = std::count_if(broker_->consumers_.begin(), broker_->consumers_.end(), takes),
                        .dead = static_cast<int64_t>(found->second.dead.size())});
    }
    return depths;
  }

  absl::StatusOr<std::vector<DeadClaim>> ListDead(const std::string& queue, int limit) override {
    absl::MutexLock lock(&broker_->mutex_);
    if (!broker_->up_) return Away();
    const auto found = broker_->queues_.find(queue);
    if (found == broker_->queues_.end()) return absl::NotFoundError(absl::StrCat("no queue ", queue));
    const std::deque<DeadClaim>& dead = found->second.dead;
    const size_t count = std::min(dead.size(), static_cast<size_t>(std::clamp(limit, 0, 1000)));
    return std::vector<DeadClaim>(dead.begin(), dead.begin() + static_cast<std::ptrdiff_t>(count));
  }

  absl::StatusOr<int> TakeDead(const std::string& queue, absl::Span<const std::string> ids, Each each) override {
    std::deque<DeadClaim> letters;
    {
      absl::MutexLock lock(&broker_->mutex_);
      if (!broker_->up_) return Away();
      const auto found = broker_->queues_.find(queue);
      if (found == broker_->queues_.end()) return absl::NotFoundError(absl::StrCat("no queue ", queue));
      letters.swap(found->second.dead);
    }
    // Without the lock: `each` may publish.
    int taken = 0;
    std::deque<DeadClaim> left;
    for (DeadClaim& letter : letters) {
      const bool wanted = ids.empty() || std::find(ids.begin(), ids.end(), letter.id) != ids.end();
      if (wanted && taken < 1000 && each(letter).ok()) {
        ++taken;
      } else {
        left.push_back(std::move(letter));
      }
    }
    absl::MutexLock lock(&broker_->mutex_);
    std::deque<DeadClaim>& dead = broker_->queues_[queue].dead;
    dead.insert(dead.begin(), std::make_move_iterator(left.begin()), std::make_move_iterator(left.end()));
    return taken;
  }

 private:
  static absl::Status Away() { return absl::UnavailableError("the broker is away"); }

  FakeClaimBroker* const broker_;
};

std::unique_ptr<ClaimQueueAdmin> FakeClaimBroker::Admin() { return std::make_unique<FakeClaimQueueAdmin>(this); }

}  // namespace tranche::server
