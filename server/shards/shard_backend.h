// One shard as a front node uses it: its ledgers, its pipelines, and threads for calls that block. No shard shares a
// thread, a connection or a queue with another, so that one that is slow or down holds up nothing but its own SKUs.
#pragma once

#include <memory>
#include <string>

#include "server/backends.h"
#include "server/options.h"
#include "storage/bounded_executor.h"
#include "storage/change_pipeline.h"
#include "storage/commit_pipeline.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "storage/postgres/postgres_outbox_ledger.h"
#include "storage/postgres/postgres_payment_ledger.h"
#include "storage/postgres/postgres_shard_ledger.h"
#include "storage/postgres/postgres_sku_move_ledger.h"

namespace tranche::server {

// Thread-safe. What it points to lives as long as it does.
struct ShardBackend {
  virtual ~ShardBackend() = default;
  // For the end, in this order. Refuses what waits in the pipelines, without waiting for what is in flight.
  virtual void RefuseWaiting() {}
  // Breaks off what is under way at the ledger and answers every later call with kUnavailable. At any time, from any
  // thread.
  virtual void GiveUpLedger() {}
  // Ends the threads for blocking calls; then the pipelines. What is queued still runs.
  virtual void StopExecutor() {}
  virtual void StopPipelines() {}

  // Does its ledger answer, as far as the commit pipeline knows?
  bool Answers() const { return claims->Stats().ledger_answers; }

  std::string name;
  std::string dsn;
  storage::ReservationLedger* reservations = nullptr;
  storage::StockLedger* stock = nullptr;
  storage::LifecycleLedger* lifecycle = nullptr;
  storage::ShardLedger* shards = nullptr;
  storage::OutboxLedger* outbox = nullptr;
  storage::PaymentLedger* payments = nullptr;
  storage::SkuMoveLedger* moves = nullptr;
  storage::CommitPipeline* claims = nullptr;
  storage::ChangePipeline* changes = nullptr;
  storage::Executor* executor = nullptr;
};

class PostgresShardBackend : public ShardBackend {
 public:
  // `options.backends.postgres` is the home's DSN; `dsn` is this shard's.
  PostgresShardBackend(std::string shard_name, const std::string& dsn, const ServerOptions& options);

  void RefuseWaiting() override {
    claims_->Stop();
    changes_->Stop();
  }
  void GiveUpLedger() override {
    for (storage::ConnectionPool* pool : {&commit_pool_, &call_pool_, &change_pool_}) pool->GiveUp();
  }
  void StopExecutor() override { executor_.reset(); }
  void StopPipelines() override {
    claims_.reset();
    changes_.reset();
  }

 private:
  storage::ConnectionPool commit_pool_;
  storage::ConnectionPool call_pool_;
  storage::ConnectionPool change_pool_;
  storage::PostgresLedger commit_ledger_;
  storage::PostgresLedger ledger_;
  storage::PostgresStockLedger stock_ledger_;
  storage::PostgresLifecycleLedger lifecycle_ledger_;
  storage::PostgresLifecycleLedger change_ledger_;
  storage::PostgresShardLedger shard_ledger_;
  storage::PostgresOutboxLedger outbox_ledger_;
  storage::PostgresPaymentLedger payment_ledger_;
  storage::PostgresSkuMoveLedger move_ledger_;
  std::unique_ptr<storage::CommitPipeline> claims_;
  std::unique_ptr<storage::ChangePipeline> changes_;
  std::unique_ptr<storage::BoundedExecutor> executor_;
};

}  // namespace tranche::server
