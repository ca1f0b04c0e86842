#include "server/process/backends.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "quota/coordination/ledger_mark.h"
#include "server/process/dsn.h"
#include "server/process/ledger_advice.h"
#include "server/process/schema_check.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/sql_state.h"
#include "storage/postgres/writable_server.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(200);

// A standby answers, too. Each try connects anew: one of several hosts may have become the primary.
absl::Status LedgerWorks(storage::IncarnationLedger& ledger, const BackendOptions& options) {
  RETURN_IF_ERROR(ledger.ListLiveIncarnations().status());
  storage::ConnectionPool pool(ToPoolOptions(options, "tranche-start", 1));
  const absl::StatusOr<bool> takes_changes = storage::TakesChanges(pool);
  // If it cannot be asked, for want of a connection, the process finds out by itself.
  if (takes_changes.value_or(true)) return absl::OkStatus();
  return absl::UnavailableError(storage::ClassifySqlState("25006").remedy);
}

}  // namespace

storage::PoolOptions ToPoolOptions(const BackendOptions& options, const char* application_name, int max_connections) {
  storage::PoolOptions pool;
  pool.dsn = options.postgres;
  pool.password_file = options.postgres_password_file;
  pool.max_connections = max_connections;
  pool.statement_timeout = absl::Milliseconds(options.statement_timeout_ms);
  pool.application_name = application_name;
  return pool;
}

quota::ZookeeperOptions ToZookeeperOptions(const BackendOptions& options) {
  quota::ZookeeperOptions zookeeper;
  zookeeper.servers = options.zookeeper;
  zookeeper.root = options.zookeeper_root;
  zookeeper.auth_file = options.zookeeper_auth_file;
  zookeeper.session_timeout = absl::Milliseconds(options.zookeeper_session_timeout_ms);
  zookeeper.connect_timeout = absl::Milliseconds(options.startup_timeout_ms);
  return zookeeper;
}

void WarnIfAnyServerIsTrusted(const std::string& name, const std::string& dsn) {
  const std::string why = ServerTrustWarning(dsn);
  LOG_IF(WARNING, !why.empty()) << name << " (PostgreSQL at " << DescribeDsn(dsn).value_or("(unreadable)")
                                << "): " << why;
}

absl::Status WaitForLedger(storage::IncarnationLedger& ledger, const BackendOptions& options) {
  WarnIfAnyServerIsTrusted("home", options.postgres);
  const std::string server = DescribeDsn(options.postgres).value_or("(unreadable)");
  const absl::Time give_up = absl::Now() + absl::Milliseconds(options.startup_timeout_ms);
  while (true) {
    const absl::Status status = LedgerWorks(ledger, options);
    if (status.ok()) return status;
    const std::string detail(status.message());
    switch (status.code()) {
      case absl::StatusCode::kUnavailable:
      case absl::StatusCode::kResourceExhausted:
        if (absl::Now() + kPoll >= give_up) {
          return absl::UnavailableError(
              absl::StrCat("PostgreSQL at ", server, " cannot be used (", detail, ")", StartAdvice(detail)));
        }
        absl::SleepFor(kPoll);
        break;
      case absl::StatusCode::kFailedPrecondition:
        return LacksSchema(server);
      case absl::StatusCode::kPermissionDenied:
        return absl::PermissionDeniedError(absl::StrCat("the database user may not use the ledger at ", server, " (",
                                                        detail, "): GRANT tranche_app TO that user"));
      default:
        return absl::InternalError(absl::StrCat("PostgreSQL at ", server, " refuses (", detail, "): see its log"));
    }
  }
}

absl::Status RequireHome(storage::ShardLedger& ledger, const BackendOptions& options) {
  RETURN_IF_ERROR(RequireSchema(ledger, options.postgres));
  ASSIGN_OR_RETURN(const storage::ShardIdentity identity, ledger.Identity());
  if (identity.name == storage::kHomeShard) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the database at ", DescribeDsn(options.postgres).value_or("(unreadable)"), " is the shard ",
                   identity.name, " and not home: give the home shard's --postgres; the others are found there"));
}

absl::Status CheckConnections(const BackendOptions& options, const storage::ConnectionNeeds& needs) {
  return CheckConnections(ToPoolOptions(options, "tranche-start", 2), "home", needs);
}

absl::Status CheckConnections(storage::PoolOptions options, const std::string& name,
                              const storage::ConnectionNeeds& needs) {
  const std::string server =
      absl::StrCat(name, " (PostgreSQL at ", DescribeDsn(options.dsn).value_or("(unreadable)"), ")");
  storage::ConnectionPool pool(std::move(options));
  const auto limits = storage::ReadConnectionLimits(pool);
  if (absl::IsUnavailable(limits.status()) || absl::IsResourceExhausted(limits.status())) {
    LOG(WARNING) << server << ": cannot read its limits of connections (" << limits.status().message() << ")";
    return absl::OkStatus();
  }
  if (!limits.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(server, " cannot be used (", std::string(limits.status().message()), ")"));
  }
  const storage::ConnectionVerdict verdict = storage::Judge(*limits, needs);
  for (const std::string& warning : verdict.warnings) LOG(WARNING) << server << ": " << warning;
  if (verdict.refusal.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(server, ": ", verdict.refusal));
}

absl::Status ZookeeperStartError(const absl::Status& status, const BackendOptions& options) {
  if (quota::IsAnotherLedgersTree(status)) return status;  // says what to do
  if (absl::IsPermissionDenied(status)) {
    const std::string why = options.zookeeper_auth_file.empty()
                                ? "give this process the --zookeeper-auth-file that the others have"
                                : "its --zookeeper-auth-file must have the same line as that of the others";
    return absl::PermissionDeniedError(absl::StrCat("ZooKeeper at ", options.zookeeper, " keeps ",
                                                    options.zookeeper_root, " from this process (",
                                                    std::string(status.message()), "): ", why));
  }
  return absl::UnavailableError(absl::StrCat("ZooKeeper at ", options.zookeeper, " cannot be used (",
                                             std::string(status.message()),
                                             "): start it, or correct --zookeeper and --zookeeper-root"));
}

}  // namespace tranche::server
