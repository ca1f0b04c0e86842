// tranche-worker: expires unpaid holds and tells of those that lapse soon, ends groups at their deadline, carries draws
// on, delivers the messages about changes, retires old reservations, groups and entries of the audit log.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "server/metrics/ledger_health_metrics.h"
#include "server/metrics/metrics_door.h"
#include "server/metrics/pool_metrics.h"
#include "server/metrics/shard_parts.h"
#include "server/process/backends.h"
#include "server/process/delayed_task.h"
#include "server/process/dsn.h"
#include "server/process/heartbeat_sender.h"
#include "server/process/host.h"
#include "server/process/options.h"
#include "server/process/process_setup.h"
#include "server/process/served_certificates.h"
#include "server/process/shard_check.h"
#include "server/process/sink_spec.h"
#include "server/process/stop_request.h"
#include "server/shard_units.h"
#include "server/worker/expiry_pause.h"
#include "server/worker/make_sinks.h"
#include "server/worker/shard_worker.h"
#include "server/worker/worker_metrics.h"
#include "storage/base/log_identity.h"
#include "storage/clock.h"
#include "storage/postgres/postgres_draw_ledger.h"
#include "storage/postgres/postgres_front_ledger.h"
#include "storage/postgres/postgres_group_ledger.h"
#include "storage/postgres/postgres_health_ledger.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_outbox_ledger.h"
#include "storage/postgres/postgres_shard_ledger.h"
#include "storage/postgres/postgres_upkeep_ledger.h"

namespace {

using namespace tranche;

constexpr int kCannotStart = 2;

int Fail(const absl::Status& status) {
  std::cerr << "tranche-worker: " << std::string(status.message()) << std::endl;
  return kCannotStart;
}

server::ShardWorkerOptions ToWorkerOptions(const server::WorkerProcessOptions& options) {
  server::ShardWorkerOptions worker;
  worker.expire = options.expire;
  worker.expirer.batch = options.expire_batch;
  worker.expirer.holds_per_s = options.expire_per_s;
  worker.group_expirer.batch = std::min(options.expire_batch, storage::kMaxBatch);
  worker.group_expirer.holds_per_s = options.expire_per_s;
  worker.remind = options.remind_before_s > 0;
  if (worker.remind) worker.reminder.within = absl::Seconds(options.remind_before_s);
  worker.reminder.holds_per_s = options.expire_per_s;
  worker.retire = options.retire;
  worker.retirer.age = absl::Hours(24) * options.retain_days;
  worker.retirer.retired = options.archive ? storage::Retired::kArchive : storage::Retired::kDrop;
  worker.retirer.batch = options.retire_batch;
  worker.group_retirer.age = worker.retirer.age;
  worker.group_retirer.batch = options.retire_batch;
  worker.retire_audit = options.audit_retain_days > 0;
  if (worker.retire_audit) worker.audit_retirer.age = absl::Hours(24) * options.audit_retain_days;
  worker.draw = options.draw;
  worker.relay.health.max_batch = options.sink_batch;
  worker.relay.lease = absl::Milliseconds(options.sink_lease_ms);
  worker.relay.give_up = {options.give_up_attempts, absl::Hours(options.give_up_hours)};
  return worker;
}

// Their messages pile up until somebody delivers or removes them; perhaps another worker does.
void TellOfOtherSinks(storage::OutboxLedger& ledger, const std::vector<server::Sink*>& sinks) {
  const auto registered = ledger.ListSinks();
  if (!registered.ok()) return;
  for (const std::string& name : *registered) {
    const bool served = std::any_of(sinks.begin(), sinks.end(), [&](const auto* sink) { return sink->name() == name; });
    if (!served) LOG(INFO) << server::AdviceAboutOtherSink(name, /*only_one=*/registered->size() == 1);
  }
}

// What all shards that a process works for share; outlives them.
struct Shared {
  std::vector<server::Sink*> sinks;
  server::ShardWorkerOptions options;
  server::ExpiryPause* expiry_pause;
  server::HeartbeatSender::Process process;
  server::WorkerMetrics* metrics;
  server::PoolMetrics* pools;
  server::LedgerHealthMetrics* health;  // null: nobody looks at it
  // Those of all shards, for the end of the process.
  server::ShardParts<server::ShardWorker*>* workers;
  server::ShardParts<storage::ConnectionPool*>* used_pools;
};

// What working for one shard needs.
struct ServedShard {
  ServedShard(const storage::PoolOptions& options, server::ShardParts<storage::ConnectionPool*>* used_pools)
      : pool(options),
        upkeep(&pool),
        outbox(&pool),
        draws(&pool),
        groups(&pool),
        front(&pool),
        health(&pool),
        pool_used(used_pools, &pool) {}
  // Lets the steps that have begun end. What is read for the metrics nobody wants any more.
  ~ServedShard() {
    pool_shown.reset();
    worker_shown.reset();
    worker_runs.reset();
    heartbeats.reset();
    worker.reset();
    pool.GiveUp();
    reader.reset();
  }
  ServedShard(const ServedShard&) = delete;
  ServedShard& operator=(const ServedShard&) = delete;

  void Begin(const std::string& shard, const Shared& shared) {
    const bool home = shard == storage::kHomeShard;
    // Before any hold expires. Later home's expirer and reminder look, for all: either may be switched off.
    if (home) shared.expiry_pause->LookIfDue();
    server::ShardWorkerOptions options = shared.options;
    options.expirer.paused = options.reminder.paused = [pause = shared.expiry_pause, home] {
      if (home) pause->LookIfDue();
      return pause->paused();
    };
    options.group_expirer.paused = options.expirer.paused;
    worker.emplace(&upkeep, &outbox, &draws, &groups, shared.sinks, storage::Clock::Real(), options);
    worker_runs.emplace(shared.workers, &*worker);
    heartbeats.emplace(&health, shared.process, [this] { return worker->Describe(); });
    if (shared.health != nullptr) reader = shared.health->Read(shard, &health, &groups);
    worker_shown = shared.metrics->Join({.shard = shard,
                                         .expirer = worker->expirer(),
                                         .group_expirer = worker->group_expirer(),
                                         .retirer = worker->retirer(),
                                         .group_retirer = worker->group_retirer(),
                                         .drawer = worker->drawer(),
                                         .relays = worker->relays(),
                                         .ledger_up = [this] { return pool.reached(); }});
    pool_shown = shared.pools->Join({.shard = shard, .pool = &pool});
  }

  storage::ConnectionPool pool;
  storage::PostgresUpkeepLedger upkeep;
  storage::PostgresOutboxLedger outbox;
  storage::PostgresDrawLedger draws;
  storage::PostgresGroupLedger groups;
  storage::PostgresFrontLedger front;
  storage::PostgresHealthLedger health;
  const server::ShardParts<storage::ConnectionPool*>::Membership pool_used;
  std::optional<server::ShardWorker> worker;
  std::optional<server::ShardParts<server::ShardWorker*>::Membership> worker_runs;
  std::optional<server::HeartbeatSender> heartbeats;
  std::unique_ptr<server::LedgerHealthMetrics::Reader> reader;
  std::unique_ptr<server::WorkerMetrics::Membership> worker_shown;
  std::unique_ptr<server::PoolMetrics::Membership> pool_shown;
};

// How long a healthy step may take once the process is to end: a delivery, and a statement that tells its result.
absl::Duration LongestStep(const server::WorkerProcessOptions& options, const storage::PoolOptions& pool) {
  const absl::Duration delivery =
      options.sinks.empty() ? absl::ZeroDuration() : absl::Milliseconds(options.sink_timeout_ms);
  return delivery + pool.statement_timeout + absl::Seconds(1);
}

void GiveUp(const server::ShardParts<storage::ConnectionPool*>& pools) {
  // Before logging, which may block on a log that nobody reads.
  pools.ForEach([](storage::ConnectionPool* pool) { pool->GiveUp(); });
  LOG(WARNING) << "what was still under way at PostgreSQL is given up";
}

absl::Status CheckHome(ServedShard& home, storage::ShardLedger& shards, const server::BackendOptions& backends,
                       const storage::ConnectionNeeds& needs) {
  storage::PostgresStockLedger stock(&home.pool);
  if (absl::Status answers = server::WaitForLedger(stock, backends); !answers.ok()) return answers;
  if (absl::Status is_home = server::RequireHome(shards, backends); !is_home.ok()) return is_home;
  return server::CheckConnections(backends, needs);
}

void TellThatItRuns(const std::string& name, const server::WorkerProcessOptions& options, size_t sinks) {
  LOG(INFO) << "worker " << name << " runs, PostgreSQL at "
            << server::DescribeDsn(options.backends.postgres).value_or("(unreadable)") << ", " << sinks << " sink(s)";
}

}  // namespace

int main(int argc, char** argv) {
  server::WorkerProcessOptions options;
  if (const std::optional<int> done = server::ParseWorkerOptions(argc, argv, &options, std::cout, std::cerr)) {
    return *done;
  }
  server::SetUpProcess("tranche-worker", options.log_format);
  const std::string name = options.name.empty() ? absl::StrCat(server::HostName(), ":", getpid()) : options.name;
  SetLogNode(name);
  server::StopRequest stop;

  absl::StatusOr<std::vector<std::unique_ptr<server::Sink>>> owned = server::MakeSinks(options, storage::Clock::Real());
  if (!owned.ok()) return Fail(owned.status());
  std::vector<server::Sink*> sinks;
  for (const auto& sink : *owned) sinks.push_back(sink.get());

  const int connections = server::ShardWorker::ConnectionsFor(static_cast<int>(sinks.size()));
  const storage::PoolOptions pool = server::ToPoolOptions(options.backends, "tranche-worker", connections);
  server::WorkerMetrics metrics(storage::Clock::Real());
  server::PoolMetrics pools("worker");
  server::LedgerHealthMetrics health(storage::Clock::Real());
  const auto certificates = server::ServedCertificates::Open(options.tls);
  if (!certificates.ok()) return Fail(certificates.status());
  std::unique_ptr<server::MetricsDoor> door;
  if (!options.metrics.listen.empty()) {
    auto started = server::MetricsDoor::Start(
        options.metrics, {&metrics, &pools, &health}, [&] { return metrics.Ready(); }, certificates->get());
    if (!started.ok()) return Fail(started.status());
    door = *std::move(started);
  }

  server::ShardParts<server::ShardWorker*> workers;
  server::ShardParts<storage::ConnectionPool*> used_pools;
  std::optional<ServedShard> home(std::in_place, pool, &used_pools);
  server::ExpiryPause expiry_pause(&home->front, storage::Clock::Real());
  const Shared shared{.sinks = sinks,
                      .options = ToWorkerOptions(options),
                      .expiry_pause = &expiry_pause,
                      .process = {name, server::RandomInstance()},
                      .metrics = &metrics,
                      .pools = &pools,
                      .health = door == nullptr ? nullptr : &health,
                      .workers = &workers,
                      .used_pools = &used_pools};
  storage::PostgresShardLedger shards(&home->pool);
  const storage::ConnectionNeeds needs{.most = connections, .least = 1};
  if (absl::Status checked = CheckHome(*home, shards, options.backends, needs); !checked.ok()) return Fail(checked);
  TellOfOtherSinks(home->outbox, sinks);

  home->Begin(storage::kHomeShard, shared);
  server::ShardCheck check(pool, needs);
  std::optional<server::ShardUnits> others(std::in_place, &shards, [&](const storage::Shard& shard) {
    if (!check.Check(shard).ok()) return std::shared_ptr<ServedShard>();
    storage::PoolOptions other = pool;
    other.dsn = shard.dsn;
    auto unit = std::make_shared<ServedShard>(other, &used_pools);
    unit->Begin(shard.name, shared);
    return unit;
  });
  TellThatItRuns(name, options, sinks.size());
  stop.Graceful();
  stop.Wait();
  metrics.NoteStopping();
  // All shards side by side. One whose ledger hangs must not delay the end for long.
  workers.ForEach([](server::ShardWorker* worker) { worker->RequestStop(); });
  const server::DelayedTask give_up(LongestStep(options, pool), [&used_pools] { GiveUp(used_pools); });
  others.reset();
  home.reset();
  LOG(INFO) << "stopped";
  return 0;
}
