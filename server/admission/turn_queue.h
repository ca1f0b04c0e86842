// Where tries wait that a limit lets in later.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/clock.h"

namespace tranche::server {

// Thread-safe. Outlived by its clock.
class TurnQueue {
 public:
  // `others` tells how many wait elsewhere within the same bound of `max_waiting`; it must not block, and may be empty
  // if nobody does. What waits may exceed the bound by as many as come at the same moment.
  TurnQueue(storage::Clock* clock, size_t max_waiting, std::function<size_t()> others);
  // Calls all that wait.
  ~TurnQueue();
  TurnQueue(const TurnQueue&) = delete;
  TurnQueue& operator=(const TurnQueue&) = delete;

  // False: too many wait. Ask before something is counted for whoever is to wait; Park does not ask, so that nobody who
  // was counted is turned away.
  bool HasRoom() const;
  // Keeps `go_on` until CallDue or End calls it, once, without a lock, so that it may park again. False: the queue has
  // ended; `go_on` is dropped.
  bool Park(absl::Time until, absl::AnyInvocable<void()> go_on);
  // Calls those whose time has come, in the order of their times. Call it every 10 ms from one thread. Costs one load
  // when none waits.
  void CallDue();
  // Calls all, and from now on Park refuses.
  void End();
  size_t waiting() const { return size_.load(std::memory_order_relaxed); }

 private:
  struct Turn {
    absl::Time until;
    uint64_t number;  // those of one time go in the order in which they came
    absl::AnyInvocable<void()> go_on;
  };
  // Of a heap whose first is the next.
  static bool IsLater(const Turn& a, const Turn& b);
  std::vector<Turn> TakeUntil(absl::Time time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  storage::Clock* const clock_;
  const size_t max_waiting_;
  const std::function<size_t()> others_;
  absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Turn> turns_ ABSL_GUARDED_BY(mutex_);  // a heap
  std::atomic<size_t> size_{0};                      // of turns_; written with mutex_ held
};

}  // namespace tranche::server
