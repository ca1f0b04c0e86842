#include "server/node/operator_calls.h"

#include <string>
#include <utility>
#include <vector>

#include "server/node/answer_limits.h"
#include "server/process/backends.h"
#include "server/services/admin_service.h"

namespace tranche::server {
namespace {

// Admin calls are few and may be slow; they share only the database with sales.
constexpr int kAdminThreads = 2;
constexpr int kAdminQueue = 64;
// Per shard, while a SKU moves.
constexpr int kMoveConnections = 2;

AuditHandler::Logs LogsOf(NodeLedger* ledger) {
  return [ledger] {
    std::vector<std::pair<std::string, storage::AuditLedger*>> logs;
    for (const auto& shard : ledger->shards().All()) logs.emplace_back(shard->name, shard->stock);
    return logs;
  };
}

AuditedChangeHandler::LogOf LogOfSku(NodeLedger* ledger, const quota::SliceTable* slices) {
  return [ledger, slices](const std::string& sku_id) -> storage::AuditLedger* {
    const std::shared_ptr<storage::ShardBackend> shard = ledger->shards().Find(slices->ShardOf(sku_id));
    return shard == nullptr ? ledger->shards().home().stock : shard->stock;
  };
}

ClusterHandler::Shards SettingsOf(NodeLedger* ledger) {
  return [ledger] {
    std::vector<ClusterHandler::ShardOfCluster> shards;
    const storage::ShardList all = ledger->shards().All();
    // A single one is asked in any case.
    for (const auto& shard : all)
      shards.push_back({shard->name, all.size() == 1 || shard->Answers() ? shard->stock : nullptr});
    return shards;
  };
}

storage::PoolOptions MovePool(const ServerOptions& options, const std::string& dsn) {
  storage::PoolOptions pool = ToPoolOptions(options.backends, "tranched-move", kMoveConnections);
  pool.dsn = dsn;
  return pool;
}

}  // namespace

OperatorCalls::OperatorCalls(const ServerOptions& options, NodeLedger* ledger, quota::SessionSource* sessions,
                             const ReservationHandlers& reservations, const quota::SliceTable* slices)
    : announcer_(sessions),
      mover_(&ledger->stock(), &announcer_),
      skus_(&ledger->stock(), &announcer_, storage::Clock::Real()),
      sku_changes_(&ledger->stock(), &announcer_, storage::Clock::Real()),
      stock_(&ledger->stock(), &announcer_, storage::Clock::Real()),
      quota_(&ledger->stock(), &mover_, sessions, storage::Clock::Real()),
      nodes_(&ledger->stock(), sessions, storage::Clock::Real()),
      verify_(&ledger->stock()),
      coordination_(sessions, &ledger->stock(), storage::Clock::Real()),
      audit_(&ledger->stock(), LogsOf(ledger)),
      outbox_(&ledger->outbox()),
      payments_(&ledger->payments()),
      previews_([ledger](const storage::Change& change) { return ledger->router().Preview(change); },
                storage::Clock::Real()),
      shards_(&ledger->shards(), &announcer_, storage::Clock::Real(),
              [options](const std::string& dsn) { return MovePool(options, dsn); }),
      cluster_(SettingsOf(ledger)),
      reservations_(reservations.reservation, reservations.cart, reservations.change, LogOfSku(ledger, slices),
                    storage::Clock::Real()),
      answers_(AnswerLimitsOf(options), storage::Clock::Real()),
      exports_(AnswerLimitsOf(options), storage::Clock::Real()),
      executor_(std::make_unique<storage::BoundedExecutor>(kAdminThreads, kAdminQueue)),
      move_executor_(std::make_unique<storage::BoundedExecutor>(1, 1)),
      service_(MakeAdminService({.sku = &skus_,
                                 .sku_change = &sku_changes_,
                                 .stock = &stock_,
                                 .quota = &quota_,
                                 .node = &nodes_,
                                 .verify = &verify_,
                                 .coordination = &coordination_,
                                 .audit = &audit_,
                                 .outbox = &outbox_,
                                 .payment = &payments_,
                                 .preview = &previews_,
                                 .shard = &shards_,
                                 .cluster = &cluster_,
                                 .reservations = &reservations_},
                                {.clock = storage::Clock::Real(),
                                 .answers = &answers_,
                                 .exports = &exports_,
                                 .admin_executor = executor_.get(),
                                 .move_executor = move_executor_.get()})) {}

void OperatorCalls::StopThreads() {
  move_executor_.reset();
  executor_.reset();
}

}  // namespace tranche::server
