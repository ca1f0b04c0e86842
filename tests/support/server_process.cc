#include "tests/support/server_process.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

namespace tranche::testing {
namespace {

constexpr size_t kTailLines = 8;

// The port in the file; 0 while there is none.
int ReadPort(const std::filesystem::path& port_file) {
  int port = 0;
  std::ifstream(port_file) >> port;
  return port;
}

}  // namespace

std::filesystem::path BinaryPath(const std::string& name) {
  const char* const folder = std::getenv("TRANCHE_BIN");
  return std::filesystem::path(folder != nullptr ? folder : TRANCHE_BIN_DIR) / name;
}

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const std::string& name, const std::string& binary,
                                                                    const std::vector<std::string>& args,
                                                                    const std::filesystem::path& dir) {
  ChildProcessOptions options;
  options.args = {BinaryPath(binary).string()};
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--postgres" && i + 1 < args.size()) {
      options.env["TRANCHE_POSTGRES"] = args[++i];
    } else {
      options.args.push_back(args[i]);
    }
  }
  options.log_file = dir / (name + ".log");
  absl::StatusOr<std::unique_ptr<ChildProcess>> process = ChildProcess::Start(options);
  if (!process.ok()) return process.status();
  return std::unique_ptr<ServerProcess>(new ServerProcess(name, options.log_file, *std::move(process)));
}

absl::StatusOr<int> ServerProcess::WaitForPort(const std::filesystem::path& port_file, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    if (const int port = ReadPort(port_file); port > 0) return port;
    const bool running = Running();
    if (!running || absl::Now() >= deadline) {
      return absl::UnavailableError(
          absl::StrCat(name_, running ? " does not serve yet" : " has ended", "; its log ends:\n", LogTail()));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
}

absl::StatusOr<int> ServerProcess::Terminate(absl::Duration timeout) {
  if (absl::Status signalled = process_->Signal(SIGTERM); !signalled.ok()) return signalled;
  return process_->Wait(timeout);
}

absl::Status ServerProcess::Kill() {
  if (absl::Status signalled = process_->Signal(SIGKILL); !signalled.ok()) return signalled;
  return process_->Wait(absl::Seconds(30)).status();
}

std::string ServerProcess::LogTail() const {
  std::ifstream log(log_file_);
  std::vector<std::string> lines;
  for (std::string line; std::getline(log, line);) lines.push_back(std::move(line));
  const size_t skipped = lines.size() - std::min(lines.size(), kTailLines);
  return absl::StrJoin(lines.begin() + static_cast<std::ptrdiff_t>(skipped), lines.end(), "\n");
}

int ServerProcess::LogLinesWith(const std::string& text) const {
  std::ifstream log(log_file_);
  int count = 0;
  for (std::string line; std::getline(log, line);) count += line.find(text) != std::string::npos ? 1 : 0;
  return count;
}

}  // namespace tranche::testing
