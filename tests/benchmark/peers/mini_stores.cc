#include "tests/benchmark/peers/mini_stores.h"

#include <unistd.h>

#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/base/status_macros.h"
#include "tests/benchmark/peers/mariadb_connection.h"
#include "tests/benchmark/peers/redis_connection.h"
#include "tests/support/free_port.h"

namespace tranche::peers {
namespace {

using tranche::testing::ChildProcess;
using tranche::testing::FileContents;
using tranche::testing::kServerStartTimeout;

constexpr char kMariadbProgram[] = "/usr/sbin/mariadbd";
constexpr char kRedisProgram[] = "/usr/bin/redis-server";

// What mariadb-install-db does, without the tables of help: that script needs another package. $1: the data's folder.
constexpr char kMakeMariadbData[] = R"(
  {
    printf '%s\n' 'create database if not exists mysql;' 'use mysql;' 'set @auth_root_socket=NULL;'
    cd /usr/share/mysql && cat mysql_system_tables.sql mysql_performance_tables.sql mysql_system_tables_data.sql
  } | /usr/sbin/mariadbd --no-defaults --bootstrap --silent-startup --log-warnings=0 --datadir="$1" \
    --innodb-log-file-size=16M --max-allowed-packet=8M --net-buffer-length=16K)";

// Until `serves` says OK; otherwise what it said last, and the log.
template <typename Serves>
absl::Status AwaitStore(ChildProcess& process, const std::string& log_file, const Serves& serves) {
  const absl::Time deadline = absl::Now() + kServerStartTimeout;
  absl::Status last;
  do {
    last = serves();
    if (last.ok()) return last;
    if (!process.Running()) break;
    absl::SleepFor(absl::Milliseconds(20));
  } while (absl::Now() < deadline);
  return absl::UnavailableError(absl::StrCat(last.message(), "; the server's log:\n", FileContents(log_file)));
}

}  // namespace

bool MiniMariadb::Installed() { return std::filesystem::exists(kMariadbProgram); }

absl::Status MiniMariadb::MakeData() {
  const std::string data_dir = scratch_.MakeSubdir("data").string();
  const std::string log = (scratch_.path() / "bootstrap.log").string();
  ASSIGN_OR_RETURN(const std::unique_ptr<ChildProcess> maker,
                   ChildProcess::Start({.args = {"sh", "-c", kMakeMariadbData, "sh", data_dir},
                                        .env = {},
                                        .working_dir = "",
                                        .log_file = log,
                                        .user = ""}));
  ASSIGN_OR_RETURN(const int status, maker->Wait(kServerStartTimeout));
  if (status == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("MariaDB's data could not be made:\n", FileContents(log)));
}

absl::Status MiniMariadb::Start() {
  RETURN_IF_ERROR(MakeData());
  std::vector<std::string> args = {kMariadbProgram,
                                   "--no-defaults",
                                   absl::StrCat("--datadir=", (scratch_.path() / "data").string()),
                                   absl::StrCat("--socket=", socket()),
                                   absl::StrCat("--pid-file=", (scratch_.path() / "pid").string()),
                                   "--skip-networking",
                                   "--skip-name-resolve",
                                   "--innodb-buffer-pool-size=64M",
                                   "--innodb-log-file-size=16M"};
  // It refuses to run as root unless it is told so.
  if (geteuid() == 0) args.push_back("--user=root");
  ASSIGN_OR_RETURN(
      process_, ChildProcess::Start({.args = args, .env = {}, .working_dir = "", .log_file = log_file(), .user = ""}));
  return AwaitStore(*process_, log_file(), [this] { return MariadbConnection::Open(socket()).status(); });
}

bool MiniRedis::Installed() { return std::filesystem::exists(kRedisProgram); }

std::string MiniRedis::address() const { return absl::StrCat("127.0.0.1:", port_); }

absl::Status MiniRedis::Start() {
  port_ = tranche::testing::PickFreePort();
  const std::vector<std::string> args = {kRedisProgram,
                                         "--port",
                                         absl::StrCat(port_),
                                         "--bind",
                                         "127.0.0.1",
                                         "--dir",
                                         scratch_.path().string(),
                                         "--daemonize",
                                         "no",
                                         "--save",
                                         "",
                                         "--appendonly",
                                         "yes",
                                         "--appendfsync",
                                         appendfsync_};
  ASSIGN_OR_RETURN(
      process_, ChildProcess::Start({.args = args, .env = {}, .working_dir = "", .log_file = log_file(), .user = ""}));
  return AwaitStore(*process_, log_file(), [this]() -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<RedisConnection> connection, RedisConnection::Open(address()));
    return connection->Command({"PING"}).status();
  });
}

}  // namespace tranche::peers
