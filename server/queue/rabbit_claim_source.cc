// Takes claims out of RabbitMQ.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "server/queue/amqp_connection.h"
#include "server/queue/amqp_session.h"
#include "server/queue/rabbit_claim_queue.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// One queue, as its source sees it. The session's thread only.
struct ConsumedQueue {
  std::string name = {};
  uint16_t channel = 0;
  bool consuming = false;
  int consumers = 0;             // that it had in this connection: names the next one
  uint64_t lost_tags = 0;        // the tags of earlier connections: the broker begins again with 1, and we do not
  uint64_t last_tag = 0;         // the broker's, in this connection
  std::set<uint64_t> open = {};  // the broker's tags of what is not settled
  std::deque<ClaimDelivery> held = {};           // of these, what the receiver has not got yet
  std::map<uint64_t, Settlement> settling = {};  // the broker's tags: to be told to it
};

class RabbitClaimSource : public ClaimSource, private AmqpSession::User {
 public:
  explicit RabbitClaimSource(const BrokerOptions& options) : session_(options, "claim source", this) {}
  ~RabbitClaimSource() override { RabbitClaimSource::Stop(); }

  void Start(std::vector<std::string> queues, int prefetch, Receiver* receiver) override {
    receiver_ = receiver;
    prefetch_ = static_cast<uint16_t>(std::clamp(prefetch, 1, 65'535));
    for (std::string& name : queues) {
      const auto channel = static_cast<uint16_t>(queues_.size() + 1);
      indexes_.emplace(name, queues_.size());
      queues_.push_back({.name = std::move(name), .channel = channel});
    }
    session_.Start();
  }

  void Pause() override { SetPaused(true); }
  void Resume() override { SetPaused(false); }

  void Settle(const std::string& queue, uint64_t tag, Settlement settlement) override {
    const auto index = indexes_.find(queue);
    if (index == indexes_.end()) return;
    {
      absl::MutexLock lock(&mutex_);
      settled_.push_back({.queue = index->second, .tag = tag, .settlement = settlement});
    }
    session_.Wake();
  }

  void Stop() override {
    stopping_ = true;
    session_.Stop();
  }

  bool Up() const override { return up_; }

 private:
  struct Settled {
    size_t queue = 0;
    uint64_t tag = 0;
    Settlement settlement = Settlement::kDone;
  };

  void SetPaused(bool paused) {
    paused_ = paused;
    session_.Wake();
  }

  absl::Status OnOpen(AmqpConnection& connection) override {
    for (const ConsumedQueue& queue : queues_) RETURN_IF_ERROR(connection.OpenChannel(queue.channel));
    // Before anything is delivered: if the connection ends because of one queue, what came from the others counts as
    // delivered once more.
    for (const ConsumedQueue& queue : queues_) {
      RETURN_IF_ERROR(connection.CountQueue(queue.channel, queue.name).status());
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Rest> OnTurn(AmqpConnection& connection) override {
    TakeSettled();
    const size_t first = first_;
    for (size_t i = 0; i < queues_.size(); ++i) {
      const size_t index = (first + i) % queues_.size();
      ConsumedQueue& queue = queues_[index];
      // A broker that reads nothing must not hold this thread.
      if (!connection.Writable()) return Rest{.wants_room = true};
      RETURN_IF_ERROR(TellSettled(connection, queue));
      first_ = index;  // is left there by an error
      if (!stopping_) RETURN_IF_ERROR(FollowPause(connection, queue));
      HandOver(queue);
    }
    first_ = 0;
    up_ = !stopping_;
    return Rest{};
  }

  absl::Status OnEvent(AmqpConnection& connection, AmqpEvent event) override {
    if (event.kind != AmqpEvent::Kind::kDelivery || event.channel == 0 || event.channel > queues_.size()) {
      return absl::OkStatus();
    }
    ConsumedQueue& queue = queues_[event.channel - 1u];
    queue.last_tag = std::max(queue.last_tag, event.tag);
    queue.open.insert(event.tag);
    queue.held.push_back({.queue = queue.name,
                          .tag = queue.lost_tags + event.tag,
                          .body = std::move(event.message.body),
                          .id = std::move(event.message.message_id),
                          .deliveries = event.deliveries});
    HandOver(queue);
    return absl::OkStatus();
  }

  void OnLost(const absl::Status& why) override {
    up_ = false;
    for (ConsumedQueue& queue : queues_) {
      const bool had_consumer = queue.consumers > 0;
      queue.consuming = false;
      queue.consumers = 0;
      queue.lost_tags += queue.last_tag;
      queue.last_tag = 0;
      queue.open.clear();
      queue.held.clear();
      queue.settling.clear();
      if (had_consumer && !stopping_) receiver_->OnLost(queue.name);
    }
  }

  void TakeSettled() {
    std::vector<Settled> settled;
    {
      absl::MutexLock lock(&mutex_);
      settled.swap(settled_);
    }
    for (const Settled& one : settled) {
      ConsumedQueue& queue = queues_[one.queue];
      if (one.tag <= queue.lost_tags) continue;
      const uint64_t tag = one.tag - queue.lost_tags;
      if (queue.open.erase(tag) > 0) queue.settling.emplace(tag, one.settlement);
    }
  }

  absl::Status TellSettled(AmqpConnection& connection, ConsumedQueue& queue) {
    // What is given back goes first: then an acknowledgement of "all up to here" cannot mean it. In the order of the
    // tags, because what comes back is delivered in the order in which it came back.
    uint64_t all_up_to = 0;
    const uint64_t first_open = queue.open.empty() ? UINT64_MAX : *queue.open.begin();
    for (const auto& [tag, settlement] : queue.settling) {
      if (settlement != Settlement::kDone) {
        RETURN_IF_ERROR(connection.Reject(queue.channel, tag, settlement == Settlement::kRequeue));
      } else if (tag < first_open) {
        all_up_to = tag;
      }
    }
    if (all_up_to > 0) RETURN_IF_ERROR(connection.Ack(queue.channel, all_up_to, /*multiple=*/true));
    for (const auto& [tag, settlement] : queue.settling) {
      if (settlement != Settlement::kDone || tag < first_open) continue;
      RETURN_IF_ERROR(connection.Ack(queue.channel, tag, /*multiple=*/false));
    }
    queue.settling.clear();
    return absl::OkStatus();
  }

  absl::Status FollowPause(AmqpConnection& connection, ConsumedQueue& queue) {
    const bool consume = !paused_;
    if (consume == queue.consuming) return absl::OkStatus();
    if (consume) {
      // Another name each time: the broker keeps a cancelled consumer until all that it has is settled.
      ++queue.consumers;
      RETURN_IF_ERROR(connection.Consume(queue.channel, queue.name, ConsumerName(queue), prefetch_));
    } else {
      RETURN_IF_ERROR(connection.CancelConsumer(queue.channel, ConsumerName(queue)));
    }
    queue.consuming = consume;
    return absl::OkStatus();
  }

  static std::string ConsumerName(const ConsumedQueue& queue) { return absl::StrCat("claims-", queue.consumers); }

  // After a pause the broker may give another `prefetch` messages before those of before are settled: they wait here.
  // What comes while the consumer is being ended is handed over, too: nobody else gets it until it is settled.
  void HandOver(ConsumedQueue& queue) {
    while (!queue.held.empty() && !stopping_ && queue.open.size() - queue.held.size() < prefetch_) {
      ClaimDelivery delivery = std::move(queue.held.front());
      queue.held.pop_front();
      receiver_->OnDelivery(std::move(delivery));
    }
  }

  Receiver* receiver_ = nullptr;
  uint16_t prefetch_ = 1;
  std::vector<ConsumedQueue> queues_;
  // The queue that the next turn begins with: one that could not be consumed, so that nothing is delivered from the
  // others in vain. The session's thread only.
  size_t first_ = 0;
  std::map<std::string, size_t> indexes_;  // of queues_; constant after Start
  std::atomic<bool> paused_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> up_ = false;
  absl::Mutex mutex_;
  std::vector<Settled> settled_ ABSL_GUARDED_BY(mutex_);  // bounded by what is not settled
  AmqpSession session_;
};

}  // namespace

std::unique_ptr<ClaimSource> MakeRabbitClaimSource(const BrokerOptions& options) {
  return std::make_unique<RabbitClaimSource>(options);
}

}  // namespace tranche::server
