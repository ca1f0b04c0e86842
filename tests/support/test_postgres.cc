#include "tests/support/test_postgres.h"

#include <glog/logging.h>
#include <libpq-fe.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/postgres/migrator.h"
#include "tests/support/mini_postgres.h"

namespace tranche::testing {
namespace {

std::string NewDatabaseName() {
  static std::atomic<int> count{0};
  return absl::StrCat("tranche_test_", absl::ToUnixMicros(absl::Now()), "_", getpid(), "_", ++count);
}

void MustExecute(const std::string& sql) {
  const absl::Status done = ExecuteSql(SharedPostgres(), sql);
  CHECK(done.ok()) << sql << ": " << done;
}

// The server that the environment names, or nullptr.
const char* GivenPostgres() {
  const char* const given = std::getenv("TRANCHE_TEST_POSTGRES");
  return given != nullptr && *given != '\0' ? given : nullptr;
}

// A migrated database that the others are copies of: copying is faster than migrating.
class TemplateDatabase {
 public:
  TemplateDatabase() : name_(NewDatabaseName()) {
    MustExecute(absl::StrCat("CREATE DATABASE ", name_));
    const auto migrated = storage::Migrate(WithDatabase(SharedPostgres(), name_));
    CHECK(migrated.ok()) << migrated.status();
  }
  ~TemplateDatabase() { MustExecute(absl::StrCat("DROP DATABASE ", name_, " WITH (FORCE)")); }
  const std::string& name() const { return name_; }

 private:
  const std::string name_;
};

const std::string& TemplateName() {
  SharedPostgres();  // constructed before, hence destroyed after the template
  static const std::string made_by_mini_postgres = "tranche";
  if (GivenPostgres() == nullptr) return made_by_mini_postgres;
  static const TemplateDatabase database;
  return database.name();
}

}  // namespace

const std::string& SharedPostgres() {
  static const std::string shared = [] {
    if (const char* const given = GivenPostgres(); given != nullptr) {
      const absl::Status roles = EnsureRoles(given);
      CHECK(roles.ok()) << "cannot use TRANCHE_TEST_POSTGRES: " << roles;
      return std::string(given);
    }
    static MiniPostgres server({.fsync = Fsync::kOff});
    const absl::Status started = server.Start();
    CHECK(started.ok()) << started;
    return server.Dsn("postgres");
  }();
  return shared;
}

std::string WithDatabase(const std::string& dsn, const std::string& database, const std::string& user,
                         const std::string& password) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(dsn.c_str(), &error),
                                                                             &PQconninfoFree);
  CHECK(options != nullptr) << "not a PostgreSQL connection string: " << error;
  std::string result;
  const auto add = [&result](const std::string& keyword, const std::string& value) {
    absl::StrAppend(&result, keyword, "='", absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"'", "\\'"}}), "' ");
  };
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    const std::string keyword = option->keyword;
    if (option->val == nullptr || keyword == "dbname") continue;
    if (!user.empty() && (keyword == "user" || keyword == "password")) continue;
    add(keyword, option->val);
  }
  add("dbname", database);
  if (!user.empty()) add("user", user);
  if (!password.empty()) add("password", password);
  return result;
}

TestDatabase::TestDatabase() : name_(NewDatabaseName()) {
  MustExecute(absl::StrCat("CREATE DATABASE ", name_, " TEMPLATE ", TemplateName()));
}

TestDatabase::~TestDatabase() { MustExecute(absl::StrCat("DROP DATABASE ", name_, " WITH (FORCE)")); }

std::string TestDatabase::owner_dsn() const { return WithDatabase(SharedPostgres(), name_); }

std::string TestDatabase::node_dsn() const {
  return WithDatabase(SharedPostgres(), name_, MiniPostgres::kNodeRole, "tranche_node");
}

}  // namespace tranche::testing
