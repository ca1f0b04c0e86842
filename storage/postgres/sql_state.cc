#include "storage/postgres/sql_state.h"

#include "absl/strings/match.h"
#include "glog/logging.h"

namespace tranche::storage {
namespace {

using Code = absl::StatusCode;
using Kind = SqlStateKind;

constexpr absl::string_view kMigrate = "the database has not been migrated: run tranche-migrate";
constexpr absl::string_view kLacksRight =
    "the servers' role must be in tranche_app (GRANT tranche_app TO it); tranche-migrate's must own the schema";
constexpr absl::string_view kUsePrimary =
    "this server is a standby or read-only: --postgres must name the primary, or several hosts with "
    "target_session_attrs=read-write";
constexpr absl::string_view kNoTransactionPooling =
    "a pooler in transaction mode lies between: use its session mode, or connect to the server";

constexpr SqlState kTable[] = {
    // Ours. A value is not the one that the caller expected; a SKU or a shard is not in the state that the call wants;
    // a reservation that has ended does not change; the SKU is on its way to another shard.
    {"TR001", Kind::kRefusal, Code::kAborted},
    {"TR002", Kind::kRefusal, Code::kFailedPrecondition},
    {"TR003", Kind::kRefusal, Code::kFailedPrecondition},
    {"TR004", Kind::kSkuMoving, Code::kUnavailable},
    {kNoDescriptor, Kind::kConnection, Code::kUnavailable, false,
     "this process has no file descriptor left: raise its limit (LimitNOFILE), or see who opens so many"},
    {kNoPassword, Kind::kConnection, Code::kUnavailable, false,
     "mend that file: it is read for each new connection, and those that exist go on"},

    // 08: lost, or never made, on the way; a pooler says so, too.
    {"08", Kind::kConnection, Code::kUnavailable, true, "look at the network, and at a pooler that lies between"},
    {"0A000", Kind::kOutdatedPlan, Code::kAborted},
    {"22", Kind::kRefusal, Code::kInvalidArgument},  // data exception
    {"23", Kind::kRefusal, Code::kInvalidArgument},  // integrity constraint
    {"25006", Kind::kWrongServer, Code::kUnavailable, false, kUsePrimary},
    {"26000", Kind::kPooler, Code::kInternal, false, kNoTransactionPooling},
    {"28", Kind::kConnection, Code::kUnavailable, false,
     "correct the user or the password, or the server's pg_hba.conf"},
    {"3D000", Kind::kConnection, Code::kUnavailable, false, "create the database, or correct its name in --postgres"},
    {"3F000", Kind::kRefusal, Code::kFailedPrecondition, false, kMigrate},
    // Not 40003, whose outcome is unknown, nor 40002, which is a constraint's.
    {"40000", Kind::kRetry, Code::kAborted},
    {"40001", Kind::kRetry, Code::kAborted},
    {"40003", Kind::kLost, Code::kUnavailable, true},
    {"40P01", Kind::kRetry, Code::kAborted},
    {"42501", Kind::kRefusal, Code::kPermissionDenied, false, kLacksRight},
    {"42804", Kind::kOutdatedPlan, Code::kAborted},
    {"42883", Kind::kRefusal, Code::kFailedPrecondition, false, kMigrate},
    {"42P01", Kind::kRefusal, Code::kFailedPrecondition, false, kMigrate},
    {"42P05", Kind::kPooler, Code::kInternal, false, kNoTransactionPooling},
    {"42P13", Kind::kOutdatedPlan, Code::kAborted},

    // 53: the server lacks something.
    {"53", Kind::kServer, Code::kUnavailable, false, "the server's log says what it lacks"},
    {"53100", Kind::kServer, Code::kUnavailable, false, "the server's disk is full: free space"},
    {"53200", Kind::kNeedsLess, Code::kUnavailable, false,
     "the server's lock table or memory is full: raise max_locks_per_transaction, or see its log"},
    {"53300", Kind::kConnection, Code::kUnavailable, false,
     "no connection is left: raise max_connections or the role's CONNECTION LIMIT, or run fewer processes"},
    {"53400", Kind::kNeedsLess, Code::kUnavailable, false, "raise the limit that the server's log names"},
    {"54000", Kind::kNeedsLess, Code::kUnavailable, false, "the server's log names the limit"},
    {"55P03", Kind::kStatement, Code::kUnavailable, false,
     "another transaction holds a lock for long: find it with pg_blocking_pids() in pg_stat_activity"},

    // 57: an operator, or the server's end.
    {"57", Kind::kServer, Code::kUnavailable},
    {"57014", Kind::kStatement, Code::kUnavailable, false,
     "cancelled, or longer than --statement-timeout-ms: find what it waits for in pg_stat_activity"},
    {"57P01", Kind::kServer, Code::kUnavailable, true, "the server shuts down, or somebody ended this connection"},
    {"57P02", Kind::kServer, Code::kUnavailable, true, "the server has crashed and restarts: see its log"},
    {"57P03", Kind::kConnection, Code::kUnavailable, true, "the server starts, recovers or shuts down: wait"},
    // The connection was idle for longer than the role may be: nothing happened, and a new one serves.
    {"57P05", Kind::kOutdatedPlan, Code::kAborted},
    {"58", Kind::kServer, Code::kUnavailable, false, "the server cannot use its files: see its log and its disk"},
};

constexpr SqlState kLostConnection = {"", Kind::kLost, Code::kUnavailable, true};
constexpr SqlState kUnlisted = {"", Kind::kRefusal, Code::kInternal};

}  // namespace

const SqlState& ClassifySqlState(absl::string_view sqlstate) {
  if (sqlstate.empty()) return kLostConnection;
  const SqlState* longest = &kUnlisted;
  for (const SqlState& row : kTable) {
    if (absl::StartsWith(sqlstate, row.prefix) && row.prefix.size() > longest->prefix.size()) longest = &row;
  }
  return *longest;
}

const SqlState& ClassifyConnectError(absl::string_view sqlstate) {
  static constexpr SqlState kDatabaseClosed = {
      "55000", Kind::kConnection, Code::kUnavailable, false,
      "the database accepts no connections: ALTER DATABASE ... ALLOW_CONNECTIONS true, or see the server's log"};
  static constexpr SqlState kMayNotConnect = {"42501", Kind::kConnection, Code::kUnavailable, false,
                                              "the servers' role lacks the right to CONNECT to the database: grant it"};
  static constexpr SqlState kRefused = {"", Kind::kConnection, Code::kUnavailable, false, "see the server's log"};
  const SqlState& meaning = ClassifySqlState(sqlstate);
  if (sqlstate == kDatabaseClosed.prefix) return kDatabaseClosed;
  if (sqlstate == kMayNotConnect.prefix) return kMayNotConnect;
  return meaning.code == Code::kUnavailable ? meaning : kRefused;
}

ConnectionFate FateOf(SqlStateKind kind) {
  switch (kind) {
    case SqlStateKind::kRefusal:
    case SqlStateKind::kSkuMoving:
    case SqlStateKind::kRetry:
    case SqlStateKind::kStatement:
    case SqlStateKind::kNeedsLess:
      return ConnectionFate::kKept;
    case SqlStateKind::kConnection:
    case SqlStateKind::kPooler:
      return ConnectionFate::kDropped;
    case SqlStateKind::kOutdatedPlan:
    case SqlStateKind::kWrongServer:
    case SqlStateKind::kServer:
    case SqlStateKind::kLost:
      return ConnectionFate::kAllDropped;
  }
  LOG(FATAL) << "unknown kind of SQLSTATE";
}

}  // namespace tranche::storage
