#include "server/node/ledger_metrics.h"

#include <algorithm>
#include <string>

#include "storage/pipeline/commit_metrics.h"
#include "storage/shards/shard_backend.h"

namespace tranche::server {
namespace {

void AddTries(const std::string& shard, const char* kind, const storage::CommitMetrics& counted, MetricSet* metrics) {
  const MetricLabels labels = {{"shard", shard}, {"kind", kind}};
  metrics->AddHistogram("tranche_commit_queueing_seconds",
                        "Time from a request's arrival until it is first sent to the ledger.",
                        counted.queueing_s.values(), labels);
  metrics->AddHistogram("tranche_commit_batch_size", "Requests in one transaction; of a cart, its lines.",
                        counted.batch_size.values(), labels);
  metrics->AddHistogram("tranche_commit_seconds", "Time of one transaction at the ledger.", counted.try_s.values(),
                        labels);
  const auto add = [&](const char* outcome, const Counter& counter) {
    MetricLabels with_outcome = labels;
    with_outcome.emplace_back("outcome", outcome);
    metrics->AddCounter("tranche_commit_batches_total",
                        "Transactions, each try by itself: committed, unknown (the answer was lost), or failed.",
                        static_cast<double>(counter.value()), with_outcome);
  };
  add("committed", counted.committed);
  add("unknown", counted.unknown);
  add("failed", counted.failed);
}

void AddWaiting(const std::string& shard, const char* kind, int64_t waiting, MetricSet* metrics) {
  metrics->AddGauge("tranche_commit_waiting", "Requests that wait to be sent to the ledger.",
                    static_cast<double>(std::max<int64_t>(0, waiting)), {{"shard", shard}, {"kind", kind}});
}

void AddLocked(const std::string& shard, const char* pipeline, int64_t slow, MetricSet* metrics) {
  metrics->AddGauge("tranche_commit_locked",
                    "Requests that wait because another transaction has locked what they need.",
                    static_cast<double>(slow), {{"shard", shard}, {"pipeline", pipeline}});
}

void AddStanding(const std::string& shard, const char* kind, bool stands, MetricSet* metrics) {
  metrics->AddGauge("tranche_commit_standing",
                    "1 while requests have waited for long for a second, and new ones are refused soon.",
                    stands ? 1 : 0, {{"shard", shard}, {"kind", kind}});
}

void AddPipelines(const storage::ShardBackend& shard, MetricSet* metrics) {
  const storage::PipelineStats claims = shard.claims->Stats();
  AddTries(shard.name, "claim", shard.claims->metrics(), metrics);
  AddWaiting(shard.name, "claim", claims.queued - claims.slow, metrics);
  AddLocked(shard.name, "claims", claims.slow, metrics);
  AddStanding(shard.name, "claim", claims.stands, metrics);
  const auto waiting = shard.changes->Waiting();
  for (size_t i = 0; i < waiting.size(); ++i) {
    AddTries(shard.name, storage::ChangeWork::kKinds[i], shard.changes->metrics(i), metrics);
    AddWaiting(shard.name, storage::ChangeWork::kKinds[i], waiting[i], metrics);
  }
  AddLocked(shard.name, "changes", shard.changes->Stats().slow, metrics);
  const auto slow_carts = static_cast<int64_t>(shard.carts->slow());
  AddTries(shard.name, "cart", shard.carts->metrics(), metrics);
  AddWaiting(shard.name, "cart", static_cast<int64_t>(shard.carts->waiting()) - slow_carts, metrics);
  AddLocked(shard.name, "carts", slow_carts, metrics);
  const storage::PipelineStats entries = shard.entries->Stats();
  AddTries(shard.name, "entry", shard.entries->metrics(), metrics);
  AddWaiting(shard.name, "entry", entries.queued - entries.slow, metrics);
  AddLocked(shard.name, "entries", entries.slow, metrics);
  AddStanding(shard.name, "entry", entries.stands, metrics);
}

void AddConnections(const storage::ShardBackend& shard, MetricSet* metrics) {
  for (const storage::ConnectionCounts& counts : shard.Connections()) {
    const MetricLabels labels = {{"shard", shard.name}, {"pool", counts.pool}};
    const auto add = [&](const char* state, int count) {
      MetricLabels with_state = labels;
      with_state.emplace_back("state", state);
      metrics->AddGauge("tranche_connections", "Connections to PostgreSQL.", count, with_state);
    };
    add("used", counts.used);
    add("idle", counts.idle);
    metrics->AddGauge("tranche_connections_limit", "Connections that this pool may have.", counts.limit, labels);
  }
}

}  // namespace

void AddExecutorQueue(const char* executor, const std::string& shard, size_t queued, MetricSet* metrics) {
  metrics->AddGauge("tranche_executor_queue", "Calls that wait for a thread.", static_cast<double>(queued),
                    {{"executor", executor}, {"shard", shard}});
}

void LedgerMetrics::Collect(MetricSet* metrics) {
  for (const auto& shard : ledger_->shards().All()) {
    metrics->AddGauge("tranche_ledger_up", "1 if the shard's ledger answers, as far as claims know.",
                      shard->Answers() ? 1 : 0, {{"shard", shard->name}});
    AddPipelines(*shard, metrics);
    AddConnections(*shard, metrics);
    AddExecutorQueue("cart", shard->name, shard->executor->queued(), metrics);
    AddExecutorQueue("read", shard->name, shard->for_reads().queued(), metrics);
    AddExecutorQueue("pool", shard->name, shard->for_pool().queued(), metrics);
  }
  AddExecutorQueue("late_payment", "", ledger_->queued_late_payments(), metrics);
  AddExecutorQueue("list", "", ledger_->queued_lists(), metrics);
}

}  // namespace tranche::server
