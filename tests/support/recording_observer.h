// An observer that remembers, for tests of Coordination.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/coordination/coordination.h"

namespace tranche::testing {

// Notes "connected", "disconnected", "expired" and the paths of changes, in order. Thread-safe.
class RecordingObserver : public quota::CoordinationObserver {
 public:
  void OnChanged(const std::string& path) override { Note(path); }
  void OnConnected() override { Note("connected"); }
  void OnDisconnected() override { Note("disconnected"); }
  void OnSessionExpired() override { Note("expired"); }

  // Whether `event` came, or comes before the deadline.
  bool WaitFor(const std::string& event, absl::Duration timeout = absl::Seconds(30)) {
    absl::MutexLock lock(&mutex_);
    const auto came = [this, &event] {
      mutex_.AssertReaderHeld();
      return std::count(events_.begin(), events_.end(), event) > 0;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&came), timeout);
  }

  int Count(const std::string& event) {
    absl::MutexLock lock(&mutex_);
    return static_cast<int>(std::count(events_.begin(), events_.end(), event));
  }

  std::vector<std::string> Events() {
    absl::MutexLock lock(&mutex_);
    return events_;
  }

  void Forget() {
    absl::MutexLock lock(&mutex_);
    events_.clear();
  }

 private:
  void Note(const std::string& event) {
    absl::MutexLock lock(&mutex_);
    events_.push_back(event);
  }

  absl::Mutex mutex_;
  std::vector<std::string> events_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::testing
