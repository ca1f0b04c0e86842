// A whole Tranche on this machine: PostgreSQL, ZooKeeper, balancers, workers, front nodes and consumers of claim queues
// as child processes on free ports of 127.0.0.1. A broker is the caller's. Used by tests of several processes and by
// the binary tranche-cluster.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/support/mini_postgres.h"
#include "tests/support/mini_zookeeper.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/server_process.h"

namespace tranche::testing {

struct MiniClusterOptions {
  int nodes = 2;
  int balancers = 1;
  int workers = 1;
  // host:port of the RabbitMQ that keeps queued claims: every node and every consumer uses it, as guest. "": there is
  // none, and there are no consumers.
  std::string queue_broker;
  int consumers = 0;
  // Shards besides home: "s1", "s2", ..., each with a PostgreSQL server of its own.
  int shards = 0;
  // How soon a dead process's ephemeral znodes vanish.
  absl::Duration zookeeper_session_timeout = absl::Seconds(4);
  // How PostgreSQL is secured, if it is; what the processes need for that is among their flags.
  std::optional<PostgresSecurity> postgres_security = std::nullopt;
  // More flags for every node, every consumer, every balancer and every worker.
  std::vector<std::string> node_args;
  std::vector<std::string> consumer_args;
  std::vector<std::string> balancer_args;
  std::vector<std::string> worker_args;
  // Every process serves its metrics, on a free port.
  bool metrics = false;
  Fsync fsync = Fsync::kOn;  // of the databases
  // Home's PostgreSQL lets the processes in over TLS and with a password only, and ZooKeeper's znodes are theirs alone.
  // The processes have what they need in files.
  bool locked_backends = false;
  // Every node serves AdminService at a port of its own; otherwise at the one for buyers, so that tests need only that.
  bool admin_ports = false;
  // Nodes are reached by buyers at ports that nobody else is given while they are restarted.
  bool lasting_ports = false;
};

// Not thread-safe. Everything dies with the thread that called Start, and with this object.
class MiniCluster {
 public:
  // Returns when every node serves. On failure nothing is left running.
  static absl::StatusOr<std::unique_ptr<MiniCluster>> Start(const MiniClusterOptions& options);

  ~MiniCluster();
  MiniCluster(const MiniCluster&) = delete;
  MiniCluster& operator=(const MiniCluster&) = delete;

  // host:port of the nodes that were not killed or stopped, in the order in which they were started.
  std::vector<std::string> endpoints() const;
  std::string endpoint(int node) const { return Node(node).endpoint; }
  // Where the node serves AdminService.
  std::string admin_endpoint(int node) const { return Node(node).admin_endpoint; }
  ServerProcess& node(int node) { return *Node(node).process; }
  int nodes() const { return static_cast<int>(nodes_.size()); }

  // What is started or restarted from now on has these. How PostgreSQL and ZooKeeper are is decided by Start.
  MiniClusterOptions& options() { return options_; }

  // Adds a node, which serves when this returns; returns its number. Numbers are not reused.
  absl::StatusOr<int> StartNode();
  // Asks the process to end (SIGTERM), and starts it again under its name and, a node, at its endpoint. A node serves
  // when this returns. Fails if it did not end with status 0.
  absl::Status RestartNode(int node);
  absl::Status RestartBalancer(int balancer);
  absl::Status RestartWorker(int worker);
  // Kills it with SIGKILL: nothing is handed back.
  absl::Status KillNode(int node);
  // Asks it to end (SIGTERM); returns the exit status.
  absl::StatusOr<int> StopNode(int node);
  // A hang: SIGSTOP and SIGCONT.
  absl::Status SuspendNode(int node);
  absl::Status ResumeNode(int node);

  // Those of claim queues. Numbers are not reused.
  ServerProcess& consumer(int consumer) { return *consumers_.at(static_cast<size_t>(consumer)); }
  int consumers() const { return static_cast<int>(consumers_.size()); }
  // Adds a consumer, which takes claims when this returns, or as soon as it reaches the broker; returns its number.
  absl::StatusOr<int> StartConsumer();
  // Kills it with SIGKILL: nothing is handed back.
  absl::Status KillConsumer(int consumer) { return this->consumer(consumer).Kill(); }
  // Asks it to end (SIGTERM); returns the exit status.
  absl::StatusOr<int> StopConsumer(int consumer);

  ServerProcess& balancer(int balancer) { return *balancers_.at(static_cast<size_t>(balancer)); }
  int balancers() const { return static_cast<int>(balancers_.size()); }
  // Adds a balancer; returns its number.
  absl::StatusOr<int> StartBalancer();

  ServerProcess& worker(int worker) { return *workers_.at(static_cast<size_t>(worker)); }
  int workers() const { return static_cast<int>(workers_.size()); }
  // Adds a worker; returns its number.
  absl::StatusOr<int> StartWorker();

  MiniPostgres& postgres() { return *postgres_; }
  // The server of shard s<number + 1>.
  int shards() const { return static_cast<int>(shards_.size()); }
  MiniPostgres& shard(int number) { return *shards_.at(static_cast<size_t>(number)); }
  MiniZookeeper& zookeeper() { return *zookeeper_; }
  // The role that the nodes use: it may only call the procedures.
  std::string app_dsn() const { return postgres_->node_dsn(); }
  const std::string& zookeeper_root() const { return zookeeper_root_; }
  // With locked backends: the files with the secrets.
  std::filesystem::path postgres_password_file() const { return dir() / "postgres.password"; }
  std::filesystem::path zookeeper_auth_file() const { return dir() / "zookeeper.auth"; }
  // Gives the role another password, and the processes too.
  absl::Status ChangePostgresPassword(const std::string& password);
  // Where a process of this name serves its metrics, host:port; waits until it does. Only if the options say so.
  absl::StatusOr<std::string> MetricsAddress(ServerProcess& process) const;
  // The folder with <name>.log of every process that this class starts itself.
  const std::filesystem::path& dir() const { return scratch_.path(); }

  // Stops the nodes and consumers, then the rest, first with SIGTERM; kills those that do not end in time. Reports what
  // did not end well.
  absl::Status Stop();

 private:
  struct FrontNode {
    std::unique_ptr<ServerProcess> process;
    std::string endpoint;  // empty: not serving (yet or any more)
    std::string admin_endpoint;
  };
  using Launched = absl::StatusOr<std::unique_ptr<ServerProcess>>;
  using Launch = std::function<Launched(const MiniCluster& cluster, const std::string& name)>;

  explicit MiniCluster(const MiniClusterOptions& options);
  MiniPostgresOptions PostgresOptions() const;
  absl::Status StartServers();
  absl::Status Migrate(const MiniPostgres& postgres);
  absl::Status AddShards();
  absl::Status AddNode();
  Launched LaunchNode(const std::string& name, const std::string& listen) const;
  Launched LaunchConsumer(const std::string& name) const;
  Launched LaunchBalancer(const std::string& name) const;
  Launched LaunchWorker(const std::string& name) const;
  absl::Status Restart(std::unique_ptr<ServerProcess>& process, const Launch& launch);
  absl::Status WaitForNode(FrontNode& node);
  std::vector<std::string> CommonArgs() const;
  absl::Status LockBackends();
  // What all of them need for PostgreSQL.
  std::vector<std::string> PostgresArgs() const;
  // Where a process of this name writes its ports.
  std::filesystem::path PortFile(const std::string& name) const { return dir() / (name + ".port"); }
  std::filesystem::path AdminPortFile(const std::string& name) const { return dir() / (name + ".admin_port"); }
  std::filesystem::path MetricsPortFile(const std::string& name) const { return dir() / (name + ".metrics_port"); }
  // Of a process of this name: what it is asked to show.
  void AddMetricsArgs(const std::string& name, std::vector<std::string>* args) const;
  void AddShardHostsArgs(std::vector<std::string>* args) const;
  void AddQueueArgs(std::vector<std::string>* args) const;
  FrontNode& Node(int node) { return nodes_.at(static_cast<size_t>(node)); }
  const FrontNode& Node(int node) const { return nodes_.at(static_cast<size_t>(node)); }

  MiniClusterOptions options_;
  const ScratchDir scratch_{"cluster"};
  const std::string zookeeper_root_;
  std::unique_ptr<MiniPostgres> postgres_;
  std::vector<std::unique_ptr<MiniPostgres>> shards_;
  std::unique_ptr<MiniZookeeper> zookeeper_;
  std::vector<std::unique_ptr<ServerProcess>> balancers_;
  std::vector<std::unique_ptr<ServerProcess>> workers_;
  std::vector<FrontNode> nodes_;
  std::vector<std::unique_ptr<ServerProcess>> consumers_;
};

}  // namespace tranche::testing
