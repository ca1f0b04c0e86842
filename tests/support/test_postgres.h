// The PostgreSQL that tests share if they do not need to break it.
#pragma once

#include <string>

namespace tranche::testing {

// A superuser's DSN: the one in the environment variable TRANCHE_TEST_POSTGRES if it is set, otherwise that of a
// private server that is started once and lives as long as this process. Call it first from the main thread.
const std::string& SharedPostgres();

// `dsn` with another database, and with another user and password unless `user` is empty.
std::string WithDatabase(const std::string& dsn, const std::string& database, const std::string& user = "",
                         const std::string& password = "");

// A migrated database in SharedPostgres() that nobody else uses, dropped at the end.
class TestDatabase {
 public:
  TestDatabase();
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  // As the schema's owner, a superuser.
  std::string owner_dsn() const;
  // As the servers connect: may call the procedures and nothing else.
  std::string node_dsn() const;

 private:
  std::string name_;
};

}  // namespace tranche::testing
