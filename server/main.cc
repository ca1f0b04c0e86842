// tranched: a front node.
#include <iostream>
#include <optional>
#include <string>

#include "server/node/front_node.h"
#include "server/process/options.h"
#include "server/process/port_file.h"
#include "server/process/process_setup.h"
#include "server/process/stop_request.h"

namespace {

constexpr int kCannotStart = 2;

int Fail(const absl::Status& status) {
  std::cerr << "tranched: " << std::string(status.message()) << std::endl;
  return kCannotStart;
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
  if (!options.port_file.empty()) {
    if (absl::Status written = WritePortFile(options.port_file, node.port()); !written.ok()) {
      node.Drain();
      return Fail(written);
    }
  }
  const int exit_status = stop.Wait();
  node.Drain();
  return exit_status;
}
