// tranche-balancer: moves units between the front nodes.
#include <unistd.h>

#include <iostream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "quota/balancer.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "server/address.h"
#include "server/backends.h"
#include "server/options.h"
#include "server/process_setup.h"
#include "server/stop_request.h"
#include "storage/clock.h"
#include "storage/postgres/postgres_ledger.h"

namespace {

constexpr int kCannotStart = 2;
constexpr int kConnections = 2;

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
  server::SetUpProcess("tranche-balancer");
  server::StopRequest stop;

  storage::ConnectionPool pool(server::ToPoolOptions(options.backends, "tranche-balancer", kConnections));
  storage::PostgresStockLedger ledger(&pool);
  if (absl::Status answers = server::WaitForLedger(ledger, options.backends); !answers.ok()) return Fail(answers);
  quota::ZookeeperConnector connector(server::ToZookeeperOptions(options.backends));
  quota::BalancerOptions balancer_options;
  balancer_options.name = options.name.empty() ? absl::StrCat(server::HostName(), ":", getpid()) : options.name;
  quota::Balancer balancer(&connector, &ledger, storage::Clock::Real(), balancer_options);
  if (absl::Status started = balancer.Start(); !started.ok()) {
    return Fail(server::ZookeeperStartError(started, options.backends));
  }
  LOG(INFO) << "balancer " << balancer_options.name << " runs";
  stop.Graceful();
  stop.Wait();
  balancer.Stop();
  return 0;
}
