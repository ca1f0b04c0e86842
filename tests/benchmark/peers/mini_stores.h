// Private servers of MariaDB and Redis for a test, from the distribution's packages, with their data in scratch
// folders. Each dies with the thread that started it, at the latest. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "tests/support/child_process.h"
#include "tests/support/scratch_dir.h"

namespace tranche::peers {

class MiniMariadb {
 public:
  static bool Installed();
  // Makes its data, which takes some seconds, and returns when it serves. Once.
  absl::Status Start();
  // Of the user root, who needs no password.
  std::string socket() const { return (scratch_.path() / "socket").string(); }

 private:
  absl::Status MakeData();
  std::string log_file() const { return (scratch_.path() / "mariadb.log").string(); }

  tranche::testing::ScratchDir scratch_{"mariadb"};
  std::unique_ptr<tranche::testing::ChildProcess> process_;
};

class MiniRedis {
 public:
  static bool Installed();
  // `appendfsync`: "always" or "everysec".
  explicit MiniRedis(std::string appendfsync) : appendfsync_(std::move(appendfsync)) {}
  // Returns when it serves. Once.
  absl::Status Start();
  // "127.0.0.1:port"
  std::string address() const;

 private:
  std::string log_file() const { return (scratch_.path() / "redis.log").string(); }

  const std::string appendfsync_;
  tranche::testing::ScratchDir scratch_{"redis"};
  int port_ = 0;
  std::unique_ptr<tranche::testing::ChildProcess> process_;
};

}  // namespace tranche::peers
