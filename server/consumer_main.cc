// tranche-consumer: decides the claims that wait in queues.
#include <iostream>
#include <optional>
#include <string>

#include "server/consumer/consumer_node.h"
#include "server/process/options.h"
#include "server/process/port_file.h"
#include "server/process/process_setup.h"
#include "server/process/stop_request.h"

namespace {

constexpr int kCannotStart = 2;

int Fail(const absl::Status& status) {
  std::cerr << "tranche-consumer: " << std::string(status.message()) << std::endl;
  return kCannotStart;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tranche::server;
  ConsumerOptions options;
  if (const std::optional<int> done = ParseConsumerOptions(argc, argv, &options, std::cout, std::cerr)) return *done;
  SetUpProcess("tranche-consumer", options.node.log_format);
  StopRequest stop;
  ConsumerNode node(options,
                    [&stop](const std::string& reason, int exit_status) { stop.Request(reason, exit_status); });
  if (absl::Status started = node.Start(); !started.ok()) return Fail(started);
  stop.Graceful();
  if (!options.node.port_file.empty()) {
    if (absl::Status written = WritePortFile(options.node.port_file, node.port()); !written.ok()) {
      node.Drain();
      return Fail(written);
    }
  }
  const int exit_status = stop.Wait();
  node.Drain();
  return exit_status;
}
