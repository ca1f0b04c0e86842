// Puts claims of a front node into their queue, if their SKU's path says so, and gives their callers tickets.
//
//   Seller -> WayOf -> Queue -> ClaimPublisher -> the broker's confirm -> ticket
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "quota/sale/claim_diversion.h"
#include "server/admission/front_keys.h"
#include "server/queue/claim_queue.h"
#include "server/queue/claim_ticket.h"
#include "server/queue/queue_depths.h"
#include "server/queue/shard_paces.h"
#include "server/queue/unsold_units.h"
#include "storage/base/counter.h"
#include "storage/base/histogram.h"
#include "storage/clock.h"

namespace tranche::server {

// What became of claims that were to be queued.
struct IntakeCounts {
  Counter queued;
  Counter full;                          // the queue, or what may be under way here
  Counter unavailable;                   // the broker takes none
  Counter unknown;                       // no confirm came: they may be queued
  Histogram publish_s{LatencyBounds()};  // until the broker confirmed
};

struct IntakeOptions {
  int partitions = 4;
  absl::Duration decide_within = absl::Minutes(10);
  // Claims that wait for their confirm, at most.
  int64_t max_under_way = 16384;
};

// Thread-safe. Outlived by its dependencies; outlives what it has published.
class QueueIntake final : public quota::ClaimDiversion {
 public:
  // Null: the node has no keys yet.
  using KeysOf = std::function<std::shared_ptr<const FrontKeys>()>;
  struct Parts {
    ClaimPublisher* publisher = nullptr;
    QueueDepths* depths = nullptr;
    const ShardPaces* paces = nullptr;
    UnsoldUnits* unsold = nullptr;
    KeysOf keys = {};
    storage::Clock* clock = nullptr;
  };

  QueueIntake(Parts parts, IntakeOptions options) : parts_(std::move(parts)), options_(options) {}

  // ClaimDiversion. Without a current key there is no ticket: then as if there were no broker.
  bool MayHaveQueued() const override { return true; }
  Way WayOf(const std::string& sku_id, const quota::SkuTerms& terms, bool accept_queued) override;
  void Queue(std::vector<storage::ReservationClaim> lines, bool cart, const std::string& sku_id,
             const quota::SkuTerms& terms, absl::Time deadline, QueueDone done) override;

  const IntakeCounts& counts() const { return counts_; }
  int64_t under_way() const { return under_way_.load(std::memory_order_relaxed); }

 private:
  // A claim that is on its way to the broker.
  struct UnderWay {
    ClaimTicket ticket;
    std::string queue;
    std::shared_ptr<const FrontKeys> keys;
    QueueDone done;
  };

  std::string QueueOf(const std::string& shard, const std::string& sku_id) const {
    return ClaimQueueName(shard, PartitionOf(sku_id, options_.partitions));
  }
  int64_t UnsoldOf(const std::string& sku_id, const quota::SkuTerms& terms);
  bool MayBeFull(const std::string& queue) const;
  quota::Refused Full(const std::string& queue);
  void Published(UnderWay claim, const absl::Status& status);

  const Parts parts_;
  const IntakeOptions options_;
  IntakeCounts counts_;
  std::atomic<int64_t> under_way_{0};
};

// Of a node without a broker: what is only sold through a queue is refused.
class NoClaimQueue final : public quota::ClaimDiversion {
 public:
  bool MayHaveQueued() const override { return false; }
  Way WayOf(const std::string& sku_id, const quota::SkuTerms& terms, bool accept_queued) override;
  void Queue(std::vector<storage::ReservationClaim> lines, bool cart, const std::string& sku_id,
             const quota::SkuTerms& terms, absl::Time deadline, QueueDone done) override;
};

}  // namespace tranche::server
