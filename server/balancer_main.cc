// tranche-balancer: moves units between the front nodes.
#include <unistd.h>

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "server/balancer/balancer_metrics.h"
#include "server/balancer/room_balancer.h"
#include "server/balancer/room_metrics.h"
#include "server/balancer/shard_balancer.h"
#include "server/metrics/metrics_door.h"
#include "server/metrics/pool_metrics.h"
#include "server/process/backends.h"
#include "server/process/heartbeat_sender.h"
#include "server/process/host.h"
#include "server/process/node_probe.h"
#include "server/process/options.h"
#include "server/process/process_setup.h"
#include "server/process/served_certificates.h"
#include "server/process/shard_check.h"
#include "server/process/shard_witnesses.h"
#include "server/process/stop_request.h"
#include "server/shard_units.h"
#include "storage/base/log_identity.h"
#include "storage/clock.h"
#include "storage/postgres/postgres_shard_ledger.h"

namespace {

using namespace tranche;

constexpr int kCannotStart = 2;

int Fail(const absl::Status& status) {
  std::cerr << "tranche-balancer: " << std::string(status.message()) << std::endl;
  return kCannotStart;
}

absl::Status CheckHome(server::ShardBalancer& home, storage::ShardLedger& shards,
                       const server::BackendOptions& backends) {
  if (absl::Status answers = server::WaitForLedger(home.ledger(), backends); !answers.ok()) return answers;
  if (absl::Status is_home = server::RequireHome(shards, backends); !is_home.ok()) return is_home;
  return server::CheckConnections(backends, server::kBalancerConnections);
}

}  // namespace

int main(int argc, char** argv) {
  server::BalancerProcessOptions options;
  if (const std::optional<int> done = server::ParseBalancerOptions(argc, argv, &options, std::cout, std::cerr)) {
    return *done;
  }
  server::SetUpProcess("tranche-balancer", options.log_format);
  quota::BalancerOptions balancer_options;
  balancer_options.name = options.name.empty() ? absl::StrCat(server::HostName(), ":", getpid()) : options.name;
  SetLogNode(balancer_options.name);
  server::StopRequest stop;

  quota::ZookeeperConnector connector(server::ToZookeeperOptions(options.backends));
  server::ShardWitnesses witnesses(server::BalancerPoolOptions(options.backends));
  server::BalancerMetrics metrics(storage::Clock::Real());
  server::PoolMetrics pools("balancer");
  const server::HeartbeatSender::Process process{balancer_options.name, server::RandomInstance()};
  const server::ShardBalancer::Shared shared{options.backends, process, &connector, &witnesses, &metrics, &pools};
  quota::BalancerOptions home_options = balancer_options;
  if (options.probe_nodes) {
    auto probe = server::TcpNodeProbe::Start();
    if (!probe.ok()) return Fail(probe.status());
    home_options.probe = *std::move(probe);
  }
  const storage::Shard home_shard{.name = storage::kHomeShard, .dsn = options.backends.postgres, .added_at = {}};
  server::ShardBalancer home(shared, home_shard, home_options);
  server::RoomBalancer rooms(&home);
  server::RoomMetrics room_metrics(&rooms.keeper());
  const auto certificates = server::ServedCertificates::Open(options.tls);
  if (!certificates.ok()) return Fail(certificates.status());
  std::unique_ptr<server::MetricsDoor> door;
  if (!options.metrics.listen.empty()) {
    auto started = server::MetricsDoor::Start(
        options.metrics, {&metrics, &pools, &room_metrics}, [&] { return metrics.Ready(); }, certificates->get());
    if (!started.ok()) return Fail(started.status());
    door = *std::move(started);
  }

  storage::PostgresShardLedger shards(&home.pool());
  if (absl::Status checked = CheckHome(home, shards, options.backends); !checked.ok()) return Fail(checked);
  const auto identity = shards.Identity();
  if (!identity.ok()) return Fail(identity.status());
  if (absl::Status started = home.Start(); !started.ok()) {
    return Fail(server::ZookeeperStartError(started, options.backends));
  }
  // Each shard has a leader of its own, perhaps in another process. A shard that is down delays only its own SKUs.
  balancer_options.home_id = identity->ledger_id;
  server::ShardCheck check(server::BalancerPoolOptions(options.backends), server::kBalancerConnections);
  std::optional<server::ShardUnits> others(std::in_place, &shards, [&](const storage::Shard& shard) {
    if (!check.Check(shard).ok()) return std::shared_ptr<server::ShardBalancer>();
    auto unit = std::make_shared<server::ShardBalancer>(shared, shard, balancer_options);
    if (!unit->Start().ok()) return std::shared_ptr<server::ShardBalancer>();
    rooms.AddShard(shard.name, unit);
    return unit;
  });
  rooms.Start();
  LOG(INFO) << "balancer " << balancer_options.name << " runs";
  stop.Graceful();
  stop.Wait();
  metrics.NoteStopping();
  rooms.NoteStopping();
  others.reset();
  home.Stop();
  rooms.Stop();
  return 0;
}
