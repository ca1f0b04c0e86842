#include "server/queue/fake/fake_claim_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {

class FakeClaimPublisher : public ClaimPublisher {
 public:
  explicit FakeClaimPublisher(FakeClaimBroker* broker) : broker_(broker) {}

  void Publish(const std::string& queue, std::string id, std::string body, absl::Time deadline,
               PublishDone done) override {
    done(broker_->Accept(queue, std::move(id), std::move(body), deadline));
    broker_->DeliverIfImmediate();
  }
  bool Up() const override {
    absl::MutexLock lock(&broker_->mutex_);
    return broker_->up_ && !broker_->alarm_;
  }

 private:
  FakeClaimBroker* const broker_;
};

class FakeClaimSource : public ClaimSource {
 public:
  explicit FakeClaimSource(FakeClaimBroker* broker) : broker_(broker) {}
  ~FakeClaimSource() override { FakeClaimSource::Stop(); }

  void Start(std::vector<std::string> queues, int prefetch, Receiver* receiver) override {
    {
      absl::MutexLock lock(&broker_->mutex_);
      consumer_.queues = std::move(queues);
      consumer_.prefetch = static_cast<size_t>(std::max(prefetch, 1));
      consumer_.receiver = receiver;
      broker_->consumers_.push_back(&consumer_);
    }
    broker_->DeliverIfImmediate();
  }
  void Pause() override {
    absl::MutexLock lock(&broker_->mutex_);
    consumer_.paused = true;
  }
  void Resume() override {
    {
      absl::MutexLock lock(&broker_->mutex_);
      consumer_.paused = false;
    }
    broker_->DeliverIfImmediate();
  }
  void Settle(const std::string& queue, uint64_t tag, Settlement settlement) override {
    broker_->Settle(consumer_, queue, tag, settlement);
    broker_->DeliverIfImmediate();
  }
  void Stop() override { broker_->Remove(&consumer_); }
  bool Up() const override {
    absl::MutexLock lock(&broker_->mutex_);
    return broker_->up_ && std::count(broker_->consumers_.begin(), broker_->consumers_.end(), &consumer_) > 0;
  }

 private:
  FakeClaimBroker* const broker_;
  FakeClaimBroker::Consumer consumer_;
};

std::unique_ptr<ClaimPublisher> FakeClaimBroker::Publisher() { return std::make_unique<FakeClaimPublisher>(this); }
std::unique_ptr<ClaimSource> FakeClaimBroker::Source() { return std::make_unique<FakeClaimSource>(this); }

absl::Status FakeClaimBroker::Accept(const std::string& queue, std::string id, std::string body, absl::Time deadline) {
  if (body.size() > kMaxQueuedBytes) return absl::InvalidArgumentError("the body is too large");
  absl::MutexLock lock(&mutex_);
  if (!up_) return absl::UnavailableError("the broker is away");
  if (alarm_) return absl::UnavailableError("the broker is in an alarm and takes no messages");
  if (clock_->Now() >= deadline) return absl::UnavailableError("the deadline has passed");
  const auto found = queues_.find(queue);
  if (found == queues_.end()) return absl::UnavailableError(absl::StrCat("no queue takes messages for ", queue));
  if (static_cast<int64_t>(found->second.ready.size()) >= max_length_) {
    return absl::ResourceExhaustedError(absl::StrCat(queue, " is full"));
  }
  const bool unconfirmed = lose_confirms_ > 0;
  if (unconfirmed) --lose_confirms_;
  if (!unconfirmed || keep_unconfirmed_) {
    found->second.ready.push_back({.id = std::move(id), .body = std::move(body)});
  }
  return unconfirmed ? storage::UnknownCommitError("no confirm came") : absl::OkStatus();
}

void FakeClaimBroker::DeliverIfImmediate() {
  if (delivery_ == Delivery::kImmediate) Deliver();
}

size_t FakeClaimBroker::Deliver() {
  size_t delivered = 0;
  absl::MutexLock lock(&mutex_);
  if (delivering_) return 0;
  delivering_ = true;
  deliverer_ = std::this_thread::get_id();
  for (Call call; NextCall(call); call = {}) {
    mutex_.Unlock();
    if (call.lost) {
      call.receiver->OnLost(call.delivery.queue);
    } else {
      call.receiver->OnDelivery(std::move(call.delivery));
      ++delivered;
    }
    mutex_.Lock();
  }
  delivering_ = false;
  return delivered;
}

bool FakeClaimBroker::NextCall(Call& call) {
  if (!lost_.empty()) {
    call = std::move(lost_.front());
    lost_.pop_front();
    return true;
  }
  if (!up_) return false;
  for (size_t i = 0; i < consumers_.size(); ++i) {
    if (!NextDelivery(*consumers_[i], call)) continue;
    // The others come first next time.
    std::rotate(consumers_.begin() + static_cast<std::ptrdiff_t>(i),
                consumers_.begin() + static_cast<std::ptrdiff_t>(i) + 1, consumers_.end());
    return true;
  }
  return false;
}

bool FakeClaimBroker::NextDelivery(Consumer& consumer, Call& call) {
  if (consumer.paused) return false;
  for (const std::string& queue : consumer.queues) {
    const auto found = queues_.find(queue);
    if (found == queues_.end() || found->second.ready.empty()) continue;
    const auto of_queue = [&queue](const auto& entry) { return entry.second.queue == queue; };
    const auto unsettled = std::count_if(consumer.unsettled.begin(), consumer.unsettled.end(), of_queue);
    if (static_cast<size_t>(unsettled) >= consumer.prefetch) continue;
    Message message = std::move(found->second.ready.front());
    found->second.ready.pop_front();
    if (found->second.returned > 0) --found->second.returned;
    const uint64_t tag = ++last_tag_;
    call.receiver = consumer.receiver;
    call.delivery = {
        .queue = queue, .tag = tag, .body = message.body, .id = message.id, .deliveries = message.deliveries};
    consumer.unsettled.emplace(tag, Unsettled{.queue = queue, .message = std::move(message)});
    return true;
  }
  return false;
}

void FakeClaimBroker::Settle(Consumer& consumer, const std::string& queue, uint64_t tag, Settlement settlement) {
  absl::MutexLock lock(&mutex_);
  const auto found = consumer.unsettled.find(tag);
  if (found == consumer.unsettled.end() || found->second.queue != queue) return;
  Unsettled unsettled = std::move(found->second);
  consumer.unsettled.erase(found);
  if (settlement == Settlement::kRequeue) GiveBack(std::move(unsettled));
  if (settlement == Settlement::kDead) Bury(std::move(unsettled), "rejected");
}

void FakeClaimBroker::GiveBack(Unsettled unsettled) {
  if (++unsettled.message.deliveries >= kDeliveryLimit) {
    Bury(std::move(unsettled), "delivery_limit");
    return;
  }
  Queue& queue = queues_[unsettled.queue];
  queue.ready.insert(queue.ready.begin() + static_cast<std::ptrdiff_t>(queue.returned), std::move(unsettled.message));
  ++queue.returned;
}

void FakeClaimBroker::Bury(Unsettled unsettled, const std::string& reason) {
  std::deque<DeadClaim>& dead = queues_[unsettled.queue].dead;
  dead.push_back({.queue = unsettled.queue,
                  .id = std::move(unsettled.message.id),
                  .body = std::move(unsettled.message.body),
                  .reason = reason,
                  .died_at = clock_->Now(),
                  .deliveries = unsettled.message.deliveries});
}

void FakeClaimBroker::GiveAllBack(Consumer& consumer) {
  for (auto& [_, unsettled] : consumer.unsettled) GiveBack(std::move(unsettled));
  consumer.unsettled.clear();
}

void FakeClaimBroker::CutOff() {
  for (Consumer* const consumer : consumers_) {
    GiveAllBack(*consumer);
    for (const std::string& queue : consumer->queues) {
      Call call = {.receiver = consumer->receiver, .lost = true};
      call.delivery.queue = queue;
      lost_.push_back(std::move(call));
    }
  }
}

bool FakeClaimBroker::NotDeliveringElsewhere() const {
  return !delivering_ || deliverer_ == std::this_thread::get_id();
}

void FakeClaimBroker::Remove(Consumer* consumer) {
  {
    absl::MutexLock lock(&mutex_);
    std::erase(consumers_, consumer);
    GiveAllBack(*consumer);
    std::erase_if(lost_, [consumer](const Call& call) { return call.receiver == consumer->receiver; });
    // A call that another thread has begun must have ended.
    mutex_.Await(absl::Condition(this, &FakeClaimBroker::NotDeliveringElsewhere));
  }
  DeliverIfImmediate();
}

void FakeClaimBroker::SetUp(bool up) {
  {
    absl::MutexLock lock(&mutex_);
    if (up_ && !up) CutOff();
    up_ = up;
  }
  DeliverIfImmediate();
}

void FakeClaimBroker::LoseConfirms(int count, bool kept) {
  absl::MutexLock lock(&mutex_);
  lose_confirms_ = count;
  keep_unconfirmed_ = kept;
}

void FakeClaimBroker::Alarm(bool on) {
  absl::MutexLock lock(&mutex_);
  alarm_ = on;
}

void FakeClaimBroker::LoseConnection() {
  {
    absl::MutexLock lock(&mutex_);
    CutOff();
  }
  DeliverIfImmediate();
}

}  // namespace tranche::server
