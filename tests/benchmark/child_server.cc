#include "tests/benchmark/child_server.h"

#include <grpcpp/grpcpp.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace tranche::benchmark {

int ServeInChild(grpc::Service& service, const std::string& port_file) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  // Renamed into place, so that a reader sees the whole port or none.
  {
    std::ofstream file(port_file + ".new");
    file << port << "\n";
  }
  if (std::rename((port_file + ".new").c_str(), port_file.c_str()) != 0) return 1;
  server->Wait();
  return 0;
}

absl::StatusOr<std::unique_ptr<ChildServer>> ChildServer::Start(std::vector<std::string> args) {
  std::string directory = (std::filesystem::temp_directory_path() / "tranche-benchmark-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return absl::InternalError("cannot make a temporary folder");
  std::unique_ptr<ChildServer> server(new ChildServer);
  server->directory_ = directory;
  const std::string port_file = directory + "/port";
  testing::ChildProcessOptions options;
  options.args = {std::filesystem::read_symlink("/proc/self/exe").string()};
  options.args.insert(options.args.end(), args.begin(), args.end());
  options.args.push_back(port_file);
  auto process = testing::ChildProcess::Start(options);
  if (!process.ok()) return process.status();
  server->process_ = *std::move(process);
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  int port = 0;
  while (!(std::ifstream(port_file) >> port)) {
    if (absl::Now() > deadline || !server->process_->Running()) {
      return absl::UnavailableError(absl::StrCat("the server of ", args.front(), " does not start"));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  server->address_ = absl::StrCat("127.0.0.1:", port);
  return server;
}

ChildServer::~ChildServer() {
  process_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace tranche::benchmark
