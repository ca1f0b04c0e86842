#include "tests/support/mini_pgbouncer.h"

#include <libpq-fe.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/free_port.h"

namespace tranche::testing {
namespace {

// Where Debian installs it, outside of a user's PATH.
constexpr char kPgbouncer[] = "/usr/sbin/pgbouncer";
// It refuses to run as root; this user comes with PostgreSQL.
constexpr char kPgbouncerUser[] = "postgres";

}  // namespace

MiniPgbouncer::MiniPgbouncer(const MiniPostgres& postgres, std::string pool_mode)
    : postgres_(postgres), pool_mode_(std::move(pool_mode)) {}

std::string MiniPgbouncer::node_dsn() const {
  return absl::StrCat("host=127.0.0.1 port=", port_, " dbname=tranche user=", MiniPostgres::kNodeRole);
}

absl::Status MiniPgbouncer::Start() {
  if (!std::filesystem::exists(kPgbouncer)) {
    return absl::NotFoundError(absl::StrCat("no ", kPgbouncer, ": install pgbouncer (scripts/install-packages test)"));
  }
  port_ = PickFreePort();
  const std::filesystem::path dir = scratch_.MakeSubdir("config", kPgbouncerUser);
  std::ofstream(dir / "users.txt") << '"' << MiniPostgres::kNodeRole << "\" \"\"\n";
  std::ofstream(dir / "pgbouncer.ini") << "[databases]\n* = host=127.0.0.1 port=" << postgres_.port() << "\n"
                                       << "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " << port_ << "\n"
                                       << "unix_socket_dir =\nauth_type = trust\nauth_file = "
                                       << (dir / "users.txt").string() << "\npool_mode = " << pool_mode_
                                       << "\ndefault_pool_size = 30\n";
  auto process = ChildProcess::Start({.args = {kPgbouncer, (dir / "pgbouncer.ini").string()},
                                      .env = {},
                                      .working_dir = dir.string(),
                                      .log_file = log_file(),
                                      .user = kPgbouncerUser});
  if (!process.ok()) return process.status();
  process_ = *std::move(process);
  const absl::Time deadline = absl::Now() + kServerStartTimeout;
  while (PQping(node_dsn().c_str()) != PQPING_OK) {
    if (!process_->Running() || absl::Now() > deadline) {
      return absl::UnavailableError(absl::StrCat("PgBouncer does not serve:\n", FileContents(log_file())));
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  return absl::OkStatus();
}

}  // namespace tranche::testing
