// Waits for the answer of a call that does not block.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace tranche::server {

// `Result`: absl::Status or an absl::StatusOr. For one call, and one thread that waits.
template <typename Result>
class Awaited {
 public:
  // Goes on living with the callback, which may still be at work when Wait returns.
  auto Callback() {
    return [state = state_](Result answer) {
      state->answer = std::move(answer);
      state->done.Notify();
    };
  }
  Result Wait() {
    state_->done.WaitForNotification();
    return *std::move(state_->answer);
  }
  // kDeadlineExceeded if there is no answer by then, by the machine's clock. It may still come.
  Result WaitFor(absl::Duration longest) {
    if (state_->done.WaitForNotificationWithTimeout(longest)) return *std::move(state_->answer);
    return absl::DeadlineExceededError("no answer in time");
  }

 private:
  struct State {
    absl::Notification done;
    std::optional<Result> answer;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace tranche::server
