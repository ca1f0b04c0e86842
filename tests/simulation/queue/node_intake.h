// A front node's part in the queue path: the real choice of the way and the real intake, over the simulated broker.
//
// How many units are left is not looked up: no queue comes near its bound here.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "quota/sale/claim_diversion.h"
#include "quota/slices/slice_table.h"
#include "server/queue/queue_depths.h"
#include "server/queue/queue_intake.h"
#include "server/queue/shard_paces.h"
#include "server/queue/unsold_units.h"
#include "storage/books.h"
#include "storage/pipeline/commit_pipeline.h"
#include "tests/simulation/process.h"
#include "tests/simulation/queue/sim_publisher.h"

namespace tranche::simulation {

class NodeIntake : public quota::ClaimDiversion {
 public:
  // Outlived by its arguments.
  NodeIntake(Process* process, const quota::SliceTable* slices, storage::Books* books);

  // ClaimDiversion.
  bool MayHaveQueued() const override { return intake_.MayHaveQueued(); }
  Way WayOf(const std::string& sku_id, const quota::SkuTerms& terms, bool accept_queued) override;
  void Queue(std::vector<storage::ReservationClaim> lines, bool cart, const std::string& sku_id,
             const quota::SkuTerms& terms, absl::Time deadline, QueueDone done) override;

  // Looks how the ledger fares, and once a second into the queues. To be called after each kLookInterval.
  static constexpr absl::Duration kLookInterval = absl::Milliseconds(100);
  void Look(const storage::PipelineStats& stats);

 private:
  // Has it been known here for long that claims for this SKU wait?
  bool KnowsOfWaiting(const std::string& sku_id) const;

  Process* const process_;
  const quota::SliceTable* const slices_;
  const std::unique_ptr<server::ClaimQueueAdmin> admin_;
  SimPublisher publisher_;
  server::QueueDepths depths_;
  server::ShardPaces paces_;
  server::UnsoldUnits unsold_;
  server::QueueIntake intake_;
  int looks_ = 0;
  std::map<std::string, absl::Time> queued_since_;  // by SKU: when this node heard that its claims may be queued
};

}  // namespace tranche::simulation
