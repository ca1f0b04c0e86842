#include "tests/support/mini_cluster.h"

#include <glog/logging.h>
#include <signal.h>

#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/postgres/postgres_shard_ledger.h"
#include "tests/support/free_port.h"

namespace tranche::testing {
namespace {

// Asks the process to end, if it runs. Only once: a second SIGTERM may end it at once, without its own shutdown.
absl::Status AskToEnd(ServerProcess& process) {
  if (!process.Running()) return absl::OkStatus();
  // A suspended process would not react to SIGTERM.
  if (absl::Status resumed = process.process().Signal(SIGCONT); !resumed.ok()) return resumed;
  return process.process().Signal(SIGTERM);
}

// Waits for a process that was asked to end, and kills it if necessary; non-OK when it did not end with status 0.
absl::Status WaitForEnd(ServerProcess& process) {
  const absl::StatusOr<int> status = process.process().Wait(kServerStopTimeout);
  if (absl::IsDeadlineExceeded(status.status())) {
    if (absl::Status killed = process.Kill(); !killed.ok()) return killed;
    return absl::DeadlineExceededError(absl::StrCat(process.name(), " had to be killed"));
  }
  if (!status.ok()) return status.status();
  if (*status == 0) return absl::OkStatus();
  return absl::UnknownError(absl::StrCat(process.name(), " ended with status ", *status, ":\n", process.LogTail()));
}

// The ZooKeeper of a cluster that has ended and left it serving, for the next cluster of this process, which uses
// another root: starting a JVM takes a second of CPU.
std::unique_ptr<MiniZookeeper>& SpareZookeeper() {
  static std::unique_ptr<MiniZookeeper> spare;
  return spare;
}

// Needs what a connection string, SQL and a shell must quote.
constexpr char kPostgresPassword[] = "it's a \\ s3cret of PostgreSQL";
constexpr char kZookeeperAuth[] = "tranche:s3cret-of-zookeeper";

absl::Status WriteSecret(const std::filesystem::path& path, const std::string& secret) {
  // A reader finds the old one or the new one.
  const std::filesystem::path made = path.string() + ".new";
  std::ofstream file(made);
  std::filesystem::permissions(made, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  file << secret << "\n";
  file.close();
  if (!file.good()) return absl::InternalError(absl::StrCat("cannot write ", made.string()));
  std::filesystem::rename(made, path);
  return absl::OkStatus();
}

std::string NewZookeeperRoot() {
  static int roots = 0;
  return ++roots == 1 ? "/tranche" : absl::StrCat("/tranche-", roots);
}

}  // namespace

MiniCluster::MiniCluster(const MiniClusterOptions& options) : options_(options), zookeeper_root_(NewZookeeperRoot()) {}

absl::StatusOr<std::unique_ptr<MiniCluster>> MiniCluster::Start(const MiniClusterOptions& options) {
  auto cluster = std::unique_ptr<MiniCluster>(new MiniCluster(options));
  if (absl::Status started = cluster->StartServers(); !started.ok()) return started;
  if (absl::Status migrated = cluster->Migrate(*cluster->postgres_); !migrated.ok()) return migrated;
  if (absl::Status added = cluster->AddShards(); !added.ok()) return added;
  for (int i = 0; i < options.balancers; ++i) {
    if (absl::StatusOr<int> balancer = cluster->StartBalancer(); !balancer.ok()) return balancer.status();
  }
  for (int i = 0; i < options.workers; ++i) {
    if (absl::StatusOr<int> worker = cluster->StartWorker(); !worker.ok()) return worker.status();
  }
  // All at once, then wait for all: a start is mostly waiting.
  for (int i = 0; i < options.nodes; ++i) {
    if (absl::Status launched = cluster->AddNode(); !launched.ok()) return launched;
  }
  for (FrontNode& node : cluster->nodes_) {
    if (absl::Status serving = cluster->WaitForNode(node); !serving.ok()) return serving;
  }
  for (int i = 0; i < options.consumers; ++i) {
    if (absl::StatusOr<int> consumer = cluster->StartConsumer(); !consumer.ok()) return consumer.status();
  }
  return cluster;
}

MiniCluster::~MiniCluster() {
  const absl::Status stopped = Stop();
  LOG_IF(WARNING, !stopped.ok()) << stopped;
}

std::vector<std::string> MiniCluster::endpoints() const {
  std::vector<std::string> result;
  for (const FrontNode& node : nodes_) {
    if (!node.endpoint.empty()) result.push_back(node.endpoint);
  }
  return result;
}

absl::StatusOr<int> MiniCluster::StartNode() {
  if (absl::Status launched = AddNode(); !launched.ok()) return launched;
  if (absl::Status serving = WaitForNode(nodes_.back()); !serving.ok()) return serving;
  return nodes() - 1;
}

absl::Status MiniCluster::RestartNode(int node) {
  FrontNode& restarted = Node(node);
  const std::string listen = std::exchange(restarted.endpoint, "");
  const auto launch_at = [&listen](const MiniCluster& cluster, const std::string& name) {
    return cluster.LaunchNode(name, listen);
  };
  if (absl::Status done = Restart(restarted.process, launch_at); !done.ok()) return done;
  return WaitForNode(restarted);
}

absl::Status MiniCluster::RestartBalancer(int balancer) {
  return Restart(balancers_.at(static_cast<size_t>(balancer)), std::mem_fn(&MiniCluster::LaunchBalancer));
}

absl::Status MiniCluster::RestartWorker(int worker) {
  return Restart(workers_.at(static_cast<size_t>(worker)), std::mem_fn(&MiniCluster::LaunchWorker));
}

absl::Status MiniCluster::Restart(std::unique_ptr<ServerProcess>& process, const Launch& launch) {
  const std::string name = process->name();
  if (absl::Status asked = AskToEnd(*process); !asked.ok()) return asked;
  if (absl::Status ended = WaitForEnd(*process); !ended.ok()) return ended;
  // They would be taken for those of the next one.
  for (const std::filesystem::path& file : {PortFile(name), AdminPortFile(name), MetricsPortFile(name)}) {
    std::filesystem::remove(file);
  }
  Launched launched = launch(*this, name);
  if (!launched.ok()) return launched.status();
  process = *std::move(launched);
  return absl::OkStatus();
}

absl::Status MiniCluster::KillNode(int node) {
  Node(node).endpoint.clear();
  return Node(node).process->Kill();
}

absl::StatusOr<int> MiniCluster::StopNode(int node) {
  Node(node).endpoint.clear();
  return Node(node).process->Terminate(kServerStopTimeout);
}

absl::Status MiniCluster::SuspendNode(int node) { return Node(node).process->process().Signal(SIGSTOP); }

absl::Status MiniCluster::ResumeNode(int node) { return Node(node).process->process().Signal(SIGCONT); }

absl::StatusOr<int> MiniCluster::StartConsumer() {
  const int number = consumers();
  const std::string name = absl::StrCat("consumer-", number + 1);
  Launched process = LaunchConsumer(name);
  if (!process.ok()) return process.status();
  consumers_.push_back(*std::move(process));
  const absl::StatusOr<int> port = consumers_.back()->WaitForPort(PortFile(name), kServerStartTimeout);
  if (!port.ok()) return port.status();
  return number;
}

MiniCluster::Launched MiniCluster::LaunchConsumer(const std::string& name) const {
  std::vector<std::string> args = CommonArgs();
  args.insert(args.end(), {"--node-name", name, "--listen", "127.0.0.1:0", "--port-file", PortFile(name).string()});
  AddMetricsArgs(name, &args);
  AddQueueArgs(&args);
  args.insert(args.end(), options_.consumer_args.begin(), options_.consumer_args.end());
  return ServerProcess::Start(name, "tranche-consumer", args, dir());
}

absl::StatusOr<int> MiniCluster::StopConsumer(int consumer) {
  return this->consumer(consumer).Terminate(kServerStopTimeout);
}

void MiniCluster::AddQueueArgs(std::vector<std::string>* args) const {
  if (!options_.queue_broker.empty()) args->insert(args->end(), {"--queue-broker", options_.queue_broker});
}

absl::StatusOr<int> MiniCluster::StartBalancer() {
  const int number = balancers();
  Launched process = LaunchBalancer(absl::StrCat("balancer-", number + 1));
  if (!process.ok()) return process.status();
  balancers_.push_back(*std::move(process));
  return number;
}

MiniCluster::Launched MiniCluster::LaunchBalancer(const std::string& name) const {
  std::vector<std::string> args = CommonArgs();
  args.insert(args.end(), {"--name", name});
  AddMetricsArgs(name, &args);
  args.insert(args.end(), options_.balancer_args.begin(), options_.balancer_args.end());
  return ServerProcess::Start(name, "tranche-balancer", args, dir());
}

absl::StatusOr<int> MiniCluster::StartWorker() {
  const int number = workers();
  Launched process = LaunchWorker(absl::StrCat("worker-", number + 1));
  if (!process.ok()) return process.status();
  workers_.push_back(*std::move(process));
  return number;
}

MiniCluster::Launched MiniCluster::LaunchWorker(const std::string& name) const {
  std::vector<std::string> args = PostgresArgs();
  args.insert(args.end(), {"--name", name});
  AddMetricsArgs(name, &args);
  args.insert(args.end(), options_.worker_args.begin(), options_.worker_args.end());
  return ServerProcess::Start(name, "tranche-worker", args, dir());
}

absl::StatusOr<std::string> MiniCluster::MetricsAddress(ServerProcess& process) const {
  const absl::StatusOr<int> port = process.WaitForPort(MetricsPortFile(process.name()), kServerStartTimeout);
  if (!port.ok()) return port.status();
  return absl::StrCat("127.0.0.1:", *port);
}

absl::Status MiniCluster::Stop() {
  absl::Status result;
  // All nodes are asked before the first is waited for, so that they end side by side.
  for (FrontNode& node : nodes_) {
    node.endpoint.clear();
    result.Update(AskToEnd(*node.process));
  }
  for (const auto& consumer : consumers_) result.Update(AskToEnd(*consumer));
  for (FrontNode& node : nodes_) result.Update(WaitForEnd(*node.process));
  for (const auto& consumer : consumers_) result.Update(WaitForEnd(*consumer));
  for (const auto* processes : {&balancers_, &workers_}) {
    for (const auto& process : *processes) result.Update(AskToEnd(*process));
  }
  for (const auto* processes : {&balancers_, &workers_}) {
    for (const auto& process : *processes) result.Update(WaitForEnd(*process));
  }
  nodes_.clear();
  consumers_.clear();
  balancers_.clear();
  workers_.clear();
  if (zookeeper_ != nullptr && zookeeper_->undisturbed()) SpareZookeeper() = std::move(zookeeper_);
  zookeeper_.reset();
  shards_.clear();
  postgres_.reset();
  return result;
}

MiniPostgresOptions MiniCluster::PostgresOptions() const {
  return {.fsync = options_.fsync, .security = options_.postgres_security};
}

absl::Status MiniCluster::StartServers() {
  postgres_ = std::make_unique<MiniPostgres>(PostgresOptions());
  if (absl::Status started = postgres_->Start(); !started.ok()) return started;
  if (options_.locked_backends) {
    if (absl::Status locked = LockBackends(); !locked.ok()) return locked;
  }
  zookeeper_ = std::move(SpareZookeeper());
  if (zookeeper_ != nullptr) return absl::OkStatus();
  zookeeper_ = std::make_unique<MiniZookeeper>();
  return zookeeper_->Start();
}

absl::Status MiniCluster::LockBackends() {
  if (absl::Status locked = postgres_->Lock(kPostgresPassword); !locked.ok()) return locked;
  if (absl::Status written = WriteSecret(postgres_password_file(), kPostgresPassword); !written.ok()) return written;
  return WriteSecret(zookeeper_auth_file(), kZookeeperAuth);
}

absl::Status MiniCluster::ChangePostgresPassword(const std::string& password) {
  if (absl::Status changed = postgres_->SetNodePassword(password); !changed.ok()) return changed;
  return WriteSecret(postgres_password_file(), password);
}

// Before the nodes: they know all shards from the start.
absl::Status MiniCluster::AddShards() {
  storage::PoolOptions home_options;
  home_options.dsn = postgres_->dsn();
  storage::ConnectionPool home_pool(home_options);
  storage::PostgresShardLedger home(&home_pool);
  for (int i = 0; i < options_.shards; ++i) {
    auto postgres = std::make_unique<MiniPostgres>(PostgresOptions());
    if (absl::Status started = postgres->Start(); !started.ok()) return started;
    shards_.push_back(std::move(postgres));
    if (absl::Status migrated = Migrate(*shards_.back()); !migrated.ok()) return migrated;
    const auto identity = home.Identity();
    if (!identity.ok()) return identity.status();
    storage::PoolOptions options;
    options.dsn = shards_.back()->dsn();
    storage::ConnectionPool pool(options);
    storage::PostgresShardLedger shard(&pool);
    const std::string name = absl::StrCat("s", i + 1);
    const auto adopted = shard.Adopt(name, identity->ledger_id, {"default"}, "test");
    if (!adopted.ok()) return adopted.status();
    const auto added = home.AddShard(name, shards_.back()->node_dsn(), "test");
    if (!added.ok()) return added.status();
  }
  return absl::OkStatus();
}

absl::Status MiniCluster::Migrate(const MiniPostgres& postgres) {
  auto migrate = ServerProcess::Start("migrate", "tranche-migrate", {"--postgres", postgres.dsn()}, dir());
  if (!migrate.ok()) return migrate.status();
  const absl::StatusOr<int> status = (*migrate)->process().Wait(kServerStartTimeout);
  if (!status.ok()) return status.status();
  if (*status == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("tranche-migrate failed:\n", (*migrate)->LogTail()));
}

absl::Status MiniCluster::AddNode() {
  const std::string listen = absl::StrCat("127.0.0.1:", options_.lasting_ports ? PickFreePort() : 0);
  Launched process = LaunchNode(absl::StrCat("node-", nodes() + 1), listen);
  if (!process.ok()) return process.status();
  FrontNode node;
  node.process = *std::move(process);
  nodes_.push_back(std::move(node));
  return absl::OkStatus();
}

MiniCluster::Launched MiniCluster::LaunchNode(const std::string& name, const std::string& listen) const {
  std::vector<std::string> args = CommonArgs();
  args.insert(args.end(),
              {"--node-name", name, "--listen", listen, "--port-file", PortFile(name).string(), "--admin-listen",
               options_.admin_ports ? "127.0.0.1:0" : "same", "--admin-port-file", AdminPortFile(name).string()});
  AddMetricsArgs(name, &args);
  AddShardHostsArgs(&args);
  AddQueueArgs(&args);
  args.insert(args.end(), options_.node_args.begin(), options_.node_args.end());
  return ServerProcess::Start(name, "tranched", args, dir());
}

// By default it would be home's port only.
void MiniCluster::AddShardHostsArgs(std::vector<std::string>* args) const {
  if (shards_.empty()) return;
  std::string hosts = absl::StrCat("127.0.0.1:", postgres_->port());
  for (const auto& shard : shards_) absl::StrAppend(&hosts, ",127.0.0.1:", shard->port());
  args->insert(args->end(), {"--shard-hosts", hosts});
}

absl::Status MiniCluster::WaitForNode(FrontNode& node) {
  const std::string& name = node.process->name();
  const absl::StatusOr<int> port = node.process->WaitForPort(PortFile(name), kServerStartTimeout);
  if (!port.ok()) return port.status();
  node.endpoint = absl::StrCat("127.0.0.1:", *port);
  node.admin_endpoint = node.endpoint;
  if (!options_.admin_ports) return absl::OkStatus();
  const absl::StatusOr<int> admin_port = node.process->WaitForPort(AdminPortFile(name), kServerStartTimeout);
  if (!admin_port.ok()) return admin_port.status();
  node.admin_endpoint = absl::StrCat("127.0.0.1:", *admin_port);
  return absl::OkStatus();
}

void MiniCluster::AddMetricsArgs(const std::string& name, std::vector<std::string>* args) const {
  if (!options_.metrics) return;
  args->insert(args->end(), {"--metrics-listen", "127.0.0.1:0", "--metrics-port-file", MetricsPortFile(name).string()});
}

std::vector<std::string> MiniCluster::CommonArgs() const {
  std::vector<std::string> args = PostgresArgs();
  args.insert(args.end(), {"--zookeeper", zookeeper_->connect_string(), "--zookeeper-root", zookeeper_root_,
                           "--zookeeper-session-timeout-ms",
                           absl::StrCat(absl::ToInt64Milliseconds(options_.zookeeper_session_timeout))});
  if (options_.locked_backends) args.insert(args.end(), {"--zookeeper-auth-file", zookeeper_auth_file().string()});
  return args;
}

std::vector<std::string> MiniCluster::PostgresArgs() const {
  std::vector<std::string> args = {"--postgres", app_dsn()};
  if (options_.locked_backends)
    args.insert(args.end(), {"--postgres-password-file", postgres_password_file().string()});
  return args;
}

}  // namespace tranche::testing
