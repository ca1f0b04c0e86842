#include "server/process/stop_request.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"

namespace tranche::server {
namespace {

// Ends the thread at destruction; has no meaning outside.
constexpr int kEndThread = SIGUSR1;
// Signals that follow the first one faster are taken for the same wish.
constexpr absl::Duration kOneWish = absl::Seconds(1);

sigset_t TakenSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, kEndThread);
  return signals;
}

}  // namespace

void EndSoonWhateverHappens() {
  signal(SIGALRM, SIG_DFL);
  alarm(1);
}

StopRequest::StopRequest() {
  const sigset_t signals = TakenSignals();
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &signals, nullptr), 0);
  // Writing to a peer that is gone shall return an error, not end the process.
  signal(SIGPIPE, SIG_IGN);
  thread_ = std::thread([this] { TakeSignals(); });
}

StopRequest::~StopRequest() {
  {
    absl::MutexLock lock(&mutex_);
    requested_ = true;
  }
  pthread_kill(thread_.native_handle(), kEndThread);
  thread_.join();
}

void StopRequest::Graceful() {
  absl::MutexLock lock(&mutex_);
  graceful_ = true;
}

void StopRequest::Request(const std::string& reason, int exit_status) {
  absl::MutexLock lock(&mutex_);
  if (requested_) return;
  reason_ = reason;
  exit_status_ = exit_status;
  requested_ = true;
}

int StopRequest::Wait() {
  std::string reason;
  int exit_status = 0;
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&requested_));
    reason = reason_;
    exit_status = exit_status_;
  }
  // Not on the thread that takes the signals: a log that nobody reads may block it, and the next signal must still end
  // the process.
  LOG(INFO) << "stopping: " << reason;
  return exit_status;
}

void StopRequest::TakeSignals() {
  const sigset_t signals = TakenSignals();
  while (true) {
    int number = 0;
    if (sigwait(&signals, &number) != 0) continue;
    if (number != kEndThread) {
      Take(number);
      continue;
    }
    absl::MutexLock lock(&mutex_);
    if (requested_) return;
  }
}

void StopRequest::Take(int signal) {
  const absl::Time now = absl::Now();
  absl::Time first;
  bool at_once = false;
  {
    absl::MutexLock lock(&mutex_);
    first = first_signal_;
    first_signal_ = std::min(first, now);
    at_once = !graceful_ || now - first >= kOneWish;
  }
  const std::string name = absl::StrCat("SIG", sigabbrev_np(signal));
  if (at_once) {
    EndSoonWhateverHappens();
    LOG(WARNING) << "ending at once on " << name;
    // 128 + n is the status that shells show for a process that a signal ended.
    _exit(128 + signal);
  }
  Request(absl::StrCat(name, "; another one ends at once, from a second later on"));
}

}  // namespace tranche::server
