#include "tests/support/saved_state.h"

#include <cstdint>
#include <exception>
#include <pqxx/pqxx>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/support/mini_postgres.h"
#include "tests/support/scratch_dir.h"

namespace tranche::testing {
namespace {

// A backend that is told to end does so within milliseconds, unless the machine is very busy.
constexpr absl::Duration kOthersEndWithin = absl::Seconds(30);
constexpr char kEndOthers[] =
    "SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a "
    "WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'";
constexpr char kTablesAndSequences[] =
    "SELECT c.oid::regclass::text, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'S') AND n.nspname NOT IN ('saved_state', 'information_schema') AND n.nspname !~ '^pg_'";

// The pool of the test before has closed its connections, but their backends take a moment to end.
absl::Status EndOthers(pqxx::nontransaction& work) {
  const absl::Time give_up = absl::Now() + kOthersEndWithin;
  while (work.exec1(kEndOthers)[0].as<int64_t>() > 0) {
    if (absl::Now() > give_up) return absl::DeadlineExceededError("other connections to the database do not end");
    absl::SleepFor(absl::Milliseconds(2));
  }
  return absl::OkStatus();
}

// `name` as PostgreSQL quotes it.
std::string ContentsOf(const std::string& name, bool is_sequence) {
  if (is_sequence) return absl::StrCat("SELECT last_value || ', called: ' || is_called FROM ", name);
  return absl::StrCat("SELECT CASE WHEN count(*) = 0 THEN format('no row in %s bytes', pg_relation_size('", name,
                      "'::regclass)) ELSE format('%s rows, md5 %s', count(*), "
                      "md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"))) END FROM ",
                      name, " t");
}

}  // namespace

absl::Status SaveState(const std::string& owner_dsn) {
  const std::string sql = FileContents(TRANCHE_SAVED_STATE_SQL);
  if (sql.empty()) return absl::NotFoundError(absl::StrCat("cannot read ", TRANCHE_SAVED_STATE_SQL));
  return ExecuteSql(owner_dsn, sql);
}

absl::Status RestoreState(const std::string& owner_dsn) {
  try {
    pqxx::connection connection(owner_dsn);
    pqxx::nontransaction work(connection);
    // Of backends that have just ended by themselves, and of tables that others refer to.
    work.exec("SET client_min_messages = error");
    if (absl::Status ended = EndOthers(work); !ended.ok()) return ended;
    work.exec("SELECT saved_state.restore()");
    return absl::OkStatus();
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

absl::StatusOr<std::map<std::string, std::string>> DescribeState(const std::string& owner_dsn) {
  try {
    pqxx::connection connection(owner_dsn);
    pqxx::nontransaction work(connection);
    std::map<std::string, std::string> contents;
    for (const auto& row : work.exec(kTablesAndSequences)) {
      const std::string name = row[0].as<std::string>();
      contents[name] = work.exec1(ContentsOf(name, row[1].as<std::string>() == "S"))[0].as<std::string>();
    }
    return contents;
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace tranche::testing
