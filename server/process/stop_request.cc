#include "server/process/stop_request.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace tranche::server {
namespace {

// Ends the thread at destruction; has no meaning outside.
constexpr int kEndThread = SIGUSR1;

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

void StopRequest::Request(const std::string& reason) {
  LOG(INFO) << "stopping: " << reason;
  absl::MutexLock lock(&mutex_);
  requested_ = true;
}

void StopRequest::Wait() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&requested_));
}

void StopRequest::TakeSignals() {
  const sigset_t signals = TakenSignals();
  while (true) {
    int number = 0;
    if (sigwait(&signals, &number) != 0) continue;
    bool at_once = false;
    {
      absl::MutexLock lock(&mutex_);
      if (number == kEndThread) {
        if (requested_) return;
        continue;
      }
      at_once = !graceful_ || signalled_;
      signalled_ = true;
    }
    if (at_once) {
      EndSoonWhateverHappens();
      LOG(WARNING) << "ending at once on SIG" << sigabbrev_np(number);
      // 128 + n is the status that shells show for a process that a signal ended.
      _exit(128 + number);
    }
    Request(absl::StrCat("SIG", sigabbrev_np(number), "; a second one ends at once"));
  }
}

}  // namespace tranche::server
