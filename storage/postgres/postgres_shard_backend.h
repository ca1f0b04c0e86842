// A shard on PostgreSQL.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/bounded_executor.h"
#include "storage/pipeline/cart_pipeline.h"
#include "storage/pipeline/change_pipeline.h"
#include "storage/pipeline/commit_pipeline.h"
#include "storage/pipeline/entry_pipeline.h"
#include "storage/postgres/connection_limits.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/connection_share.h"
#include "storage/postgres/postgres_draw_ledger.h"
#include "storage/postgres/postgres_front_ledger.h"
#include "storage/postgres/postgres_group_ledger.h"
#include "storage/postgres/postgres_health_ledger.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "storage/postgres/postgres_outbox_ledger.h"
#include "storage/postgres/postgres_payment_ledger.h"
#include "storage/postgres/postgres_shard_ledger.h"
#include "storage/postgres/postgres_sku_move_ledger.h"
#include "storage/shards/shard_backend.h"
#include "storage/shared_threads.h"

namespace tranche::storage {

struct PostgresShardOptions {
  // Used for each of its pools, except for the name and the size.
  PoolOptions pool;
  PipelineOptions pipeline;
  int blocking_threads = 8;  // for carts and reads
  int blocking_queue = 256;  // so many carts, and as many reads, wait for one of these
};

class PostgresShardBackend : public ShardBackend {
 public:
  // How many connections it may open. It works with one for each of its pools.
  static ConnectionNeeds NeedsOf(const PostgresShardOptions& options);

  // The pool's DSN is this shard's.
  PostgresShardBackend(std::string shard_name, const PostgresShardOptions& options);

  void RefuseWaiting() override {
    claims_->Stop();
    changes_->Stop();
    carts_->Stop();
    entries_->Stop();
  }
  void GiveUpLedger() override {
    for (ConnectionPool* pool : {&commit_pool_, &call_pool_, &change_pool_, &verify_pool_}) pool->GiveUp();
  }
  std::vector<ConnectionCounts> Connections() const override;
  void StopExecutor() override {
    look_executor_.reset();
    threads_.reset();
  }
  void StopPipelines() override {
    claims_.reset();
    changes_.reset();
    entries_.reset();
  }

 private:
  const std::shared_ptr<ConnectionShare> share_ = std::make_shared<ConnectionShare>();
  ConnectionPool commit_pool_;
  ConnectionPool call_pool_;
  ConnectionPool change_pool_;
  ConnectionPool verify_pool_;
  PostgresLedger commit_ledger_;
  PostgresLedger ledger_;
  PostgresStockLedger stock_ledger_;
  PostgresLifecycleLedger lifecycle_ledger_;
  PostgresLifecycleLedger change_ledger_;
  PostgresShardLedger shard_ledger_;
  PostgresOutboxLedger outbox_ledger_;
  PostgresPaymentLedger payment_ledger_;
  PostgresSkuMoveLedger whereabouts_ledger_;
  PostgresHealthLedger health_ledger_;
  PostgresFrontLedger front_ledger_;
  PostgresDrawLedger draw_ledger_;
  PostgresGroupLedger group_ledger_;
  std::unique_ptr<CommitPipeline> claims_;
  std::unique_ptr<ChangePipeline> changes_;
  std::unique_ptr<EntryPipeline> entries_;
  std::unique_ptr<CartPipeline> carts_;  // outlives the tasks of threads_
  std::unique_ptr<SharedThreads> threads_;
  std::unique_ptr<BoundedExecutor> look_executor_;
};

}  // namespace tranche::storage
