// tranched: a front node.
#include <iostream>
#include <optional>
#include <string>

#include "server/node/front_node.h"
#include "server/process/options.h"
#include "server/process/port_file.h"
#include "server/process/process_setup.h"
#include "server/process/stop_request.h"
#include "storage/base/status_macros.h"

namespace {

constexpr int kCannotStart = 2;

int Fail(const absl::Status& status) {
  std::cerr << "tranched: " << std::string(status.message()) << std::endl;
  return kCannotStart;
}

// The one for operators first: who has seen the other finds it.
absl::Status WritePorts(const tranche::server::ServerOptions& options, const tranche::server::FrontNode& node) {
  using tranche::server::WritePortFile;
  if (!options.admin_port_file.empty() && node.admin_port() != 0) {
    RETURN_IF_ERROR(WritePortFile(options.admin_port_file, node.admin_port(), "--admin-port-file"));
  }
  return options.port_file.empty() ? absl::OkStatus() : WritePortFile(options.port_file, node.port());
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tranche::server;
  ServerOptions options;
  if (const std::optional<int> done = ParseServerOptions(argc, argv, &options, std::cout, std::cerr)) return *done;
  SetUpProcess("tranched", options.log_format);
  StopRequest stop;
  FrontNode node(options, [&stop](const std::string& reason, int exit_status) { stop.Request(reason, exit_status); });
  if (absl::Status started = node.Start(); !started.ok()) return Fail(started);
  stop.Graceful();
  if (absl::Status written = WritePorts(options, node); !written.ok()) {
    node.Drain();
    return Fail(written);
  }
  const int exit_status = stop.Wait();
  node.Drain();
  return exit_status;
}
