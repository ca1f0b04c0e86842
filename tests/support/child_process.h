// Processes that tests start and that never outlive them.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tranche::testing {

struct ChildProcessOptions {
  std::vector<std::string> args;           // args[0] is the program, looked up in PATH unless it has a "/"
  std::map<std::string, std::string> env;  // added to this process's environment, or replacing parts of it
  std::string working_dir;                 // empty: this process's
  std::string log_file;                    // stdout and stderr are appended to it; empty: this process's
  std::string user;                        // the user to run as if this process is root; empty or not root: the same
};

// How long a server may take to serve and to end, on a machine that is busy with other tests.
inline constexpr absl::Duration kServerStartTimeout = absl::Seconds(60);
inline constexpr absl::Duration kServerStopTimeout = absl::Seconds(30);

// One process. Not thread-safe, but Signal and pid may be used beside a Wait.
//
// The kernel kills the process when the *thread* that started it ends (PR_SET_PDEATHSIG): start it from a thread that
// lives as long as the process is needed, normally the test's main thread.
class ChildProcess {
 public:
  // kNotFound: no such program or user; other errors as the operating system gives them.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const ChildProcessOptions& options);

  // Kills the process (SIGKILL) if it still runs, and waits for its end.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }

  // kFailedPrecondition after Wait has seen the end. After SIGSTOP no thread of it runs any more.
  absl::Status Signal(int signal);

  // The exit status in the form of a shell: the code, or 128 + the signal that killed it. kDeadlineExceeded if it still
  // runs after `timeout`; zero asks without waiting.
  absl::StatusOr<int> Wait(absl::Duration timeout);

  bool Running() { return !Wait(absl::ZeroDuration()).ok(); }

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  const pid_t pid_;
  std::optional<int> exit_status_;
};

}  // namespace tranche::testing
