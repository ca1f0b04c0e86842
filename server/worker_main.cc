// tranche-worker: expires unpaid holds, delivers the messages about changes, retires old reservations and
// old entries of the audit log.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/process/backends.h"
#include "server/process/dsn.h"
#include "server/process/host.h"
#include "server/process/options.h"
#include "server/process/process_setup.h"
#include "server/process/shard_check.h"
#include "server/process/sink_spec.h"
#include "server/process/stop_request.h"
#include "server/shard_units.h"
#include "server/worker/make_sinks.h"
#include "server/worker/shard_worker.h"
#include "storage/clock.h"
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
  worker.retire = options.retire;
  worker.retirer.age = absl::Hours(24) * options.retain_days;
  worker.retirer.retired = options.archive ? storage::Retired::kArchive : storage::Retired::kDrop;
  worker.retirer.batch = options.retire_batch;
  worker.retire_audit = options.audit_retain_days > 0;
  if (worker.retire_audit) worker.audit_retirer.age = absl::Hours(24) * options.audit_retain_days;
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

// What working for a shard besides home needs.
struct OtherShard {
  explicit OtherShard(const storage::PoolOptions& options) : pool(options), upkeep(&pool), outbox(&pool) {}

  storage::ConnectionPool pool;
  storage::PostgresUpkeepLedger upkeep;
  storage::PostgresOutboxLedger outbox;
  std::optional<server::ShardWorker> worker;  // last: it uses the others
};

}  // namespace

int main(int argc, char** argv) {
  server::WorkerProcessOptions options;
  if (const std::optional<int> done = server::ParseWorkerOptions(argc, argv, &options, std::cout, std::cerr)) {
    return *done;
  }
  server::SetUpProcess("tranche-worker");
  server::StopRequest stop;

  absl::StatusOr<std::vector<std::unique_ptr<server::Sink>>> owned = server::MakeSinks(options, storage::Clock::Real());
  if (!owned.ok()) return Fail(owned.status());
  std::vector<server::Sink*> sinks;
  for (const auto& sink : *owned) sinks.push_back(sink.get());

  const int connections = server::ShardWorker::ConnectionsFor(static_cast<int>(sinks.size()));
  storage::ConnectionPool pool(server::ToPoolOptions(options.backends, "tranche-worker", connections));
  storage::PostgresStockLedger stock(&pool);
  storage::PostgresUpkeepLedger upkeep(&pool);
  storage::PostgresOutboxLedger outbox(&pool);
  if (absl::Status answers = server::WaitForLedger(stock, options.backends); !answers.ok()) return Fail(answers);
  storage::PostgresShardLedger shards(&pool);
  if (absl::Status home = server::RequireHome(shards, options.backends); !home.ok()) return Fail(home);
  const storage::ConnectionNeeds needs{.most = connections, .least = 1};
  if (absl::Status checked = server::CheckConnections(options.backends, needs); !checked.ok()) return Fail(checked);
  TellOfOtherSinks(outbox, sinks);

  std::optional<server::ShardWorker> worker(std::in_place, &upkeep, &outbox, sinks, storage::Clock::Real(),
                                            ToWorkerOptions(options));
  server::ShardCheck check(server::ToPoolOptions(options.backends, "tranche-worker", connections), needs);
  std::optional<server::ShardUnits> others(std::in_place, &shards, [&](const storage::Shard& shard) {
    if (!check.Check(shard).ok()) return std::shared_ptr<OtherShard>();
    storage::PoolOptions other = server::ToPoolOptions(options.backends, "tranche-worker", connections);
    other.dsn = shard.dsn;
    auto unit = std::make_shared<OtherShard>(other);
    unit->worker.emplace(&unit->upkeep, &unit->outbox, sinks, storage::Clock::Real(), ToWorkerOptions(options));
    return unit;
  });
  LOG(INFO) << "worker " << (options.name.empty() ? absl::StrCat(server::HostName(), ":", getpid()) : options.name)
            << " runs, PostgreSQL at " << server::DescribeDsn(options.backends.postgres).value_or("(unreadable)")
            << ", " << sinks.size() << " sink(s)";
  stop.Graceful();
  stop.Wait();
  worker->RequestStop();
  others.reset();
  worker.reset();
  LOG(INFO) << "stopped";
  return 0;
}
