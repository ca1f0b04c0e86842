// A gRPC server in a process of its own: another run of the program that measures.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/support/child_process.h"

namespace tranche::benchmark {

// In the child: serves on a free port of the loopback, writes the port to `port_file` and never returns, unless it
// cannot serve: then with an exit status.
int ServeInChild(grpc::Service& service, const std::string& port_file);

// Serves until destroyed.
class ChildServer {
 public:
  // Runs this program with `args` and, as the last one, the file that it must give to ServeInChild.
  static absl::StatusOr<std::unique_ptr<ChildServer>> Start(std::vector<std::string> args);
  ~ChildServer();

  const std::string& address() const { return address_; }

 private:
  ChildServer() = default;

  std::string directory_;
  std::string address_;
  std::unique_ptr<testing::ChildProcess> process_;
};

}  // namespace tranche::benchmark
