// Waits until a queued claim or cart is decided.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/internal/call_environment.h"
#include "client/internal/stub.h"
#include "tranche/reservation.h"

namespace tranche::internal {

// What the caller said about it.
struct DecisionTerms {
  std::optional<absl::Duration> decide_within = std::nullopt;
  std::function<void(const QueuedClaim&)> on_queued = nullptr;
};

class ClaimWatch;

// First a watch at one node, which tells the decision at once; when that ends without it, single look-ups at any node,
// each QueuedClaim::poll_after after the one before. Thread-safe; the environment waits for its end, and ends it when
// it closes.
class ClaimWait : public std::enable_shared_from_this<ClaimWait> {
 public:
  // Gets a decision, or the error of Undecided().
  using Callback = absl::AnyInvocable<void(absl::StatusOr<ClaimOutcome>)>;

  // Between two look-ups, whatever the node says.
  static constexpr absl::Duration kLeastPoll = absl::Milliseconds(100);
  // What is not decided at its decide_time is refused: so long after it that is heard.
  static constexpr absl::Duration kLastWord = absl::Seconds(5);

  // `reservation_id`: the claim's, or that of a cart's first line. Tells terms.on_queued, inline.
  static void Start(CallEnvironment& environment, std::string reservation_id, QueuedClaim queued, DecisionTerms terms,
                    Callback callback);

  ~ClaimWait();
  ClaimWait(const ClaimWait&) = delete;
  ClaimWait& operator=(const ClaimWait&) = delete;

 private:
  friend class ClaimWatch;

  ClaimWait(CallEnvironment& environment, std::string reservation_id, QueuedClaim queued, DecisionTerms terms,
            Callback callback);

  // Called by the watch, which may be cancelled from SetWatch() to ForgetWatch().
  void SetWatch(ClaimWatch* watch);
  void ForgetWatch();
  void OnWatchEnded(const absl::Status& status);

  void OpenWatch();
  // Cancels the watch when it is no longer wanted, and otherwise looks again.
  void Look();
  void LookLater();
  void PollAfter(absl::Duration wait);
  void Poll();
  void OnPolled(absl::StatusOr<ClaimOutcome> outcome);
  // False: it is not decided.
  bool Heard(ClaimOutcome outcome);
  void TellQueued();
  void EndUndecided();
  void Finish(absl::StatusOr<ClaimOutcome> result);
  bool closing() const { return environment_.closing.load(std::memory_order_relaxed); }

  CallEnvironment& environment_;
  const std::string reservation_id_;
  const absl::Time end_;

  // Used by one thread at a time: the one that starts it, then those that deliver what is told.
  DecisionTerms terms_;
  QueuedClaim queued_;
  Callback callback_;
  absl::Status last_error_;
  bool last_poll_ = false;
  int node_ = 0;

  absl::Mutex mutex_;
  ClaimWatch* watch_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null: none is open
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

// The same for callers of a claim, and of a cart: a refusal is an error.
void AwaitDecision(CallEnvironment& environment, std::string reservation_id, QueuedClaim queued, DecisionTerms terms,
                   absl::AnyInvocable<void(absl::StatusOr<Reservation>)> callback);
void AwaitDecision(CallEnvironment& environment, std::string reservation_id, QueuedClaim queued, DecisionTerms terms,
                   absl::AnyInvocable<void(absl::StatusOr<Cart>)> callback);

}  // namespace tranche::internal
