#include "server/node/operator_calls.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "glog/logging.h"
#include "server/node/answer_limits.h"
#include "server/process/backends.h"
#include "server/process/shard_hosts.h"
#include "storage/base/log_identity.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// Admin calls are few and may be slow; they share only the database with sales.
constexpr int kAdminThreads = 2;
constexpr int kAdminQueue = 64;
// Status calls do not wait behind others: those may all hang at a database. They ask in less than a second.
constexpr int kStatusThreads = 2;
constexpr int kStatusQueue = 16;
// Verifications, logs and exports take minutes, and whoever may only look can ask for many: nobody who pauses a sale
// waits behind them.
constexpr int kLongReadThreads = 2;
constexpr int kLongReadQueue = 64;
// Questions to ZooKeeper: three for the status, one for the traffic, and one for the waiting rooms; one to the ledger;
// and one to the broker.
constexpr int kLookThreads = 7;
// For callers who may not go on.
constexpr absl::Duration kCheckExports = absl::Seconds(1);
// Per shard, while a SKU moves.
constexpr int kMoveConnections = 2;

AuditHandler::Logs LogsOf(NodeLedger* ledger) {
  return [ledger] {
    std::vector<std::pair<std::string, storage::AuditLedger*>> logs;
    const storage::ShardList all = ledger->shards().All();
    // A single one is asked in any case.
    for (const auto& shard : all)
      logs.emplace_back(shard->name, all.size() == 1 || shard->Answers() ? shard->stock : nullptr);
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

std::vector<std::string> NamesOfShards(NodeLedger* ledger) {
  std::vector<std::string> names;
  const storage::ShardList all = ledger->shards().All();
  for (const auto& shard : all) names.push_back(shard->name);
  return names;
}

ClaimQueueHandler::Parts QueuePartsOf(const ClaimBroker& broker, NodeLedger* ledger) {
  return {.broker = broker,
          .shards = [ledger] { return NamesOfShards(ledger); },
          .books = ledger->books(),
          .settings = ledger->shards().home().stock,
          .audit = ledger->shards().home().stock,
          .clock = storage::Clock::Real()};
}

// Null: this node has no broker to look at.
StatusHandler::ReadBroker BrokerFor(const ClaimBroker& broker, NodeLedger* ledger) {
  if (!broker.exists()) return nullptr;
  return [broker, ledger]() -> absl::StatusOr<StatusHandler::BrokerState> {
    absl::StatusOr<std::vector<v1::ClaimQueueState>> queues = ReadClaimQueues(broker, NamesOfShards(ledger));
    if (!queues.ok()) return queues.status();
    // An alarm stops who publishes, and not who asks.
    return StatusHandler::BrokerState{*std::move(queues), broker.publisher->Up()};
  };
}

CountHoldsAt HoldsOf(NodeLedger* ledger) {
  return [ledger](const std::string& shard,
                  absl::Span<const std::string> sku_ids) -> absl::StatusOr<std::vector<storage::SkuHolds>> {
    const auto backend = ledger->shards().Find(shard);
    if (backend == nullptr) return absl::NotFoundError("no such shard");
    return backend->health->CountHolds(sku_ids);
  };
}

storage::PoolOptions MovePool(const ServerOptions& options, const std::string& dsn) {
  storage::PoolOptions pool = ToPoolOptions(options.backends, "tranched-move", kMoveConnections);
  pool.dsn = dsn;
  return pool;
}

// The options were checked when they were read.
ShardHosts ShardHostsOf(const ServerOptions& options) {
  absl::StatusOr<ShardHosts> hosts = ShardHosts::Of(options.shard_hosts, options.backends.postgres);
  CHECK(hosts.ok()) << hosts.status();
  return *std::move(hosts);
}

}  // namespace

OperatorCalls::OperatorCalls(const ServerOptions& options, NodeLedger* ledger, quota::SessionSource* sessions,
                             const ReservationHandlers& reservations, const quota::SliceTable* slices,
                             AdmissionSource door, const ClaimBroker& broker, CallMetrics* metrics,
                             AccessLog* access_log, AccessControl* access)
    : announcer_(sessions),
      mover_(&ledger->stock(), &announcer_),
      skus_(&ledger->stock(), &announcer_, storage::Clock::Real(), HoldsOf(ledger), broker.exists()),
      sku_changes_(&ledger->stock(), &announcer_, storage::Clock::Real(), ConsumersAt(broker, ledger)),
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
      shards_(
          &ledger->shards(), &announcer_, storage::Clock::Real(),
          [options](const std::string& dsn) { return MovePool(options, dsn); }, ShardHostsOf(options)),
      cluster_(SettingsOf(ledger)),
      reservations_(reservations.reservation, reservations.cart, reservations.change, LogOfSku(ledger, slices),
                    storage::Clock::Real()),
      front_announcer_(ledger->shards().home().front, sessions),
      front_policies_(ledger->shards().home().front, &ledger->stock(), &front_announcer_, options.trusted_proxies),
      access_entries_(ledger->shards().home().front, &front_announcer_, storage::Clock::Real()),
      front_keys_(ledger->shards().home().front, &front_announcer_),
      explanations_(
          std::move(door), [] { return LogNode(); }, storage::Clock::Real()),
      service_mode_(ledger->shards().home().front, &front_announcer_),
      draws_(&ledger->draws(), &ledger->stock(), ledger->shards().home().front, storage::Clock::Real()),
      groups_(&ledger->groups(), storage::Clock::Real()),
      claim_queues_(QueuePartsOf(broker, ledger)),
      looks_(std::make_unique<storage::BoundedExecutor>(kLookThreads, kLookThreads)),
      rooms_(ledger->shards().home().front, sessions, looks_.get(), storage::Clock::Real()),
      status_(&ledger->shards(), sessions, looks_.get(), storage::Clock::Real(), StatusHandler::kPatience,
              BrokerFor(broker, ledger)),
      traffic_(&ledger->stock(), sessions, looks_.get(), storage::Clock::Real()),
      answers_(AnswerLimitsOf(options), storage::Clock::Real()),
      exports_(AnswerLimitsOf(options), storage::Clock::Real()),
      executor_(std::make_unique<storage::BoundedExecutor>(kAdminThreads, kAdminQueue)),
      move_executor_(std::make_unique<storage::BoundedExecutor>(1, 1)),
      status_executor_(std::make_unique<storage::BoundedExecutor>(kStatusThreads, kStatusQueue)),
      long_read_executor_(std::make_unique<storage::BoundedExecutor>(kLongReadThreads, kLongReadQueue)),
      service_(MakeAdminService(Handlers(/*watches_exports=*/access != nullptr),
                                {.clock = storage::Clock::Real(),
                                 .metrics = metrics,
                                 .answers = &answers_,
                                 .exports = &exports_,
                                 .access_log = access_log,
                                 .access = access,
                                 .admin_executor = executor_.get(),
                                 .move_executor = move_executor_.get(),
                                 .status_executor = status_executor_.get(),
                                 .long_read_executor = long_read_executor_.get()})) {
  if (access == nullptr) return;
  const absl::Duration unread_timeout = absl::Milliseconds(options.unread_timeout_ms);
  check_exports_task_ = std::make_unique<PeriodicTask>(std::min(kCheckExports, unread_timeout / 4), [=, this] {
    open_exports_.CheckAll(storage::Clock::Real()->Now() - unread_timeout);
  });
}

CountConsumers OperatorCalls::ConsumersAt(const ClaimBroker& broker, NodeLedger* ledger) {
  if (!broker.exists()) return nullptr;
  return [this, broker, ledger](const storage::Sku& sku) -> absl::StatusOr<int64_t> {
    const auto asked =
        claim_queues_look_.Ask(*looks_, [broker, ledger] { return ReadClaimQueues(broker, NamesOfShards(ledger)); });
    ASSIGN_OR_RETURN(const std::vector<v1::ClaimQueueState> queues,
                     asked->Await(absl::Now() + StatusHandler::kPatience));
    const std::string wanted = ClaimQueueName(sku.shard, PartitionOf(sku.sku_id, broker.partitions));
    for (const v1::ClaimQueueState& queue : queues) {
      if (queue.queue() == wanted) return queue.consumers();
    }
    return 0;  // nobody has made it yet
  };
}

AdminHandlers OperatorCalls::Handlers(bool watches_exports) {
  return {.sku = &skus_,
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
          .reservations = &reservations_,
          .front_policy = &front_policies_,
          .access_entry = &access_entries_,
          .front_key = &front_keys_,
          .explain_admission = &explanations_,
          .room = &rooms_,
          .service_mode = &service_mode_,
          .draw = &draws_,
          .group = &groups_,
          .claim_queue = &claim_queues_,
          .status = &status_,
          .traffic = &traffic_,
          .open_exports = watches_exports ? &open_exports_ : nullptr};
}

void OperatorCalls::StopThreads() {
  check_exports_task_.reset();
  long_read_executor_.reset();
  status_executor_.reset();
  looks_.reset();
  move_executor_.reset();
  executor_.reset();
}

}  // namespace tranche::server
