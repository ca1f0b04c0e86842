#include "server/metrics/ledger_health_metrics.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace tranche::server {
namespace {

void AddOutbox(const std::string& shard, const std::vector<storage::OutboxDepth>& sinks, MetricSet* metrics) {
  for (const storage::OutboxDepth& sink : sinks) {
    for (const bool dead : {false, true}) {
      metrics->AddGauge("tranche_outbox_messages", "Messages that are not delivered; counts stop at 10000",
                        static_cast<double>(dead ? sink.dead : sink.pending),
                        {{"shard", shard}, {"sink", sink.sink}, {"state", dead ? "dead" : "pending"}});
    }
    metrics->AddGauge("tranche_outbox_oldest_seconds", "Age of the oldest message that waits; 0 without any",
                      absl::ToDoubleSeconds(sink.oldest_pending), {{"shard", shard}, {"sink", sink.sink}});
  }
}

void AddWaiting(const MetricLabels& shard, const storage::LedgerHealth& health, MetricSet* metrics) {
  metrics->AddGauge("tranche_holds_overdue", "Unpaid holds whose time is over; counts stop at 10000",
                    static_cast<double>(health.overdue_holds), shard);
  metrics->AddGauge("tranche_holds_overdue_oldest_seconds", "For how long the oldest of them is overdue; 0 without any",
                    absl::ToDoubleSeconds(health.oldest_overdue), shard);
  metrics->AddGauge("tranche_refunds_waiting", "Payments that are to be refunded; counts stop at 10000",
                    static_cast<double>(health.refunds_waiting), shard);
  metrics->AddGauge("tranche_refunds_waiting_oldest_seconds", "How long the oldest of them waits; 0 without any",
                    absl::ToDoubleSeconds(health.oldest_refund), shard);
  metrics->AddGauge("tranche_units_stranded", "Units of incarnations that have ended",
                    static_cast<double>(health.stranded_units), shard);
}

void AddGroups(const MetricLabels& shard, const storage::GroupCounts& groups, MetricSet* metrics) {
  metrics->AddGauge("tranche_groups_forming", "Groups that form; counts stop at 10000",
                    static_cast<double>(groups.forming), shard);
  metrics->AddGauge("tranche_groups_overdue",
                    "Groups that should have been ended ten seconds ago; counts stop at 10000",
                    static_cast<double>(groups.overdue), shard);
}

void AddOperatorsWishes(const MetricLabels& shard, const storage::LedgerHealth& health, MetricSet* metrics) {
  metrics->AddGauge("tranche_cluster_frozen", "1 if balancers move no units, by cluster freeze", health.frozen ? 1 : 0,
                    shard);
  metrics->AddGauge("tranche_skus_paused", "SKUs in their sale window that are paused, of the first 1000",
                    static_cast<double>(health.paused_skus), shard);
}

void AddDatabase(const MetricLabels& shard, const storage::LedgerHealth& health, MetricSet* metrics) {
  if (health.connections_limit > 0) {
    metrics->AddGauge("tranche_postgres_connections", "Connections in use, of the limit that leaves the fewest",
                      health.connections_used, shard);
    metrics->AddGauge("tranche_postgres_connections_limit", "That limit", health.connections_limit, shard);
  }
  if (health.database_bytes > 0) {
    metrics->AddGauge("tranche_postgres_database_bytes", "Size of the database",
                      static_cast<double>(health.database_bytes), shard);
  }
  metrics->AddGauge("tranche_postgres_read_only", "1 if the database takes no changes", health.read_only ? 1 : 0,
                    shard);
  metrics->AddGauge("tranche_postgres_standbys_needed", "Standbys that a commit waits for", health.standbys_needed,
                    shard);
  metrics->AddGauge("tranche_postgres_standbys", "Standbys that are connected",
                    static_cast<double>(health.synchronous_standbys.value_or(health.standbys)), shard);
}

}  // namespace

LedgerHealthMetrics::Reader::Reader(LedgerHealthMetrics* metrics, std::string shard, storage::HealthLedger* ledger,
                                    storage::GroupLedger* groups)
    : metrics_(metrics),
      shard_(std::move(shard)),
      task_(std::make_unique<PeriodicTask>(kReadEvery,
                                           [this, ledger, groups] { metrics_->Look(shard_, *ledger, *groups); })) {}

LedgerHealthMetrics::Reader::~Reader() {
  task_.reset();
  metrics_->Forget(shard_);
}

std::unique_ptr<LedgerHealthMetrics::Reader> LedgerHealthMetrics::Read(const std::string& shard,
                                                                       storage::HealthLedger* ledger,
                                                                       storage::GroupLedger* groups) {
  return std::make_unique<Reader>(this, shard, ledger, groups);
}

void LedgerHealthMetrics::Look(const std::string& shard, storage::HealthLedger& ledger, storage::GroupLedger& groups) {
  absl::StatusOr<storage::LedgerHealth> health = ledger.Health();
  if (!health.ok()) return;
  absl::StatusOr<std::vector<storage::Heartbeat>> heartbeats = ledger.Heartbeats();
  if (!heartbeats.ok()) return;
  const absl::StatusOr<storage::GroupCounts> counted = groups.CountGroups();
  std::optional<storage::GroupCounts> counts;
  if (counted.ok()) counts = *counted;
  absl::MutexLock lock(&mutex_);
  seen_[shard] = {clock_->Now(), *std::move(health), *std::move(heartbeats), counts};
}

void LedgerHealthMetrics::Forget(const std::string& shard) {
  absl::MutexLock lock(&mutex_);
  seen_.erase(shard);
}

void LedgerHealthMetrics::Collect(MetricSet* metrics) {
  absl::MutexLock lock(&mutex_);
  for (const auto& [shard, seen] : seen_) {
    const MetricLabels label = {{"shard", shard}};
    const absl::Duration since_read = std::max(clock_->Now() - seen.at, absl::ZeroDuration());
    metrics->AddGauge("tranche_ledger_health_read_age_seconds", "Age of what the other metrics of this table tell",
                      absl::ToDoubleSeconds(since_read), label);
    AddWaiting(label, seen.health, metrics);
    if (seen.groups.has_value()) AddGroups(label, *seen.groups, metrics);
    AddOperatorsWishes(label, seen.health, metrics);
    AddOutbox(shard, seen.health.sinks, metrics);
    AddDatabase(label, seen.health, metrics);
    for (const auto kind : {storage::Heartbeat::Kind::kBalancer, storage::Heartbeat::Kind::kWorker}) {
      std::optional<absl::Duration> newest;
      for (const storage::Heartbeat& heartbeat : seen.heartbeats) {
        if (heartbeat.kind == kind) newest = std::min(newest.value_or(heartbeat.age), heartbeat.age);
      }
      if (!newest.has_value()) continue;
      metrics->AddGauge(
          "tranche_heartbeat_age_seconds", "Time since the last heartbeat of any process of the kind",
          absl::ToDoubleSeconds(*newest + since_read),
          {{"kind", kind == storage::Heartbeat::Kind::kBalancer ? "balancer" : "worker"}, {"shard", shard}});
    }
  }
}

}  // namespace tranche::server
