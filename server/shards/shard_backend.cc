#include "server/shards/shard_backend.h"

#include <utility>

namespace tranche::server {
namespace {

// Of the call pool, besides the blocking threads': 4 for late payments, 2 for lists, 2 for admin calls, and those of a
// moving SKU, the node's agent, who watches, and the look for shards. Enough for all at once, so that slow lists take
// no connection from a cart.
constexpr int kMoreConnections = 12;

BackendOptions At(BackendOptions options, const std::string& dsn) {
  options.postgres = dsn;
  return options;
}

storage::PipelineOptions ToPipelineOptions(const ServerOptions& options) {
  storage::PipelineOptions pipeline;
  pipeline.lanes = options.lanes;
  pipeline.max_batch = options.max_batch;
  pipeline.max_queue = options.max_queue;
  return pipeline;
}

}  // namespace

PostgresShardBackend::PostgresShardBackend(std::string shard_name, const std::string& dsn, const ServerOptions& options)
    : commit_pool_(ToPoolOptions(At(options.backends, dsn), "tranched-commit", options.lanes)),
      call_pool_(ToPoolOptions(At(options.backends, dsn), "tranched", options.blocking_threads + kMoreConnections)),
      change_pool_(ToPoolOptions(At(options.backends, dsn), "tranched-change", options.lanes)),
      commit_ledger_(&commit_pool_),
      ledger_(&call_pool_),
      stock_ledger_(&call_pool_, shard_name),
      lifecycle_ledger_(&call_pool_),
      change_ledger_(&change_pool_),
      shard_ledger_(&call_pool_),
      outbox_ledger_(&call_pool_),
      payment_ledger_(&call_pool_),
      move_ledger_(&call_pool_),
      claims_(std::make_unique<storage::CommitPipeline>(&commit_ledger_, storage::Clock::Real(),
                                                        ToPipelineOptions(options))),
      changes_(std::make_unique<storage::ChangePipeline>(&change_ledger_, storage::Clock::Real(),
                                                         ToPipelineOptions(options))),
      executor_(std::make_unique<storage::BoundedExecutor>(options.blocking_threads, options.blocking_queue)) {
  name = std::move(shard_name);
  this->dsn = dsn;
  reservations = &ledger_;
  stock = &stock_ledger_;
  lifecycle = &lifecycle_ledger_;
  shards = &shard_ledger_;
  outbox = &outbox_ledger_;
  payments = &payment_ledger_;
  moves = &move_ledger_;
  claims = claims_.get();
  changes = changes_.get();
  executor = executor_.get();
}

}  // namespace tranche::server
