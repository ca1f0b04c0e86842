#include "tests/simulation/queue/sim_claim_source.h"

#include <deque>
#include <optional>
#include <utility>

namespace tranche::simulation {

// What is on its way to the process, in its order. It ends with the connection.
class SimClaimSource::Connection : public server::ClaimSource::Receiver,
                                   public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(SimClaimSource* owner)
      : owner_(owner), world_(&owner->process_->world()), server_(world_->broker.server().Source()) {}

  void Open() {
    server_->Start(owner_->queues_, owner_->prefetch_, this);
    if (owner_->paused_) server_->Pause();
    world_->broker.Changed();
  }
  void End() {
    owner_ = nullptr;
    on_their_way_.clear();
    server_.reset();
    world_->broker.Changed();
  }

  void Pause() { server_->Pause(); }
  void Resume() {
    server_->Resume();
    world_->broker.Changed();
  }
  void Settle(const std::string& queue, uint64_t tag, server::Settlement settlement) {
    world_->scheduler.After(world_->broker.Way(), [self = shared_from_this(), queue, tag, settlement] {
      if (self->server_ == nullptr) return;
      self->server_->Settle(queue, tag, settlement);
      self->world_->broker.Changed();
    });
  }

  // Receiver.
  void OnDelivery(server::ClaimDelivery delivery) override { Send({std::move(delivery), false}); }
  void OnLost(const std::string& queue) override {
    server::ClaimDelivery of_queue;
    of_queue.queue = queue;
    Send({std::move(of_queue), true});
  }

 private:
  struct Item {
    server::ClaimDelivery delivery;
    bool lost = false;
  };

  void Send(Item item) {
    on_their_way_.push_back(std::move(item));
    ArriveAfter(world_->broker.Way());
  }
  void ArriveAfter(absl::Duration delay) {
    world_->scheduler.After(delay, [self = shared_from_this()] { self->ArriveFirst(); });
  }
  // Whichever way is the shortest, the first one arrives first.
  void ArriveFirst() {
    if (owner_ == nullptr || on_their_way_.empty()) return;
    const Process& process = *owner_->process_;
    if (process.paused()) return ArriveAfter(process.paused_for());
    Item item = std::move(on_their_way_.front());
    on_their_way_.pop_front();
    if (item.lost) return owner_->NoteLost(item.delivery.queue);
    owner_->Receive(std::move(item.delivery));
  }

  SimClaimSource* owner_;
  World* const world_;
  std::unique_ptr<server::ClaimSource> server_;
  std::deque<Item> on_their_way_;
};

void SimClaimSource::Start(std::vector<std::string> queues, int prefetch, Receiver* receiver) {
  queues_ = std::move(queues);
  prefetch_ = prefetch;
  receiver_ = receiver;
  Connect();
}

void SimClaimSource::Connect() {
  connection_ = std::make_shared<Connection>(this);
  connection_->Open();
}

void SimClaimSource::Pause() {
  paused_ = true;
  if (connection_ != nullptr) connection_->Pause();
}

void SimClaimSource::Resume() {
  paused_ = false;
  if (connection_ != nullptr) connection_->Resume();
}

void SimClaimSource::Receive(server::ClaimDelivery delivery) {
  if (process_->crashed() || receiver_ == nullptr) return;
  if (delivery.deliveries > 0) process_->world().claims.Count("delivered again");
  if (auto claim = server::ReadMessage(delivery.body); claim.ok()) held_.emplace(delivery.tag, *std::move(claim));
  receiver_->OnDelivery(std::move(delivery));
  process_->NoteChange();
}

void SimClaimSource::NoteLost(const std::string& queue) {
  if (process_->crashed() || receiver_ == nullptr) return;
  const World& world = process_->world();
  std::erase_if(held_,
                [&](const auto& held) { return world.broker.QueueOf(held.second.lines.front().sku_id) == queue; });
  receiver_->OnLost(queue);
  process_->NoteChange();
}

void SimClaimSource::Settle(const std::string& queue, uint64_t tag, server::Settlement settlement) {
  if (process_->crashed() || receiver_ == nullptr) return;
  const bool done = settlement == server::Settlement::kDone;
  if (const auto held = held_.find(tag); held != held_.end()) {
    if (done) process_->world().claims.OnDone(held->second, held_, tag);
    held_.erase(held);
  }
  if (done && FailsBeforeDone()) return;
  if (connection_ != nullptr) connection_->Settle(queue, tag, settlement);
}

bool SimClaimSource::FailsBeforeDone() {
  World& world = process_->world();
  if (!world.faulty) return false;
  const CallFaults& faults = world.scenario.call_faults;
  if (world.call_random.Chance(faults.dies_before_done)) {
    process_->NoteFault(Fault::kConsumerDies);
    process_->Crash();
    return true;
  }
  if (!world.call_random.Chance(faults.cut_off_before_done)) return false;
  process_->NoteFault(Fault::kConsumerCutOff);
  Break(world.call_random.Between(absl::ZeroDuration(), absl::Seconds(3)));
  return true;
}

void SimClaimSource::Break(absl::Duration unnoticed) {
  if (connection_ == nullptr) return;
  std::exchange(connection_, nullptr)->End();
  process_->world().scheduler.After(unnoticed, [self = self_] {
    if (*self != nullptr) (*self)->NoteBroken();
  });
}

void SimClaimSource::NoteBroken() {
  if (process_->crashed() || receiver_ == nullptr) return;
  if (process_->paused()) {
    return process_->world().scheduler.After(process_->paused_for(), [self = self_] {
      if (*self != nullptr) (*self)->NoteBroken();
    });
  }
  for (const std::string& queue : queues_) NoteLost(queue);
  Connect();
}

void SimClaimSource::Stop() {
  receiver_ = nullptr;
  if (connection_ != nullptr) std::exchange(connection_, nullptr)->End();
}

}  // namespace tranche::simulation
