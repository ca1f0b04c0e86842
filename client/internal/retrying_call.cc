#include "client/internal/retrying_call.h"

#include <algorithm>

#include "absl/random/random.h"

namespace tranche::internal {
namespace {

// Over so long the requests of a broken stream are spread that the budget has no tokens for.
constexpr absl::Duration kLongSpread = absl::Seconds(1);

// Up to `longest`, at random.
absl::Duration Spread(absl::Duration longest) {
  thread_local absl::BitGen random;
  return longest * absl::Uniform(random, 0.0, 1.0);
}

}  // namespace

RetryingCall::RetryingCall(CallEnvironment& environment, absl::Time deadline, Throttle* throttle)
    : environment_(environment), deadline_(deadline), throttle_(throttle) {
  environment_.CallBegins();
}

RetryingCall::~RetryingCall() {
  // The context holds its channel. Once the call has ended, the client may be gone, and if the channel's last owner is
  // one of gRPC's own threads, that thread would wait for itself.
  context_.reset();
  environment_.CallEnds();
}

void RetryingCall::Start() {
  if (throttle_ == nullptr) return StartAttempt();
  const absl::Time now = environment_.scheduler->Now();
  if (MayTry(now)) return StartAttempt();
  environment_.scheduler->RunAt(now, [this] { Finish(throttle_->Refusal()); });
}

void RetryingCall::StartAfter(int node, const absl::Status& refusal) {
  const AttemptVerdict verdict = Judge(refusal);
  const absl::Time now = environment_.scheduler->Now();
  node_ = node;
  tried_ |= NodeSet::Tried{1} << node_;
  outcome_unknown_ |= verdict.outcome_unknown;
  if (verdict.avoid_node) environment_.nodes.Avoid(node_, now);
  RetryOrFinish(refusal, verdict, now);
}

bool RetryingCall::MayTry(absl::Time now) {
  // What is in doubt may always be tried again: otherwise two look-ups would have to settle the doubt of a claim, which
  // costs the nodes more. The retry budget bounds these.
  return throttle_ == nullptr || outcome_unknown_ || throttle_->Admit(now);
}

void RetryingCall::StartAttempt() {
  const absl::Time now = environment_.scheduler->Now();
  if (node_ < 0 || environment_.options.failover) node_ = environment_.nodes.Pick(tried_, now);
  tried_ |= NodeSet::Tried{1} << node_;
  ++attempts_;
  Send(environment_.nodes.stub(node_), std::min(deadline_, now + environment_.options.attempt_timeout));
}

void RetryingCall::OnAttemptDone(const absl::Status& status) {
  const AttemptVerdict verdict = Judge(status);
  outcome_unknown_ |= verdict.outcome_unknown;
  if (verdict.avoid_node) {
    environment_.nodes.Avoid(node_, environment_.scheduler->Now());
  } else {
    environment_.nodes.MarkHealthy(node_);
  }
  if (!verdict.costs_budget) environment_.budget.OnAnswered();
  if (throttle_ != nullptr) throttle_->OnAnswers(verdict.load, 1, environment_.scheduler->Now());
  if (verdict.next == AttemptVerdict::Next::kDone) {
    Finish(status);
    return;
  }
  RetryOrFinish(status, verdict, environment_.scheduler->Now());
}

void RetryingCall::RetryOrFinish(const absl::Status& status, const AttemptVerdict& verdict, absl::Time now) {
  absl::Duration delay = NextDelay(verdict, now);
  if (attempts_ >= environment_.options.retry.max_attempts || now + delay >= EndOfAttempts(verdict, now) ||
      environment_.closing.load(std::memory_order_relaxed)) {
    EndNow(status);
    return;
  }
  // Before the wait, so that nobody waits for a try that is then refused; and before the budget, so that this try costs
  // no token.
  if (!MayTry(now)) {
    EndNow(throttle_->Refusal(status));
    return;
  }
  if (verdict.costs_budget && !environment_.budget.TrySpend()) {
    if (!LeftBehind() || now + delay + kLongSpread >= EndOfAttempts(verdict, now)) {
      EndNow(status);
      return;
    }
    delay += Spread(kLongSpread);
  }
  if (delay == absl::ZeroDuration()) {
    StartAttempt();
    return;
  }
  environment_.scheduler->RunAt(now + delay, [this, status] {
    if (environment_.closing.load(std::memory_order_relaxed)) {
      Finish(status);
    } else {
      StartAttempt();
    }
  });
}

void RetryingCall::EndNow(const absl::Status& status) {
  if (attempts_ == 0) {
    GiveUp(status);
  } else {
    Finish(status);
  }
}

absl::Time RetryingCall::EndOfAttempts(const AttemptVerdict& verdict, absl::Time now) const {
  const absl::Time settle_at = deadline_ - TimeToSettle();
  const bool still_in_doubt = outcome_unknown_ && !verdict.outcome_unknown;
  return still_in_doubt && now < settle_at ? settle_at : deadline_;
}

absl::Duration RetryingCall::NextDelay(const AttemptVerdict& verdict, absl::Time now) {
  const bool another = environment_.options.failover && environment_.nodes.HasHealthy(tried_, now);
  if (another) {
    return verdict.next == AttemptVerdict::Next::kAnotherNow ? absl::ZeroDuration() : NextBackoff();
  }
  // Every node was asked: begin a new round, but not before the server allows it.
  tried_ = 0;
  return std::max(verdict.retry_delay, NextBackoff());
}

absl::Duration RetryingCall::NextBackoff() {
  const RetryPolicy& policy = environment_.options.retry;
  const absl::Duration full = std::min(policy.max_backoff, policy.initial_backoff * (1 << std::min(backoffs_++, 20)));
  return full / 2 + Spread(full / 2);
}

}  // namespace tranche::internal
