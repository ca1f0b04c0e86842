// The reference: a bare gRPC unary callback server with the API's own messages and nothing behind them, in a process of
// its own.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tests/support/child_process.h"

namespace tranche::benchmark {

// Runs in the child process: serves on a free port of the loopback, writes the port to `port_file` and never returns.
int ServeEcho(const std::string& port_file);

// Serves until destroyed.
class EchoServer {
 public:
  // `program` is this program; it must call ServeEcho(argv[2]) when argv[1] is "--serve-echo".
  static absl::StatusOr<std::unique_ptr<EchoServer>> Start(const std::string& program);
  ~EchoServer();

  const std::string& address() const { return address_; }

 private:
  EchoServer() = default;

  std::string directory_;
  std::string address_;
  std::unique_ptr<testing::ChildProcess> process_;
};

}  // namespace tranche::benchmark
