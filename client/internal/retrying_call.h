// One call as its caller sees it: attempts at one node after another until there is an answer or a limit is reached.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/internal/attempt_verdict.h"
#include "client/internal/call_environment.h"
#include "client/internal/stub.h"

namespace tranche::internal {

// An answer can overtake a commit: the node is gone, but the ledger still works on what it sent. So an answer about a
// claim in doubt counts only when it is repeated after this time.
inline constexpr absl::Duration kSettlingTime = absl::Milliseconds(250);

// Deleted by its Finish(). Used by one thread at a time: first the one that starts it, then the one that delivers the
// attempt's answer or runs the timer.
class RetryingCall : private AttemptObserver {
 public:
  RetryingCall(const RetryingCall&) = delete;
  RetryingCall& operator=(const RetryingCall&) = delete;

  // If the throttle refuses the first attempt, the call ends later, on the scheduler's thread: its caller may hold
  // locks that the callback takes, or call again from there.
  void Start();
  // For a call whose first attempt the throttle has let pass already.
  void StartAdmitted() { StartAttempt(); }
  // For a call that a node has refused elsewhere, or not answered, so that another attempt makes sense: it goes on as
  // after an attempt of its own, by the budget, the throttle and the wait. That one is not counted here, neither for
  // max_attempts nor for the throttle. Without a further attempt, the call ends with `refusal` by GiveUp, inline.
  void StartAfter(int node, const absl::Status& refusal);

 protected:
  // `throttle`: null if such calls are never throttled.
  RetryingCall(CallEnvironment& environment, absl::Time deadline, Throttle* throttle = nullptr);
  virtual ~RetryingCall();

  // Sends the request once; the answer goes to observer().
  virtual void Send(Stub& stub, absl::Time deadline) = 0;
  // Ends the call. Must delete this.
  virtual void Finish(const absl::Status& status) = 0;

  // Ends a call that has made no attempt of its own and makes none: nothing more is sent for it, not even to settle a
  // doubt. Must delete this.
  virtual void GiveUp(const absl::Status& status) { Finish(status); }

  // How long it takes to settle a doubt in Finish(). When an answer leaves a doubt as it was ("not now"), so much of
  // the call's time is not spent on further attempts.
  virtual absl::Duration TimeToSettle() const { return absl::ZeroDuration(); }

  AttemptObserver* observer() { return this; }

  // An attempt may have succeeded without our knowing.
  bool outcome_unknown() const { return outcome_unknown_; }
  void set_outcome_unknown() { outcome_unknown_ = true; }
  absl::Time deadline() const { return deadline_; }
  CallEnvironment& environment() { return environment_; }
  Stub::Context& context() { return context_; }

 private:
  void OnAttemptDone(const absl::Status& status) final;
  // Whether the throttle lets the next attempt pass. False counts as a try that it has refused.
  bool MayTry(absl::Time now);
  void StartAttempt();
  void RetryOrFinish(const absl::Status& status, const AttemptVerdict& verdict, absl::Time now);
  // By a broken stream, which may have sent it: a unit may be held for it. So it goes on once without a token, too.
  bool LeftBehind() const { return attempts_ == 0 && outcome_unknown_; }
  // Without a further attempt.
  void EndNow(const absl::Status& status);
  absl::Time EndOfAttempts(const AttemptVerdict& verdict, absl::Time now) const;
  absl::Duration NextDelay(const AttemptVerdict& verdict, absl::Time now);
  absl::Duration NextBackoff();

  CallEnvironment& environment_;
  const absl::Time deadline_;
  Throttle* const throttle_;
  Stub::Context context_;
  NodeSet::Tried tried_ = 0;
  int node_ = -1;
  int attempts_ = 0;
  int backoffs_ = 0;
  bool outcome_unknown_ = false;
};

}  // namespace tranche::internal
