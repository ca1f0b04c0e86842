// tranche-cluster: a whole cluster on this machine until it is told to stop. scripts/run and scripts/dev use it.
#include <glog/logging.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/mini_cluster.h"

namespace tranche::testing {
namespace {

using nlohmann::json;

struct Options {
  MiniClusterOptions cluster;
  std::string dir;
  std::string state_file;
  std::string secure_dir;  // empty: not secured
};

// The files as scripts/lib/security.py names them. What the processes need of them comes by --node-arg and its like.
void Secure(Options* options) {
  if (options->secure_dir.empty()) return;
  const std::filesystem::path dir = options->secure_dir;
  options->cluster.postgres_security = PostgresSecurity{
      .certificate_file = dir / "postgres.pem",
      .key_file = dir / "postgres.key",
      .ca_file = dir / "ca.pem",
      .password_file = dir / "postgres.password",
  };
}

// Both are blocked in every thread, so that they only arrive at sigwait. Children unblock them.
sigset_t BlockStopSignals() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  PCHECK(sigprocmask(SIG_BLOCK, &stop, nullptr) == 0);
  return stop;
}

json Process(const MiniCluster& cluster, const Options& options, ServerProcess& process) {
  json state = {{"name", process.name()}, {"pid", process.process().pid()}, {"log_file", process.log_file().string()}};
  if (options.cluster.metrics) {
    const absl::StatusOr<std::string> address = cluster.MetricsAddress(process);
    CHECK(address.ok()) << address.status().message();
    state["metrics"] = *address;
  }
  return state;
}

json State(MiniCluster& cluster, const Options& options) {
  json state = {
      {"pid", getpid()},
      {"dir", options.dir},
      {"secure", options.secure_dir},
      {"postgres",
       {{"superuser", cluster.postgres().dsn()},
        {"app", cluster.app_dsn()},
        {"log_file", cluster.postgres().log_file()}}},
      {"zookeeper",
       {{"address", cluster.zookeeper().connect_string()},
        {"root", cluster.zookeeper_root()},
        {"log_file", cluster.zookeeper().log_file()}}},
  };
  for (int i = 0; i < cluster.nodes(); ++i) {
    json node = Process(cluster, options, cluster.node(i));
    node["endpoint"] = cluster.endpoint(i);
    node["admin"] = cluster.admin_endpoint(i);
    state["nodes"].push_back(node);
  }
  for (int i = 0; i < cluster.balancers(); ++i) {
    state["balancers"].push_back(Process(cluster, options, cluster.balancer(i)));
  }
  for (int i = 0; i < cluster.workers(); ++i) {
    state["workers"].push_back(Process(cluster, options, cluster.worker(i)));
  }
  return state;
}

// Written atomically: readers poll for the file.
void WriteAtomically(const std::string& path, const std::string& text) {
  const std::string unfinished = path + ".unfinished";
  std::ofstream file(unfinished);
  file << text << std::endl;
  file.close();
  CHECK(file.good()) << "cannot write " << unfinished;
  std::filesystem::rename(unfinished, path);
}

int Run(const Options& options) {
  const sigset_t stop = BlockStopSignals();
  // Everything that the servers write goes below it.
  PCHECK(setenv("TMPDIR", options.dir.c_str(), 1) == 0);
  auto cluster = MiniCluster::Start(options.cluster);
  if (!cluster.ok()) {
    LOG(ERROR) << cluster.status().message();
    return 1;
  }
  WriteAtomically(options.state_file, State(**cluster, options).dump(2));
  int signal = 0;
  CHECK_EQ(sigwait(&stop, &signal), 0);
  LOG(INFO) << "stopping";
  const absl::Status stopped = (*cluster)->Stop();
  LOG_IF(ERROR, !stopped.ok()) << stopped.message();
  return stopped.ok() ? 0 : 1;
}

}  // namespace
}  // namespace tranche::testing

int main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(argv[0]);
  tranche::testing::Options options;
  options.cluster.nodes = 8;
  CLI::App app(
      "Runs PostgreSQL, ZooKeeper, balancers, workers and front nodes on free ports of this machine until SIGTERM.");
  app.add_option("--nodes", options.cluster.nodes, "Front nodes")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--balancers", options.cluster.balancers, "Balancers")
      ->check(CLI::Range(0, 16))
      ->capture_default_str();
  app.add_option("--workers", options.cluster.workers, "Workers")->check(CLI::Range(0, 16))->capture_default_str();
  app.add_flag("--metrics", options.cluster.metrics, "Every process serves its metrics on a free port");
  app.add_flag("--admin-ports", options.cluster.admin_ports,
               "Every front node serves AdminService at a port of its own, and not at the one for buyers");
  const auto add_arguments = [&app](const char* flag, std::vector<std::string>* arguments, const char* help) {
    app.add_option(flag, *arguments, help)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  add_arguments("--node-arg", &options.cluster.node_args, "One more argument of every front node; repeatable");
  add_arguments("--balancer-arg", &options.cluster.balancer_args, "One more argument of every balancer; repeatable");
  add_arguments("--worker-arg", &options.cluster.worker_args, "One more argument of every worker; repeatable");
  app.add_option(
         "--secure", options.secure_dir,
         "Folder with certificates and secrets, as scripts/lib/security.py makes it: PostgreSQL asks for TLS and "
         "a password. What the processes need of it comes by --node-arg and its like")
      ->check(CLI::ExistingDirectory);
  app.add_option("--dir", options.dir, "Folder for data and logs")->required()->check(CLI::ExistingDirectory);
  app.add_option("--state", options.state_file, "JSON file to write when everything is up")->required();
  CLI11_PARSE(app, argc, argv);
  tranche::testing::Secure(&options);
  return tranche::testing::Run(options);
}
