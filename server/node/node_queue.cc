#include "server/node/node_queue.h"

#include "server/queue/rabbit_claim_queue.h"
#include "storage/clock.h"
#include "storage/pipeline/commit_pipeline.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kNotePaces = absl::Milliseconds(100);
constexpr absl::Duration kLookAtQueues = absl::Seconds(1);

IntakeOptions ToIntakeOptions(const BrokerOptions& options) {
  return {.partitions = options.partitions, .decide_within = absl::Milliseconds(options.deadline_ms)};
}

}  // namespace

std::shared_ptr<const FrontKeys> KeysOf(const FrontDoor& door) { return door.state()->keys; }

NodeQueue::NodeQueue(const BrokerOptions& options, const quota::SliceTable* slices, NodeLedger* ledger,
                     const FrontDoor* door)
    : options_(options),
      slices_(slices),
      ledger_(ledger),
      admin_(std::make_unique<RabbitClaimQueueAdmin>(options)),
      publisher_(std::make_unique<RabbitClaimPublisher>(options)),
      depths_(admin_.get(), storage::Clock::Real()),
      unsold_(ledger->books()),
      intake_({.publisher = publisher_.get(),
               .depths = &depths_,
               .paces = &paces_,
               .unsold = &unsold_,
               .keys = [door] { return KeysOf(*door); },
               .clock = storage::Clock::Real()},
              ToIntakeOptions(options)),
      paces_task_(std::make_unique<PeriodicTask>(kNotePaces, [this] { NotePaces(); })),
      depths_task_(std::make_unique<PeriodicTask>(kLookAtQueues, [this] { LookAtQueues(); })) {}

ClaimOutlook NodeQueue::OutlookOf(const ClaimTicket& ticket) const {
  return depths_.OutlookOf(ClaimQueueName(ticket.shard, PartitionOf(ticket.sku_id, options_.partitions)), ticket.ahead,
                           ticket.enqueued_at);
}

void NodeQueue::StopThreads() {
  NoteEnding();
  paces_task_.reset();
  depths_task_.reset();
  // What it still has, which should be nothing, is answered here, while there is somebody to hear it.
  publisher_.reset();
}

std::vector<std::string> NodeQueue::Queues() const {
  std::vector<std::string> queues;
  for (const auto& shard : ledger_->shards().All()) {
    for (int i = 0; i < options_.partitions; ++i) queues.push_back(ClaimQueueName(shard->name, i));
  }
  return queues;
}

void NodeQueue::ExpectClaims() {
  for (const auto& [sku_id, slice] : slices_->All()) {
    const std::shared_ptr<const quota::SkuTerms> terms = slice->terms();
    if (terms != nullptr && terms->claim_path != storage::ClaimPath::kDirect) unsold_.Expect(sku_id);
  }
}

void NodeQueue::NotePaces() {
  const absl::Time now = storage::Clock::Real()->Now();
  for (const auto& shard : ledger_->shards().All()) {
    const storage::PipelineStats stats = shard->claims->Stats();
    paces_.Note(shard->name, stats.ledger_answers, stats.waited, now);
  }
}

void NodeQueue::LookAtQueues() {
  if (ending_.load(std::memory_order_relaxed)) return;
  ExpectClaims();
  unsold_.Refresh();
  depths_.Poll(Queues());
}

}  // namespace tranche::server
