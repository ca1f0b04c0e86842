// Books over one ledger, as in a front node without further shards: the real router and pipelines.
#pragma once

#include <memory>
#include <utility>

#include "storage/books.h"
#include "storage/clock.h"
#include "storage/executor.h"
#include "storage/shards/shard_router.h"
#include "storage/shards/shard_set.h"

namespace tranche::testing {

class OneShard {
 public:
  // `ledger` implements all ledgers that selling needs, such as a FakeLedger; it and the others outlive this.
  template <typename Ledger>
  OneShard(Ledger* ledger, storage::Executor* executor, storage::Clock* clock,
           const storage::PipelineOptions& options = WithoutThreads())
      : shards_(std::make_unique<Backend>(ledger, executor, clock, options), {}, {}),
        router_(&shards_, executor, executor, clock) {}

  storage::Books* books() { return &router_; }
  storage::CommitPipeline& claims() { return *shards_.home().claims; }
  storage::ChangePipeline& changes() { return *shards_.home().changes; }
  storage::CartPipeline& carts() { return *shards_.home().carts; }
  // Refuses what waits, without waiting for what is in flight.
  void RefuseWaiting() { shards_.RefuseWaiting(); }
  // After this, it may only be destroyed.
  void StopPipelines() { shards_.StopPipelines(); }

  // The test runs the lanes, if any.
  static storage::PipelineOptions WithoutThreads() {
    storage::PipelineOptions options;
    options.lanes = 0;
    return options;
  }

 private:
  struct Backend : storage::ShardBackend {
    template <typename Ledger>
    Backend(Ledger* ledger, storage::Executor* blocking, storage::Clock* clock, const storage::PipelineOptions& options)
        : own_claims(std::make_unique<storage::CommitPipeline>(ledger, clock, options)),
          own_changes(std::make_unique<storage::ChangePipeline>(ledger, clock, options)),
          own_carts(ledger, blocking, clock) {
      name = storage::kHomeShard;
      reservations = ledger;
      stock = ledger;
      lifecycle = ledger;
      claims = own_claims.get();
      changes = own_changes.get();
      carts = &own_carts;
      executor = blocking;
    }
    void RefuseWaiting() override {
      own_claims->Stop();
      own_changes->Stop();
      own_carts.Stop();
    }
    void StopPipelines() override {
      own_claims.reset();
      own_changes.reset();
    }

    std::unique_ptr<storage::CommitPipeline> own_claims;
    std::unique_ptr<storage::ChangePipeline> own_changes;
    storage::CartPipeline own_carts;
  };

  storage::ShardSet shards_;
  storage::ShardRouter router_;
};

}  // namespace tranche::testing
