#include "client/internal/claim_wait.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/random/random.h"
#include "client/internal/attempt_verdict.h"
#include "client/internal/convert.h"
#include "client/internal/repeatable_call.h"
#include "client/internal/status_translation.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

// How soon an open watch notices that the client closes, or that the time is over.
constexpr absl::Duration kLookInterval = absl::Seconds(1);

// A node of an older version does not know the call, or cannot read such a ticket; another one may. A ticket that none
// can read is asked for in vain, but the wait has an end.
bool ALaterLookMayTell(const absl::Status& error) {
  return !IsRefusal(error) || absl::IsUnimplemented(error) || ReasonOf(error) == Reason::kClaimTicketInvalid;
}

absl::Time EndOf(const QueuedClaim& queued, const DecisionTerms& terms, absl::Time now) {
  return terms.decide_within.has_value() ? now + *terms.decide_within : queued.decide_time + ClaimWait::kLastWord;
}

}  // namespace

// The stream of one node. Deletes itself when gRPC is done with it.
class ClaimWatch final : public ClaimWatchReactor {
 public:
  ClaimWatch(std::shared_ptr<ClaimWait> wait, const std::string& ticket) : wait_(std::move(wait)) {
    request_.set_ticket(ticket);
  }

  void Start(Stub& stub) {
    stub.WatchClaim(context_, request_, this);
    // Held until it may be cancelled: it may end before StartCall() returns.
    AddHold();
    StartRead(&message_);
    StartCall();
    wait_->SetWatch(this);
    RemoveHold();
  }
  // Only between SetWatch() and ForgetWatch().
  void Cancel() { context_->TryCancel(); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    wait_->environment_.nodes.MarkHealthy(wait_->node_);
    absl::StatusOr<ClaimOutcome> outcome = FromProto(message_.claim());
    if (outcome.ok()) wait_->Heard(*std::move(outcome));
    StartRead(&message_);
  }
  void OnDone(const grpc::Status& status) override {
    const std::unique_ptr<ClaimWatch> self(this);
    wait_->ForgetWatch();
    // The context holds its channel. The channel's last owner must not be a thread of gRPC: the client may be destroyed
    // once the wait has ended.
    context_.reset();
    wait_->OnWatchEnded(ToAbslStatus(status));
  }

  const std::shared_ptr<ClaimWait> wait_;
  Stub::Context context_;
  tranche::v1::WatchClaimRequest request_;
  tranche::v1::WatchClaimResponse message_;
};

void ClaimWait::Start(CallEnvironment& environment, std::string reservation_id, QueuedClaim queued, DecisionTerms terms,
                      Callback callback) {
  const std::shared_ptr<ClaimWait> wait(
      new ClaimWait(environment, std::move(reservation_id), std::move(queued), std::move(terms), std::move(callback)));
  wait->TellQueued();
  wait->OpenWatch();
}

ClaimWait::ClaimWait(CallEnvironment& environment, std::string reservation_id, QueuedClaim queued, DecisionTerms terms,
                     Callback callback)
    : environment_(environment),
      reservation_id_(std::move(reservation_id)),
      end_(EndOf(queued, terms, environment.scheduler->Now())),
      terms_(std::move(terms)),
      queued_(std::move(queued)),
      callback_(std::move(callback)) {
  environment_.CallBegins();
}

ClaimWait::~ClaimWait() { environment_.CallEnds(); }

void ClaimWait::OpenWatch() {
  if (closing()) return EndUndecided();
  node_ = environment_.nodes.Pick(/*tried=*/0, environment_.scheduler->Now());
  (new ClaimWatch(shared_from_this(), queued_.ticket))->Start(environment_.nodes.stub(node_));
}

void ClaimWait::SetWatch(ClaimWatch* watch) {
  {
    absl::MutexLock lock(&mutex_);
    watch_ = watch;
  }
  LookLater();
}

void ClaimWait::ForgetWatch() {
  absl::MutexLock lock(&mutex_);
  watch_ = nullptr;
}

void ClaimWait::LookLater() {
  const absl::Time when = std::min(end_, environment_.scheduler->Now() + kLookInterval);
  // Weak: what is decided needs no look, and is not kept for it.
  environment_.scheduler->RunAt(when, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Look();
  });
}

void ClaimWait::Look() {
  {
    absl::MutexLock lock(&mutex_);
    if (watch_ == nullptr) return;
    if (finished_ || closing() || environment_.scheduler->Now() >= end_) {
      watch_->Cancel();
      return;
    }
  }
  LookLater();
}

void ClaimWait::OnWatchEnded(const absl::Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
  }
  if (Judge(status).avoid_node && environment_.scheduler->Now() < end_ && !closing()) {
    environment_.nodes.Avoid(node_, environment_.scheduler->Now());
  }
  PollAfter(queued_.poll_after);
}

void ClaimWait::PollAfter(absl::Duration wait) {
  if (closing() || last_poll_) return EndUndecided();
  // Not all claims of one moment together.
  thread_local absl::BitGen random;
  const absl::Time now = environment_.scheduler->Now();
  const absl::Time next = now + std::max(wait, kLeastPoll) * absl::Uniform(random, 1.0, 1.25);
  // One look-up is made in any case, also if the clocks differ so much that the time is over already.
  last_poll_ = next >= end_;
  environment_.scheduler->RunAt(std::max(now, std::min(next, end_)), [self = shared_from_this()] { self->Poll(); });
}

void ClaimWait::Poll() {
  if (closing()) return EndUndecided();
  using Call = RepeatableCall<tranche::v1::GetClaimRequest, tranche::v1::GetClaimResponse, ClaimOutcome>;
  tranche::v1::GetClaimRequest request;
  request.set_ticket(queued_.ticket);
  const absl::Time deadline = environment_.scheduler->Now() + environment_.options.request_timeout;
  (new Call(environment_, deadline, &Stub::GetClaim, std::move(request), /*changes=*/"",
            [self = shared_from_this()](absl::StatusOr<ClaimOutcome> outcome) { self->OnPolled(std::move(outcome)); }))
      ->Start();
}

void ClaimWait::OnPolled(absl::StatusOr<ClaimOutcome> outcome) {
  if (!outcome.ok()) {
    last_error_ = outcome.status();
    if (!ALaterLookMayTell(last_error_)) return EndUndecided();
    return PollAfter(std::max(queued_.poll_after, Judge(last_error_).retry_delay));
  }
  last_error_ = absl::OkStatus();
  if (!Heard(*std::move(outcome))) PollAfter(queued_.poll_after);
}

bool ClaimWait::Heard(ClaimOutcome outcome) {
  if (!outcome.queued.has_value()) {
    Finish(std::move(outcome));
    return true;
  }
  const int64_t told = queued_.ahead;
  queued_.ahead = outcome.queued->ahead;
  queued_.poll_after = outcome.queued->poll_after;
  queued_.decide_time = outcome.queued->decide_time;
  if (queued_.ahead != told) TellQueued();
  return false;
}

void ClaimWait::TellQueued() {
  {
    // What it refers to may be gone after the result.
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
  }
  if (terms_.on_queued != nullptr) terms_.on_queued(queued_);
}

void ClaimWait::EndUndecided() { Finish(Undecided(reservation_id_, queued_.ticket, last_error_)); }

void ClaimWait::Finish(absl::StatusOr<ClaimOutcome> result) {
  {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(finished_, true)) return;
  }
  // The callback, and what it refers to, is gone when it has run.
  Callback callback = std::move(callback_);
  callback(std::move(result));
}

void AwaitDecision(CallEnvironment& environment, std::string reservation_id, QueuedClaim queued, DecisionTerms terms,
                   absl::AnyInvocable<void(absl::StatusOr<Reservation>)> callback) {
  ClaimWait::Start(environment, std::move(reservation_id), std::move(queued), std::move(terms),
                   [callback = std::move(callback)](absl::StatusOr<ClaimOutcome> outcome) mutable {
                     if (!outcome.ok()) return callback(outcome.status());
                     if (outcome->created.has_value()) return callback(*std::move(outcome->created));
                     if (!outcome->refused.ok()) return callback(outcome->refused);
                     callback(absl::InternalError("the node took a claim for a cart"));
                   });
}

void AwaitDecision(CallEnvironment& environment, std::string reservation_id, QueuedClaim queued, DecisionTerms terms,
                   absl::AnyInvocable<void(absl::StatusOr<Cart>)> callback) {
  ClaimWait::Start(environment, std::move(reservation_id), std::move(queued), std::move(terms),
                   [callback = std::move(callback)](absl::StatusOr<ClaimOutcome> outcome) mutable {
                     if (!outcome.ok()) return callback(outcome.status());
                     if (outcome->cart_created.has_value()) return callback(*std::move(outcome->cart_created));
                     if (!outcome->refused.ok()) return callback(outcome->refused);
                     callback(absl::InternalError("the node took a cart for a claim"));
                   });
}

}  // namespace tranche::internal
