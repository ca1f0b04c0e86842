#include "tests/support/child_process.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

extern char** environ;

namespace tranche::testing {
namespace {

// Everything that the child needs between fork and exec is prepared before: there it may not allocate, since another
// thread may have held the allocator's lock at the fork.
struct Launch {
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::vector<char*> argv;
  std::vector<char*> envp;
  const char* working_dir = nullptr;
  const char* log_file = nullptr;
  bool switch_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t parent = 0;
  int error_pipe = -1;
};

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(std::map<std::string, std::string> added) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!added.contains(text.substr(0, text.find('=')))) result.push_back(text);
  }
  for (const auto& [name, value] : added) result.push_back(name + "=" + value);
  return result;
}

absl::Status Prepare(const ChildProcessOptions& options, Launch& launch) {
  if (options.args.empty()) return absl::InvalidArgumentError("no program to start");
  launch.args = options.args;
  launch.env = Environment(options.env);
  launch.argv = Pointers(launch.args);
  launch.envp = Pointers(launch.env);
  if (!options.working_dir.empty()) launch.working_dir = options.working_dir.c_str();
  if (!options.log_file.empty()) launch.log_file = options.log_file.c_str();
  launch.parent = getpid();
  if (!options.user.empty() && geteuid() == 0) {
    const passwd* const user = getpwnam(options.user.c_str());
    if (user == nullptr) return absl::NotFoundError(absl::StrCat("no user ", options.user));
    launch.switch_user = true;
    launch.uid = user->pw_uid;
    launch.gid = user->pw_gid;
  }
  return absl::OkStatus();
}

bool OpenStandardStreams(const Launch& launch) {
  const int input = open("/dev/null", O_RDONLY);
  if (input < 0 || dup2(input, STDIN_FILENO) < 0) return false;
  if (launch.log_file == nullptr) return true;
  const int log = open(launch.log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  return log >= 0 && dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0;
}

bool SwitchUser(const Launch& launch) {
  if (!launch.switch_user) return true;
  return setgroups(1, &launch.gid) == 0 && setgid(launch.gid) == 0 && setuid(launch.uid) == 0;
}

// In the child. Only async-signal-safe calls.
[[noreturn]] void Exec(const Launch& launch) {
  // A test may block or ignore signals; its servers must not inherit that.
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  // The log is opened before the user is switched, the death signal set after it: changing the user clears it.
  if (OpenStandardStreams(launch) && SwitchUser(launch) && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
      (launch.working_dir == nullptr || chdir(launch.working_dir) == 0)) {
    if (getppid() != launch.parent) _exit(127);  // the parent died before the death signal was set
    execvpe(launch.argv[0], launch.argv.data(), launch.envp.data());
  }
  const int error = errno;
  if (write(launch.error_pipe, &error, sizeof(error)) != sizeof(error)) _exit(126);
  _exit(127);
}

int ShellStatus(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const ChildProcessOptions& options) {
  Launch launch;
  if (absl::Status prepared = Prepare(options, launch); !prepared.ok()) return prepared;
  int error_pipe[2];
  if (pipe2(error_pipe, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  launch.error_pipe = error_pipe[1];
  const pid_t pid = fork();
  if (pid == 0) Exec(launch);
  const int fork_error = errno;
  close(error_pipe[1]);
  // A successful exec closes the child's end, so that this read sees the end of file.
  int exec_error = 0;
  const ssize_t size = pid < 0 ? 0 : read(error_pipe[0], &exec_error, sizeof(exec_error));
  close(error_pipe[0]);
  if (pid < 0) return absl::ErrnoToStatus(fork_error, "fork");
  if (size == sizeof(exec_error)) {
    waitpid(pid, nullptr, 0);
    return absl::ErrnoToStatus(exec_error, absl::StrCat("cannot start ", options.args[0]));
  }
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid));
}

ChildProcess::~ChildProcess() {
  if (!Running()) return;
  PLOG_IF(ERROR, kill(pid_, SIGKILL) != 0) << "cannot kill process " << pid_;
  LOG_IF(ERROR, !Wait(absl::Seconds(30)).ok()) << "process " << pid_ << " outlives its kill";
}

absl::Status ChildProcess::Signal(int signal) {
  if (exit_status_.has_value()) return absl::FailedPreconditionError("the process has ended");
  if (kill(pid_, signal) != 0) return absl::ErrnoToStatus(errno, "kill");
  if (signal == SIGSTOP) {
    // On a busy machine its threads run on for a while. An exit status would stay there for Wait.
    siginfo_t state;
    while (waitid(P_PID, static_cast<id_t>(pid_), &state, WSTOPPED | WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int> ChildProcess::Wait(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!exit_status_.has_value()) {
    int wait_status = 0;
    const pid_t ended = waitpid(pid_, &wait_status, WNOHANG);
    if (ended == pid_) {
      exit_status_ = ShellStatus(wait_status);
    } else if (ended < 0 && errno != EINTR) {
      return absl::ErrnoToStatus(errno, "waitpid");
    } else if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("process ", pid_, " still runs"));
    } else {
      absl::SleepFor(absl::Milliseconds(2));
    }
  }
  return *exit_status_;
}

}  // namespace tranche::testing
