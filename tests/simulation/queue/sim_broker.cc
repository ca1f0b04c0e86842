#include "tests/simulation/queue/sim_broker.h"

#include <utility>

#include "glog/logging.h"
#include "storage/ledger/front_ledger.h"
#include "storage/ledger/shard_name.h"

namespace tranche::simulation {
namespace {

constexpr absl::Duration kShortestBrokerWay = absl::Microseconds(50);
constexpr absl::Duration kLongestBrokerWay = absl::Milliseconds(3);

std::shared_ptr<const server::FrontKeys> MakeTicketKeys(absl::Time now) {
  const std::vector<storage::FrontKey> keys = {{.id = 1,
                                                .secret = std::string(storage::kFrontKeyBytes, 'k'),
                                                .use = storage::FrontKey::Use::kCurrent,
                                                .since = now}};
  return std::make_shared<const server::FrontKeys>(keys);
}

}  // namespace

SimBroker::SimBroker(const Scenario& scenario, Scheduler* scheduler, Random random)
    : scheduler_(scheduler),
      random_(random),
      server_(server::FakeClaimBroker::Delivery::kExplicit, scheduler),
      admin_(server_.Admin()),
      publisher_(server_.Publisher()),
      partitions_(scenario.queue_partitions),
      keys_(MakeTicketKeys(scheduler->Now())),
      up_since_(scheduler->Now()) {
  for (int i = 0; i < partitions_; ++i) queues_.push_back(server::ClaimQueueName(storage::kHomeShard, i));
  CHECK(admin_->Declare(queues_).ok());
}

std::string SimBroker::QueueOf(const std::string& sku_id) const {
  return server::ClaimQueueName(storage::kHomeShard, server::PartitionOf(sku_id, partitions_));
}

absl::Duration SimBroker::Way() { return random_.Between(kShortestBrokerWay, kLongestBrokerWay); }

void SimBroker::Changed() {
  NoteDepths();
  if (delivers_soon_) return;
  delivers_soon_ = true;
  scheduler_->After(Way(), [this] {
    delivers_soon_ = false;
    server_.Deliver();
    NoteDepths();
  });
}

void SimBroker::SetUp(bool up) {
  const bool was_up = up_since_ != absl::InfiniteFuture();
  if (up == was_up) return;
  up_since_ = up ? scheduler_->Now() : absl::InfiniteFuture();
  server_.SetUp(up);
  Changed();
}

int64_t SimBroker::RetryDead() {
  int64_t retried = 0;
  for (const std::string& queue : queues_) {
    const auto publish = [&](const server::DeadClaim& dead) {
      absl::Status published;
      publisher_->Publish(queue, dead.id, dead.body, absl::InfiniteFuture(),
                          [&published](absl::Status status) { published = std::move(status); });
      return published;
    };
    retried += admin_->TakeDead(queue, {}, publish).value_or(0);
  }
  if (retried > 0) Changed();
  return retried;
}

void SimBroker::NoteDepths() {
  const auto depths = admin_->Depths(queues_);
  if (!depths.ok()) return;
  for (const server::QueueDepth& depth : *depths) {
    if (depth.ready == 0) {
      waiting_since_.erase(depth.queue);
    } else {
      waiting_since_.try_emplace(depth.queue, scheduler_->Now());
    }
  }
}

absl::Time SimBroker::WaitingSince(const std::string& queue) const {
  const auto since = waiting_since_.find(queue);
  return since == waiting_since_.end() ? absl::InfiniteFuture() : since->second;
}

}  // namespace tranche::simulation
