// A private PgBouncer before a PostgreSQL server, for a test.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "tests/support/child_process.h"
#include "tests/support/mini_postgres.h"
#include "tests/support/scratch_dir.h"

namespace tranche::testing {

// The distribution's program, on a free port of 127.0.0.1. It dies with the thread that started it, at the latest. Not
// thread-safe.
class MiniPgbouncer {
 public:
  // `pool_mode`: "session" or "transaction".
  MiniPgbouncer(const MiniPostgres& postgres, std::string pool_mode);

  // Returns when it serves. kNotFound if it is not installed.
  absl::Status Start();

  // To the database "tranche", as the servers connect.
  std::string node_dsn() const;
  // To be shown when a test fails.
  std::string log_file() const { return (scratch_.path() / "pgbouncer.log").string(); }

 private:
  const MiniPostgres& postgres_;
  const std::string pool_mode_;
  ScratchDir scratch_{"pgbouncer"};
  int port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace tranche::testing
