// One of the project's own binaries, running as a child of this process.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/support/child_process.h"

namespace tranche::testing {

// The path of one of the project's binaries: in $TRANCHE_BIN if that is set, otherwise where this build puts them.
std::filesystem::path BinaryPath(const std::string& name);

// Threads as for ChildProcess: start it from a thread that lives as long as the server is needed.
class ServerProcess {
 public:
  // Starts `binary`, a server, with `args`; its output goes to <dir>/<name>.log. Returns before the server serves. The
  // value of --postgres is passed in the environment: it may hold a password, which is refused on the command line.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(const std::string& name, const std::string& binary,
                                                              const std::vector<std::string>& args,
                                                              const std::filesystem::path& dir);

  // Waits until the server has written its port into `port_file` and returns it. kUnavailable, with the end of its log,
  // when the server has ended or has not written it after `timeout`.
  absl::StatusOr<int> WaitForPort(const std::filesystem::path& port_file, absl::Duration timeout);

  // Asks the server to end (SIGTERM) and returns its exit status, as ChildProcess::Wait does.
  absl::StatusOr<int> Terminate(absl::Duration timeout);
  // Kills it and waits for its end.
  absl::Status Kill();

  bool Running() { return process_->Running(); }
  ChildProcess& process() { return *process_; }
  const std::string& name() const { return name_; }
  const std::filesystem::path& log_file() const { return log_file_; }
  // The last lines of its log, for messages.
  std::string LogTail() const;
  // How many lines of its log hold `text`.
  int LogLinesWith(const std::string& text) const;

 private:
  ServerProcess(std::string name, std::filesystem::path log_file, std::unique_ptr<ChildProcess> process)
      : name_(std::move(name)), log_file_(std::move(log_file)), process_(std::move(process)) {}

  const std::string name_;
  const std::filesystem::path log_file_;
  const std::unique_ptr<ChildProcess> process_;
};

}  // namespace tranche::testing
