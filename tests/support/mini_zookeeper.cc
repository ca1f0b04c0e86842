#include "tests/support/mini_zookeeper.h"

#include <arpa/inet.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/free_port.h"

namespace tranche::testing {
namespace {

// The jar's manifest names what else it needs; the second jar writes the log to stderr.
constexpr char kClassPath[] = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar";

// What the server answers to one of its four-letter words; empty if it does not.
std::string FourLetterWord(int port, const std::string& word) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  PCHECK(fd >= 0) << "socket";
  const timeval timeout = {.tv_sec = 5, .tv_usec = 0};
  PCHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      send(fd, word.data(), word.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(word.size())) {
    char buffer[4096];
    for (ssize_t size; (size = recv(fd, buffer, sizeof(buffer), 0)) > 0;) answer.append(buffer, size);
  }
  close(fd);
  return answer;
}

}  // namespace

MiniZookeeper::MiniZookeeper() = default;

MiniZookeeper::~MiniZookeeper() = default;

std::string MiniZookeeper::connect_string() const { return absl::StrCat("127.0.0.1:", port_); }

absl::Status MiniZookeeper::Start() {
  CHECK(!running()) << "already started";
  if (port_ != 0) return StartOnPort();
  // A free port may be taken by another process before the server binds it.
  absl::Status started;
  for (int attempt = 0; attempt < 3; ++attempt) {
    port_ = PickFreePort();
    started = StartOnPort();
    if (started.ok()) return started;
  }
  port_ = 0;
  return started;
}

void MiniZookeeper::WriteConfig() const {
  std::ofstream config(scratch_.path() / "zoo.cfg");
  config << "clientPort=" << port_ << "\n"
         << "clientPortAddress=127.0.0.1\n"
         << "dataDir=" << (scratch_.path() / "data").string() << "\n"
         << "tickTime=500\n"
         << "minSessionTimeout=500\n"
         << "maxSessionTimeout=60000\n"
         << "maxClientCnxns=0\n"
         << "admin.enableServer=false\n"
         << "4lw.commands.whitelist=srvr\n";
  config.close();
  CHECK(config.good()) << "cannot write zoo.cfg";
}

absl::Status MiniZookeeper::StartOnPort() {
  WriteConfig();
  const std::string config = (scratch_.path() / "zoo.cfg").string();
  absl::StatusOr<std::unique_ptr<ChildProcess>> process = ChildProcess::Start({
      .args = {"java", "-cp", kClassPath, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
               "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dzookeeper.jmx.log4j.disable=true",
               "-Dzookeeper.preAllocSize=1024", "org.apache.zookeeper.server.ZooKeeperServerMain", config},
      .env = {},
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

absl::Status MiniZookeeper::WaitUntilServing() {
  const absl::Time deadline = absl::Now() + kServerStartTimeout;
  while (absl::Now() < deadline) {
    if (!process_->Running()) {
      return absl::UnavailableError(absl::StrCat("ZooKeeper ended at its start:\n", FileContents(log_file())));
    }
    if (absl::StartsWith(FourLetterWord(port_, "srvr"), "Zookeeper version")) return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(20));
  }
  return absl::DeadlineExceededError(absl::StrCat("ZooKeeper does not serve:\n", FileContents(log_file())));
}

absl::Status MiniZookeeper::Stop() {
  CHECK(running()) << "not started";
  disturbed_ = true;
  if (absl::Status sent = process_->Signal(SIGTERM); !sent.ok()) return sent;
  const absl::Status ended = process_->Wait(kServerStopTimeout).status();
  process_.reset();
  return ended;
}

absl::Status MiniZookeeper::Kill() {
  CHECK(running()) << "not started";
  disturbed_ = true;
  if (absl::Status sent = process_->Signal(SIGKILL); !sent.ok()) return sent;
  const absl::Status ended = process_->Wait(kServerStopTimeout).status();
  process_.reset();
  return ended;
}

absl::Status MiniZookeeper::Freeze() {
  CHECK(running()) << "not started";
  disturbed_ = true;
  return process_->Signal(SIGSTOP);
}

absl::Status MiniZookeeper::Thaw() {
  CHECK(running()) << "not started";
  return process_->Signal(SIGCONT);
}

}  // namespace tranche::testing
