// Where tries wait that a limit lets in later.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "storage/clock.h"

namespace tranche::server {

// Thread-safe.
class TurnQueue {
 public:
  // `others` tells how many wait elsewhere within the same bound of `max_waiting`.
  TurnQueue(storage::Clock* clock, size_t max_waiting, std::function<size_t()> others);
  // Calls all that wait.
  ~TurnQueue();

  // False: too many wait; `go_on` is dropped.
  bool Park(absl::Time until, absl::AnyInvocable<void()> go_on);
  // Calls those whose time has come, in the order of their times. Call it every 10 ms from one thread.
  void CallDue();
  // Calls all, and from now on Park refuses.
  void End();
  size_t waiting() const;
};

}  // namespace tranche::server
