#include "tests/support/mini_rabbitmq.h"

#include <glog/logging.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "tests/support/free_port.h"
#include "tests/support/tcp_forwarder.h"
#include "tests/support/test_certificates.h"

namespace tranche::testing {
namespace {

// Not those in PATH: these insist on Debian's user.
constexpr char kRabbitmqServer[] = "/usr/lib/rabbitmq/bin/rabbitmq-server";
constexpr char kRabbitmqctl[] = "/usr/lib/rabbitmq/bin/rabbitmqctl";

// Erlang's own connections stay on this machine.
constexpr char kOnlyLoopback[] = "-kernel inet_dist_use_interface {127,0,0,1}";

void MustWriteFile(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  CHECK(file.good()) << "cannot write " << path;
}

bool Listens(int port) {
  const int fd = ConnectTcp(absl::StrCat("127.0.0.1:", port));
  if (fd >= 0) close(fd);
  return fd >= 0;
}

// Whether a broker begins to talk: it answers the protocol's name with a method.
bool TalksAmqp(int port) {
  const int fd = ConnectTcp(absl::StrCat("127.0.0.1:", port));
  if (fd < 0) return false;
  const timeval timeout = {.tv_sec = 5, .tv_usec = 0};
  PCHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0);
  constexpr char kHello[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
  char answer = 0;
  const bool talks = send(fd, kHello, sizeof(kHello), MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(kHello)) &&
                     recv(fd, &answer, 1, 0) == 1 && answer == 1;
  close(fd);
  return talks;
}

}  // namespace

RabbitmqNeighbourhood::RabbitmqNeighbourhood() {
  const std::filesystem::path secret = scratch_.path() / ".erlang.cookie";
  MustWriteFile(secret, "TRANCHETESTS");
  PCHECK(chmod(secret.c_str(), 0400) == 0) << secret;
}

absl::Status RabbitmqNeighbourhood::Start() {
  CHECK(epmd_ == nullptr) << "already started";
  port_ = PickFreePort();
  auto process = ChildProcess::Start({
      .args = {"epmd", "-port", absl::StrCat(port_), "-address", "127.0.0.1"},
      .env = {},
      .working_dir = scratch_.path().string(),
      .log_file = (scratch_.path() / "epmd.log").string(),
      .user = "",
  });
  if (!process.ok()) return process.status();
  epmd_ = *std::move(process);
  const absl::Time deadline = absl::Now() + kServerStartTimeout;
  while (!Listens(port_)) {
    if (!epmd_->Running() || absl::Now() > deadline) {
      return absl::UnavailableError(absl::StrCat("epmd does not serve:\n", FileContents(scratch_.path() / "epmd.log")));
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  return absl::OkStatus();
}

std::map<std::string, std::string> RabbitmqNeighbourhood::Environment() const {
  return {{"HOME", scratch_.path().string()},
          {"ERL_EPMD_PORT", absl::StrCat(port_)},
          {"ERL_EPMD_ADDRESS", "127.0.0.1"},
          {"LANG", "C.UTF-8"}};
}

MiniRabbitmq::MiniRabbitmq() : own_neighbourhood_(std::make_unique<RabbitmqNeighbourhood>()) {
  neighbourhood_ = own_neighbourhood_.get();
}

MiniRabbitmq::MiniRabbitmq(const RabbitmqNeighbourhood* neighbourhood, std::string member)
    : neighbourhood_(neighbourhood), member_(std::move(member)) {}

MiniRabbitmq::~MiniRabbitmq() = default;

std::string MiniRabbitmq::address() const { return absl::StrCat("127.0.0.1:", port_); }
std::string MiniRabbitmq::node_name() const { return absl::StrCat("tranche", port_, "@localhost"); }

void MiniRabbitmq::ServeTls(const std::string& certificate_pem, const std::string& key_pem) {
  CHECK(port_ == 0) << "already started";
  serves_tls_ = true;
  ReplaceFile(scratch_.path() / "tls.pem", certificate_pem);
  ReplaceFile(scratch_.path() / "tls.key", key_pem);
}

absl::Status MiniRabbitmq::Start() {
  CHECK(!running()) << "already started";
  if (port_ != 0) return StartOnPorts();
  if (own_neighbourhood_ != nullptr) {
    if (absl::Status started = own_neighbourhood_->Start(); !started.ok()) return started;
  }
  // The port is part of the broker's name and so of its data: no second attempt with another one.
  port_ = PickFreePort();
  distribution_port_ = PickFreePort();
  if (serves_tls_) tls_port_ = PickFreePort();
  return StartOnPorts();
}

void MiniRabbitmq::WriteConfig() const {
  std::string config = absl::StrCat("listeners.tcp.1 = ", address(),
                                    "\n"
                                    "log.console = true\n"
                                    "log.console.level = warning\n"
                                    "log.file = false\n"
                                    "vm_memory_high_watermark.relative = 0.9\n"
                                    "disk_free_limit.absolute = 1MB\n"
                                    // How soon the others notice that one of them hangs, in seconds; 60 by default.
                                    "net_ticktime = 10\n");
  if (serves_tls_) {
    absl::StrAppend(&config, "listeners.ssl.1 = 127.0.0.1:", tls_port_,
                    "\nssl_options.certfile = ", (scratch_.path() / "tls.pem").string(),
                    "\nssl_options.keyfile = ", (scratch_.path() / "tls.key").string(),
                    "\nssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n");
  }
  if (!member_.empty()) {
    absl::StrAppend(&config, "cluster_formation.peer_discovery_backend = classic_config\n",
                    "cluster_formation.classic_config.nodes.1 = ", member_, "\n",
                    "cluster_formation.classic_config.nodes.2 = ", node_name(), "\n");
  }
  MustWriteFile(scratch_.path() / "rabbitmq.conf", config);
  MustWriteFile(scratch_.path() / "rabbitmq-env.conf", "");
  MustWriteFile(scratch_.path() / "enabled_plugins", "[].\n");
}

std::map<std::string, std::string> MiniRabbitmq::Environment() const {
  const auto path = [this](const char* name) { return (scratch_.path() / name).string(); };
  std::map<std::string, std::string> env = {
      {"RABBITMQ_NODENAME", node_name()},
      {"RABBITMQ_DIST_PORT", absl::StrCat(distribution_port_)},
      {"RABBITMQ_MNESIA_BASE", path("mnesia")},
      {"RABBITMQ_LOG_BASE", path("log")},
      {"RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")},
      {"RABBITMQ_CONF_ENV_FILE", path("rabbitmq-env.conf")},
      {"RABBITMQ_GENERATED_CONFIG_DIR", path("config")},
      {"RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")},
      {"RABBITMQ_PID_FILE", path("rabbitmq.pid")},
      {"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", kOnlyLoopback},
      {"RABBITMQ_CTL_ERL_ARGS", kOnlyLoopback},
      // The script then becomes the broker, and is no process beside it, which would survive its kill.
      {"RUNNING_UNDER_SYSTEMD", "true"},
  };
  env.merge(neighbourhood_->Environment());
  return env;
}

absl::Status MiniRabbitmq::StartOnPorts() {
  WriteConfig();
  auto process = ChildProcess::Start({
      .args = {kRabbitmqServer},
      .env = Environment(),
      .working_dir = scratch_.path().string(),
      .log_file = log_file(),
      .user = "",
  });
  if (!process.ok()) return process.status();
  process_ = *std::move(process);
  const absl::Status serving = WaitUntilServing();
  if (!serving.ok()) process_.reset();
  return serving;
}

absl::Status MiniRabbitmq::WaitUntilServing() {
  const absl::Time deadline = absl::Now() + kServerStartTimeout;
  while (absl::Now() < deadline) {
    if (!process_->Running()) {
      return absl::UnavailableError(absl::StrCat("RabbitMQ ended at its start:\n", FileContents(log_file())));
    }
    if (TalksAmqp(port_)) return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(20));
  }
  return absl::DeadlineExceededError(absl::StrCat("RabbitMQ does not serve:\n", FileContents(log_file())));
}

absl::Status MiniRabbitmq::AwaitOnDisk(const std::string& queue) const {
  const std::filesystem::path names = scratch_.path() / "mnesia" / node_name() / "quorum" / node_name() / "names.dets";
  // As Erlang writes a name of the virtual host "/", and what follows it.
  const std::string written = absl::StrCat("%2F_", queue, "m");
  const absl::Time deadline = absl::Now() + kServerStartTimeout;
  while (!absl::StrContains(FileContents(names), written)) {
    if (absl::Now() > deadline) return absl::DeadlineExceededError(absl::StrCat(names.string(), " has no ", queue));
    absl::SleepFor(absl::Milliseconds(20));
  }
  return absl::OkStatus();
}

absl::Status MiniRabbitmq::End(int signal) {
  CHECK(running()) << "not started";
  if (absl::Status sent = process_->Signal(signal); !sent.ok()) return sent;
  const absl::Status ended = process_->Wait(kServerStopTimeout).status();
  process_.reset();
  return ended;
}

absl::Status MiniRabbitmq::Stop() { return End(SIGTERM); }
absl::Status MiniRabbitmq::Kill() { return End(SIGKILL); }

absl::Status MiniRabbitmq::Freeze() {
  CHECK(running()) << "not started";
  return process_->Signal(SIGSTOP);
}

absl::Status MiniRabbitmq::Thaw() {
  CHECK(running()) << "not started";
  return process_->Signal(SIGCONT);
}

absl::Status MiniRabbitmq::SetMemoryAlarm(bool on) {
  CHECK(running()) << "not started";
  const std::string log = (scratch_.path() / "rabbitmqctl.log").string();
  auto tool = ChildProcess::Start({
      .args = {kRabbitmqctl, "-n", node_name(), "set_vm_memory_high_watermark", on ? "0" : "0.9"},
      .env = Environment(),
      .working_dir = scratch_.path().string(),
      .log_file = log,
      .user = "",
  });
  if (!tool.ok()) return tool.status();
  const absl::StatusOr<int> ended = (*tool)->Wait(kServerStartTimeout);
  if (!ended.ok()) return ended.status();
  if (*ended == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("rabbitmqctl failed:\n", FileContents(log)));
}

absl::Status MiniRabbitmqCluster::Start() {
  CHECK(brokers_.empty()) << "already started";
  if (absl::Status started = neighbourhood_.Start(); !started.ok()) return started;
  for (size_t i = 0; i < kBrokers; ++i) {
    // One after the other: each joins the first one.
    brokers_.push_back(
        std::make_unique<MiniRabbitmq>(&neighbourhood_, brokers_.empty() ? std::string() : broker(0).node_name()));
    if (absl::Status started = brokers_.back()->Start(); !started.ok()) return started;
  }
  return absl::OkStatus();
}

std::string MiniRabbitmqCluster::addresses() const {
  return absl::StrJoin(brokers_, ",", [](std::string* out, const std::unique_ptr<MiniRabbitmq>& broker) {
    absl::StrAppend(out, broker->address());
  });
}

}  // namespace tranche::testing
