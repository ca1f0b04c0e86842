// A broker in memory, for tests and simulations, which can imitate the faults of the real one.
//
// Deterministic when used from one thread: what happens depends only on the order of the calls. It has no thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/queue/claim_queue.h"
#include "storage/clock.h"

namespace tranche::server {

// Thread-safe. Outlives its publishers, sources and admins.
class FakeClaimBroker {
 public:
  enum class Delivery {
    kImmediate,  // receivers are called by the call that made it possible, before it returns (or by the delivery that
                 // another call is busy with)
    kExplicit,   // receivers are called by Deliver only
  };

  explicit FakeClaimBroker(Delivery delivery = Delivery::kImmediate, storage::Clock* clock = storage::Clock::Real(),
                           int64_t max_length = kMaxQueueLength)
      : delivery_(delivery), clock_(clock), max_length_(max_length) {}
  FakeClaimBroker(const FakeClaimBroker&) = delete;
  FakeClaimBroker& operator=(const FakeClaimBroker&) = delete;

  std::unique_ptr<ClaimPublisher> Publisher();
  std::unique_ptr<ClaimSource> Source();
  std::unique_ptr<ClaimQueueAdmin> Admin();

  // Calls the receivers, without a lock held, until nothing more can be delivered. Returns how many messages they got.
  // Does nothing inside a receiver, or while another thread delivers.
  size_t Deliver();

  // Nobody reaches it, and sources lose their connections; what it has stays.
  void SetUp(bool up);
  // The publishers of the next `count` messages are told that they may be there. `kept`: they are.
  void LoseConfirms(int count, bool kept = true);
  // It takes no messages; sources go on.
  void Alarm(bool on);
  // All sources lose their connections, and are connected again at once.
  void LoseConnection();

 private:
  friend class FakeClaimPublisher;
  friend class FakeClaimSource;
  friend class FakeClaimQueueAdmin;

  struct Message {
    std::string id = {};
    std::string body = {};
    int deliveries = 0;
  };
  struct Queue {
    std::deque<Message> ready = {};
    size_t returned = 0;  // of these, the first ones have come back, in this order
    std::deque<DeadClaim> dead = {};
  };
  struct Unsettled {
    std::string queue = {};
    Message message = {};
  };
  // A source that has been started.
  struct Consumer {
    std::vector<std::string> queues = {};
    size_t prefetch = 1;
    ClaimSource::Receiver* receiver = nullptr;
    bool paused = false;
    std::map<uint64_t, Unsettled> unsettled = {};  // by tag
  };
  // What the receivers are to be told, one after the other.
  struct Call {
    ClaimSource::Receiver* receiver = nullptr;
    bool lost = false;
    ClaimDelivery delivery = {};  // of what is lost, only the queue
  };

  absl::Status Accept(const std::string& queue, std::string id, std::string body, absl::Time deadline);
  void DeliverIfImmediate();
  // Fills `call` with the next one.
  bool NextCall(Call& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool NextDelivery(Consumer& consumer, Call& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle(Consumer& consumer, const std::string& queue, uint64_t tag, Settlement settlement);
  // Before what nobody has had and behind what came back earlier, or to the dead letters if it was delivered too often.
  void GiveBack(Unsettled unsettled) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Bury(Unsettled unsettled, const std::string& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveAllBack(Consumer& consumer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CutOff() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(Consumer* consumer);
  bool NotDeliveringElsewhere() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Delivery delivery_;
  storage::Clock* const clock_;
  const int64_t max_length_;

  absl::Mutex mutex_;
  bool up_ ABSL_GUARDED_BY(mutex_) = true;
  bool alarm_ ABSL_GUARDED_BY(mutex_) = false;
  int lose_confirms_ ABSL_GUARDED_BY(mutex_) = 0;
  bool keep_unconfirmed_ ABSL_GUARDED_BY(mutex_) = true;
  std::map<std::string, Queue> queues_ ABSL_GUARDED_BY(mutex_);
  std::vector<Consumer*> consumers_ ABSL_GUARDED_BY(mutex_);  // in turn: the first one is served first
  std::deque<Call> lost_ ABSL_GUARDED_BY(mutex_);             // told before any delivery
  uint64_t last_tag_ ABSL_GUARDED_BY(mutex_) = 0;
  bool delivering_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread::id deliverer_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
