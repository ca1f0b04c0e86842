// A thread that runs a step again and again.
#pragma once

#include <functional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tranche::server {

class Loop {
 public:
  // `step` returns how long to wait for the next one.
  explicit Loop(std::function<absl::Duration()> step) : step_(std::move(step)), thread_([this] { Run(); }) {}
  // Waits for a step that has begun.
  ~Loop() {
    RequestStop();
    thread_.join();
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Begins no further step, even if one is due. Does not wait.
  void RequestStop() {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }

 private:
  void Run() {
    absl::Duration wait;
    while (true) {
      {
        absl::MutexLock lock(&mutex_);
        if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), wait)) return;
      }
      wait = step_();
    }
  }

  const std::function<absl::Duration()> step_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace tranche::server
