// The claim queues of all shards, as one process takes from them: for each shard a source with a consumer behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/consumer/consumer_metrics.h"
#include "server/queue/claim_consumer.h"
#include "server/queue/claim_queue.h"
#include "storage/books.h"
#include "storage/clock.h"

namespace tranche::server {

// Thread-safe, except for its end. Outlived by its dependencies; outlives what its consumers have begun.
class ShardQueues {
 public:
  struct Parts {
    int partitions = 1;  // of each shard
    int prefetch = 1;    // of each queue
    std::function<std::unique_ptr<ClaimSource>()> make_source = {};
    ClaimQueueAdmin* admin = nullptr;
    ClaimConsumer::Sell sell = {};
    ClaimConsumer::SellCart sell_cart = {};
    std::function<std::string(const std::string& sku_id)> shard_of = {};  // see ClaimConsumer::Parts
    storage::Books* books = nullptr;
    const storage::Clock* clock = nullptr;
    ConsumerMetrics* metrics = nullptr;
    uint64_t seed = 0;
  };

  explicit ShardQueues(Parts parts) : parts_(std::move(parts)) {}
  ~ShardQueues() { Stop(); }
  ShardQueues(const ShardQueues&) = delete;
  ShardQueues& operator=(const ShardQueues&) = delete;

  // Makes the queues of those shards that are new here, and begins to take from them. Blocks for as long as the broker
  // does; one call at a time. An error of one shard leaves the others as they are; the first one is returned, for
  // operators. Call it every few seconds: what failed is tried again, and if a shard's source is down in two calls, its
  // queues are made again, since one of them may be gone.
  absl::Status Serve(const std::vector<std::string>& shards);

  // See ClaimConsumer, of all. A shard that comes later begins so, too.
  void Tick();
  void SetPaused(bool paused);
  void SetDraining(bool draining);
  // Nothing is held.
  bool Idle() const;
  // Side by side: all have until the same time.
  void Drain(absl::Duration timeout);

  // Takes from no queue any more, for good: all shards side by side, for two seconds at most. Afterwards Serve does
  // nothing.
  void Stop();

 private:
  struct Shard {
    std::unique_ptr<ClaimSource> source;
    std::unique_ptr<ClaimConsumer> consumer;
    std::unique_ptr<ConsumerMetrics::Membership> shown;
    bool seen_down = false;  // by the last Serve; under the mutex
  };

  absl::Status ServeShard(const std::string& name);
  std::vector<Shard*> All() const;

  const Parts parts_;
  mutable absl::Mutex mutex_;
  // A shard that is here stays until the end.
  std::map<std::string, std::unique_ptr<Shard>> shards_ ABSL_GUARDED_BY(mutex_);
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche::server
