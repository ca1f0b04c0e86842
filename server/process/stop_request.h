// The request to end the process: SIGTERM, SIGINT or a call of Request. Signals are taken by a thread of their own, so
// that the code that they trigger is ordinary code.
#pragma once

#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tranche::server {

// One per process, made in main before any other thread: every thread inherits its signal mask. Thread-safe.
//
// Before Graceful is called, a signal ends the process at once. After that, the first signal only makes Wait return. A
// later one ends the process at once, unless it comes within a second of the first: a terminal and a supervisor, or a
// supervisor alone, often send two signals for one request.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  void Graceful();
  // Of several requests the first one counts; a signal is a request with exit status 0.
  void Request(const std::string& reason, int exit_status = 0);
  // Logs the reason; returns the status to exit with.
  int Wait();

 private:
  void TakeSignals();
  // Of a signal that has come just now.
  void Take(int signal);

  absl::Mutex mutex_;
  bool graceful_ ABSL_GUARDED_BY(mutex_) = false;
  bool requested_ ABSL_GUARDED_BY(mutex_) = false;
  std::string reason_ ABSL_GUARDED_BY(mutex_);
  int exit_status_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time first_signal_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();  // since Graceful
  std::thread thread_;
};

// Call it before logging and then ending the process: SIGALRM ends the process within a second, even if a log that
// nobody reads blocks it.
void EndSoonWhateverHappens();

}  // namespace tranche::server
