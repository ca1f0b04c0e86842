// A front node's part in the queue path: puts claims into queues, and knows how full those are.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "quota/sale/claim_diversion.h"
#include "quota/slices/slice_table.h"
#include "server/admission/front_door.h"
#include "server/admission/front_keys.h"
#include "server/node/node_ledger.h"
#include "server/process/broker_options.h"
#include "server/process/periodic_task.h"
#include "server/queue/claim_queue.h"
#include "server/queue/claim_ticket.h"
#include "server/queue/queue_depths.h"
#include "server/queue/queue_intake.h"
#include "server/queue/shard_paces.h"
#include "server/queue/unsold_units.h"

namespace tranche::server {

// For tickets; null: the node has none yet.
std::shared_ptr<const FrontKeys> KeysOf(const FrontDoor& door);

// Thread-safe, except for ending. Outlived by its dependencies.
class NodeQueue {
 public:
  // options.enabled(). Connects to the broker by itself, and again after each loss.
  NodeQueue(const BrokerOptions& options, const quota::SliceTable* slices, NodeLedger* ledger, const FrontDoor* door);

  quota::ClaimDiversion* diversion() { return &intake_; }
  // Not after StopThreads.
  ClaimQueueAdmin* admin() { return admin_.get(); }
  ClaimPublisher* publisher() { return publisher_.get(); }
  const BrokerOptions& options() const { return options_; }

  bool up() const { return publisher_->Up(); }
  const IntakeCounts& counts() const { return intake_.counts(); }
  const QueueDepths& depths() const { return depths_; }
  // What is not confirmed yet.
  int64_t under_way() const { return intake_.under_way(); }
  // For a claim that is still queued.
  ClaimOutlook OutlookOf(const ClaimTicket& ticket) const;

  // The node ends: asks the broker no more, so that StopThreads finds nothing to wait for.
  void NoteEnding() {
    ending_.store(true, std::memory_order_relaxed);
    depths_.NoteEnding();
  }
  // Ends the threads, and the connection to the broker. Call it when every claim has its answer.
  void StopThreads();

 private:
  // Of all shards, whatever their SKUs' paths: what waits, and dead letters, outlive a change of the path.
  std::vector<std::string> Queues() const;
  // Before a sale opens, so that its queue has its bound from the first claim on.
  void ExpectClaims();
  void NotePaces();
  void LookAtQueues();

  const BrokerOptions options_;
  const quota::SliceTable* const slices_;
  NodeLedger* const ledger_;
  std::atomic<bool> ending_{false};
  std::unique_ptr<ClaimQueueAdmin> admin_;
  std::unique_ptr<ClaimPublisher> publisher_;
  QueueDepths depths_;
  ShardPaces paces_;
  UnsoldUnits unsold_;
  QueueIntake intake_;
  // Last: they use the others.
  std::unique_ptr<PeriodicTask> paces_task_;
  std::unique_ptr<PeriodicTask> depths_task_;
};

}  // namespace tranche::server
