// Ends a run when the program is told to stop.
#pragma once

#include <csignal>

namespace tranche::load {

// While it lives: the first SIGINT or SIGTERM calls `load.Stop()`, which a signal handler must be allowed to call. The
// second ends the program at once. One at a time for each type of load, which must outlive it.
template <typename Load>
class StopOnSignal {
 public:
  explicit StopOnSignal(Load& load) {
    running_ = &load;
    std::signal(SIGINT, OnSignal);
    std::signal(SIGTERM, OnSignal);
  }
  ~StopOnSignal() { running_ = nullptr; }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  static void OnSignal(int signal) {
    if (running_ != nullptr) running_->Stop();
    std::signal(signal, SIG_DFL);
  }

  static inline Load* running_ = nullptr;
};

}  // namespace tranche::load
