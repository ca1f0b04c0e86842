// tranche-balancer: moves units between the front nodes.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "quota/balancer/balancer.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "server/process/backends.h"
#include "server/process/heartbeat_sender.h"
#include "server/process/host.h"
#include "server/process/node_probe.h"
#include "server/process/options.h"
#include "server/process/process_setup.h"
#include "server/process/shard_check.h"
#include "server/process/shard_witnesses.h"
#include "server/process/stop_request.h"
#include "server/shard_units.h"
#include "storage/base/log_identity.h"
#include "storage/clock.h"
#include "storage/postgres/postgres_health_ledger.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_shard_ledger.h"
#include "storage/postgres/postgres_sku_move_ledger.h"
#include "storage/shards/older_copies.h"

namespace {

constexpr int kCannotStart = 2;
constexpr int kConnections = 2;
// A leader that is cut off must resign soon. Trying anew costs it nothing.
constexpr absl::Duration kTcpUserTimeout = absl::Seconds(1);
// How long a round waits for a row that another transaction has locked; then it goes on without that SKU
// (round_mover.h).
constexpr absl::Duration kLockTimeout = absl::Milliseconds(250);

tranche::storage::PoolOptions PoolOf(const tranche::server::BackendOptions& backends) {
  tranche::storage::PoolOptions pool = tranche::server::ToPoolOptions(backends, "tranche-balancer", kConnections);
  pool.tcp_user_timeout = kTcpUserTimeout;
  pool.lock_timeout = kLockTimeout;
  return pool;
}

// `moves` are that shard's.
std::shared_ptr<tranche::storage::CopyCheck> CopiesOf(const std::string& shard, tranche::storage::SkuMoveLedger* moves,
                                                      tranche::server::ShardWitnesses* witnesses) {
  return std::make_shared<tranche::storage::OlderCopies>(
      shard, moves, [witnesses, shard] { return witnesses->Except(shard); }, tranche::storage::Clock::Real());
}

// What the balancer's heartbeat says.
tranche::storage::Heartbeat Describe(const tranche::quota::Balancer& balancer) {
  const tranche::quota::BalancerPulse::State pulse = balancer.pulse();
  const absl::Time now = tranche::storage::Clock::Real()->Now();
  const auto since = [&](const std::optional<absl::Time>& time) {
    return time.has_value() ? std::optional(std::max(now - *time, absl::ZeroDuration())) : std::nullopt;
  };
  tranche::storage::Heartbeat heartbeat;
  heartbeat.kind = tranche::storage::Heartbeat::Kind::kBalancer;
  heartbeat.leads = pulse.leads;
  heartbeat.leads_for = since(pulse.leads_since);
  heartbeat.since_led = pulse.leads ? absl::ZeroDuration() : since(pulse.led_at);
  heartbeat.since_round = since(pulse.round_at);
  return heartbeat;
}

// What balancing one shard needs.
struct ShardBalancer {
  ShardBalancer(const tranche::server::BalancerProcessOptions& options,
                tranche::quota::CoordinationConnector* connector, tranche::quota::BalancerOptions balancer_options,
                const std::string& home_id, tranche::server::ShardWitnesses* witnesses,
                const tranche::server::HeartbeatSender::Process& process, const tranche::storage::Shard& shard)
      : pool(PoolOfShard(options, shard)),
        ledger(&pool, shard.name),
        moves(&pool),
        health(&pool),
        balancer(connector, &ledger, tranche::storage::Clock::Real(),
                 [&] {
                   balancer_options.shard = shard.name;
                   balancer_options.home_id = home_id;
                   balancer_options.copies = CopiesOf(shard.name, &moves, witnesses);
                   return balancer_options;
                 }()),
        heartbeats(&health, process, [this] { return Describe(balancer); }) {}

  static tranche::storage::PoolOptions PoolOfShard(const tranche::server::BalancerProcessOptions& options,
                                                   const tranche::storage::Shard& shard) {
    tranche::storage::PoolOptions pool = PoolOf(options.backends);
    pool.dsn = shard.dsn;
    return pool;
  }

  tranche::storage::ConnectionPool pool;
  tranche::storage::PostgresStockLedger ledger;
  tranche::storage::PostgresSkuMoveLedger moves;
  tranche::storage::PostgresHealthLedger health;
  tranche::quota::Balancer balancer;
  tranche::server::HeartbeatSender heartbeats;  // last: it uses the others
};

int Fail(const absl::Status& status) {
  std::cerr << "tranche-balancer: " << std::string(status.message()) << std::endl;
  return kCannotStart;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tranche;
  server::BalancerProcessOptions options;
  if (const std::optional<int> done = server::ParseBalancerOptions(argc, argv, &options, std::cout, std::cerr)) {
    return *done;
  }
  server::SetUpProcess("tranche-balancer", options.log_format);
  quota::BalancerOptions balancer_options;
  balancer_options.name = options.name.empty() ? absl::StrCat(server::HostName(), ":", getpid()) : options.name;
  SetLogNode(balancer_options.name);
  server::StopRequest stop;

  storage::ConnectionPool pool(PoolOf(options.backends));
  storage::PostgresStockLedger ledger(&pool);
  if (absl::Status answers = server::WaitForLedger(ledger, options.backends); !answers.ok()) return Fail(answers);
  storage::PostgresShardLedger shards(&pool);
  if (absl::Status home = server::RequireHome(shards, options.backends); !home.ok()) return Fail(home);
  const auto identity = shards.Identity();
  if (!identity.ok()) return Fail(identity.status());
  const storage::ConnectionNeeds needs{.most = kConnections, .least = 1};
  if (absl::Status checked = server::CheckConnections(options.backends, needs); !checked.ok()) return Fail(checked);
  quota::ZookeeperConnector connector(server::ToZookeeperOptions(options.backends));
  server::ShardWitnesses witnesses(PoolOf(options.backends));
  storage::PostgresSkuMoveLedger moves(&pool);
  quota::BalancerOptions home_options = balancer_options;
  home_options.copies = CopiesOf(storage::kHomeShard, &moves, &witnesses);
  if (options.probe_nodes) {
    auto probe = server::TcpNodeProbe::Start();
    if (!probe.ok()) return Fail(probe.status());
    home_options.probe = *std::move(probe);
  }
  quota::Balancer balancer(&connector, &ledger, storage::Clock::Real(), home_options);
  if (absl::Status started = balancer.Start(); !started.ok()) {
    return Fail(server::ZookeeperStartError(started, options.backends));
  }
  const server::HeartbeatSender::Process process{balancer_options.name, server::RandomInstance()};
  storage::PostgresHealthLedger health(&pool);
  std::optional<server::HeartbeatSender> heartbeats(std::in_place, &health, process,
                                                    [&balancer] { return Describe(balancer); });
  // Each shard has a leader of its own, perhaps in another process. A shard that is down delays only its own SKUs.
  server::ShardCheck check(PoolOf(options.backends), needs);
  std::optional<server::ShardUnits> others(std::in_place, &shards, [&](const storage::Shard& shard) {
    if (!check.Check(shard).ok()) return std::shared_ptr<ShardBalancer>();
    auto unit = std::make_shared<ShardBalancer>(options, &connector, balancer_options, identity->ledger_id, &witnesses,
                                                process, shard);
    return unit->balancer.Start().ok() ? unit : nullptr;
  });
  LOG(INFO) << "balancer " << balancer_options.name << " runs";
  stop.Graceful();
  stop.Wait();
  others.reset();
  heartbeats.reset();
  balancer.Stop();
  return 0;
}
