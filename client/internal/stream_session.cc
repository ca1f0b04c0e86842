#include "client/internal/stream_session.h"

#include <grpc/support/log.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "client/internal/attempt_verdict.h"
#include "client/internal/status_translation.h"
#include "tranche/uuid.h"

namespace tranche::internal {
namespace {

constexpr absl::Duration kWatchInterval = absl::Milliseconds(250);
// Streams that a request is offered to: one may be ending just then.
constexpr int kTries = 2;
// How long the node may take to end a stream on which it owes no answer.
constexpr absl::Duration kEndGrace = absl::Seconds(1);
// Between two tries of a caller who may have no stream: roles are given, and tokens changed, while programs run.
constexpr absl::Duration kDeniedPause = absl::Minutes(1);

// The node does not know this caller, or their role has no streams. It has done nothing of what it left unanswered: it
// says so before it reads the first request, or, when roles have changed, after it has answered all that it accepted.
bool IsDenial(const absl::Status& status) {
  return absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status);
}

// Of those who set no bound, so that an eighth more is still a number.
constexpr int kMostOutstanding = 1 << 30;

// For a request that a stream has left unanswered, however it ended: it may have been done, and another try costs
// budget and waits, as one after a node's "unknown". Otherwise an overload that breaks streams would be answered with
// as many calls at once.
absl::Status LostWith(const absl::Status& end) {
  absl::Status lost = absl::UnavailableError(absl::StrCat("the stream ended without its answer (", end.message(), ")"));
  SetReason(lost, "COMMIT_UNKNOWN");
  return lost;
}

CreateReservation WithId(CreateReservation request) {
  if (request.reservation_id.empty()) request.reservation_id = MakeUuidV7();
  return request;
}

}  // namespace

StreamSession::StreamSession(Connection& connection, const StreamOptions& options)
    : connection_(connection),
      max_outstanding_(std::clamp(options.max_outstanding, 1, kMostOutstanding)),
      most_with_changes_(max_outstanding_ + std::max(1, max_outstanding_ / 8)) {}

void StreamSession::Create(CreateReservation request, Callback callback) {
  TakeRoom(WindowRoom(request), max_outstanding_);
  Start<CreateOnStream>(WithId(std::move(request)), std::move(callback));
}

bool StreamSession::TryCreate(CreateReservation& request, Callback& callback) {
  {
    absl::MutexLock lock(&mutex_);
    if (!WindowOpen()) return false;
    outstanding_ += WindowRoom(request);
    ++undelivered_;
  }
  Start<CreateOnStream>(WithId(std::move(request)), std::move(callback));
  return true;
}

void StreamSession::CreateCart(tranche::CreateCart cart, CartOnStream::Callback callback) {
  // As without a stream.
  if (cart.lines.empty()) return connection_.CreateCart(std::move(cart), std::move(callback));
  for (CartLine& line : cart.lines) {
    if (line.reservation_id.empty()) line.reservation_id = MakeUuidV7();
  }
  TakeRoom(WindowRoom(cart), max_outstanding_);
  Start<CartOnStream>(std::move(cart), std::move(callback));
}

void StreamSession::Confirm(ConfirmReservation change, ConfirmOnStream::Callback callback) {
  TakeRoom(WindowRoom(change), most_with_changes_);
  Start<ConfirmOnStream>(std::move(change), std::move(callback));
}

void StreamSession::Cancel(CancelReservation change, Callback callback) {
  TakeRoom(WindowRoom(change), most_with_changes_);
  Start<CancelOnStream>(std::move(change), std::move(callback));
}

void StreamSession::TakeRoom(int room, int most) {
  auto has_room = [this, most]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return outstanding_ < most; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&has_room));
  outstanding_ += room;
  ++undelivered_;
}

template <typename OnStream, typename Request, typename RequestCallback>
void StreamSession::Start(Request request, RequestCallback callback) {
  const ClientOptions& options = connection_.environment().options;
  const absl::Time now = connection_.environment().scheduler->Now();
  std::unique_ptr<StreamRequest> started =
      std::make_unique<OnStream>(now + std::min(options.attempt_timeout, options.request_timeout),
                                 now + options.request_timeout, std::move(request), std::move(callback));
  if (MaySend(*started, now)) {
    Send(std::move(started), now);
  } else {
    RefuseLater(std::move(started), now);
  }
}

bool StreamSession::MaySend(const StreamRequest& request, absl::Time now) {
  Throttle* const throttle = connection_.environment().claim_throttle.get();
  // What needs a call is in doubt, and is not throttled there either.
  return throttle == nullptr || !request.IsClaim() || request.NeedsCall() || throttle->Admit(now);
}

void StreamSession::RefuseLater(std::unique_ptr<StreamRequest> request, absl::Time now) {
  connection_.environment().scheduler->RunAt(now, [this, request = std::move(request)] {
    OnAnswered(request->room());
    request->Refuse(connection_.environment().claim_throttle->Refusal());
    OnDelivered(1);
  });
}

void StreamSession::Send(std::unique_ptr<StreamRequest> request, absl::Time now) {
  std::shared_ptr<NodeStream> stream;
  for (int tries = 0; tries < kTries && !request->NeedsCall(); ++tries) {
    stream = StreamInsteadOf(stream, now);
    const NodeStream::Sending sending = stream == nullptr ? NodeStream::Sending::kNotHere : stream->Send(request, now);
    if (sending == NodeStream::Sending::kTaken) return;
    if (sending == NodeStream::Sending::kNotHere) break;
  }
  request->ContinueAsCall(connection_, {.admitted = true}, this);
}

std::shared_ptr<NodeStream> StreamSession::StreamInsteadOf(const std::shared_ptr<NodeStream>& failed, absl::Time now) {
  {
    absl::MutexLock lock(&mutex_);
    if (!StreamsAllowed(now)) return nullptr;
    if (stream_ != nullptr && stream_ != failed) return stream_;
  }
  absl::MutexLock open_lock(&open_mutex_);
  CallEnvironment& environment = connection_.environment();
  const int node = environment.nodes.Pick(/*tried=*/0, environment.scheduler->Now());
  bool watch = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!StreamsAllowed(now)) return nullptr;
    if (stream_ != nullptr && stream_ != failed) return stream_;
    ++streams_;
    watch = !std::exchange(watching_, true);
  }
  if (watch) Watch();
  // Without the lock: a stream may end before Start() returns, and then it reports its end to us.
  std::shared_ptr<NodeStream> stream = NodeStream::Start(environment.nodes.stub(node), node, this);
  absl::MutexLock lock(&mutex_);
  stream_ = stream;
  return stream;
}

void StreamSession::OnDone(std::vector<NodeStream::Done> done) {
  NodeStream::Requests not_answered;
  std::erase_if(done, [&](NodeStream::Done& one) {
    if (one.first->IsAnswer(*one.second)) return false;
    not_answered.push_back(std::move(one.first));
    return true;
  });
  ContinueAsCalls(std::move(not_answered), {.in_doubt = true});
  int room = 0;
  int64_t claims = 0;
  for (const NodeStream::Done& one : done) {
    room += one.first->room();
    claims += one.first->IsClaim() ? 1 : 0;
  }
  CountClaims(LoadSign::kAccepted, claims);
  RefillBudget(done.size());
  OnAnswered(room);
  int delivered = 0;
  for (const NodeStream::Done& one : done) {
    if (one.first->IsQueued(*one.second)) {
      one.first->AwaitDecision(connection_.environment(), *one.second, this);
    } else {
      one.first->Deliver(*one.second);
      ++delivered;
    }
  }
  OnDelivered(delivered);
}

void StreamSession::OnRefused(int node, NodeStream::Requests requests, const absl::Status& error) {
  const AttemptVerdict verdict = Judge(error);
  CountClaims(verdict.load, absl::c_count_if(requests, [](const auto& request) { return request->IsClaim(); }));
  if (!verdict.costs_budget) RefillBudget(requests.size());
  if (verdict.next != AttemptVerdict::Next::kDone) {
    // As a retry of a call: otherwise an overload would be answered with as many calls at once.
    return ContinueAsCalls(std::move(requests), {.in_doubt = verdict.outcome_unknown, .node = node, .refusal = error});
  }
  if (verdict.outcome_unknown) return ContinueAsCalls(std::move(requests), {.in_doubt = true});
  int room = 0;
  for (const std::unique_ptr<StreamRequest>& request : requests) room += request->room();
  OnAnswered(room);
  for (const std::unique_ptr<StreamRequest>& request : requests) request->Refuse(error);
  OnDelivered(static_cast<int>(requests.size()));
}

void StreamSession::OnEnded(int node, NodeStream::Requests unanswered, const absl::Status& status) {
  CallEnvironment& environment = connection_.environment();
  const bool denied = IsDenial(status);
  if (denied) {
    // The node is well, and as single calls these requests may be allowed.
    OpenNoStreamsForAWhile(status);
  } else if (!unanswered.empty()) {
    environment.nodes.Avoid(node, environment.scheduler->Now());
  }
  // As with single calls: who waited for an answer until the deadline has met an overload, other losses say nothing.
  const absl::Time now = environment.scheduler->Now();
  CountClaims(LoadSign::kOverload, absl::c_count_if(unanswered, [now](const auto& request) {
                return request->IsClaim() && request->attempt_deadline() <= now;
              }));
  if (denied) {
    ContinueAsCalls(std::move(unanswered), {.admitted = true});
  } else {
    ContinueAsCalls(std::move(unanswered), {.in_doubt = true, .node = node, .refusal = LostWith(status)});
  }
  absl::MutexLock lock(&mutex_);
  --streams_;
}

void StreamSession::OpenNoStreamsForAWhile(const absl::Status& denial) {
  const absl::Time now = connection_.environment().scheduler->Now();
  {
    absl::MutexLock lock(&mutex_);
    no_streams_until_ = now + kDeniedPause;
  }
  gpr_log(__FILE__, __LINE__, GPR_LOG_SEVERITY_ERROR,
          "tranche: a node refuses this caller's stream, so its requests go as single calls for a minute: %s",
          std::string(denial.message()).c_str());
}

void StreamSession::ContinueAsCalls(NodeStream::Requests requests, const CallStart& start) {
  for (const std::unique_ptr<StreamRequest>& request : requests) {
    request->ContinueAsCall(connection_, start, this);
  }
}

void StreamSession::RefillBudget(size_t answered) {
  for (size_t i = 0; i < answered; ++i) connection_.environment().budget.OnAnswered();
}

void StreamSession::CountClaims(LoadSign sign, int64_t claims) {
  Throttle* const throttle = connection_.environment().claim_throttle.get();
  if (throttle == nullptr || claims == 0) return;
  throttle->OnAnswers(sign, claims, connection_.environment().scheduler->Now());
}

void StreamSession::OnAnswered(int room) {
  absl::MutexLock lock(&mutex_);
  outstanding_ -= room;
}

void StreamSession::OnDelivered(int count) {
  absl::MutexLock lock(&mutex_);
  undelivered_ -= count;
}

void StreamSession::Watch() {
  CallEnvironment& environment = connection_.environment();
  // Weak: a session that is gone needs no checks.
  environment.scheduler->RunAt(environment.scheduler->Now() + kWatchInterval, [weak = weak_from_this(), &environment] {
    const std::shared_ptr<StreamSession> self = weak.lock();
    if (self == nullptr || environment.closing) return;
    std::shared_ptr<NodeStream> stream;
    {
      absl::MutexLock lock(&self->mutex_);
      stream = self->stream_;
      if (self->closed_ && self->undelivered_ == 0) return;
    }
    if (stream != nullptr) stream->CancelIfOverdue(environment.scheduler->Now());
    self->Watch();
  });
}

void StreamSession::Close() {
  std::shared_ptr<NodeStream> stream;
  auto answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return undelivered_ == 0; };
  auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return streams_ == 0; };
  {
    // Without open_mutex_: whoever is about to open a stream is counted in undelivered_, and may need that lock.
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    mutex_.Await(absl::Condition(&answered));
    stream = stream_;
  }
  if (stream == nullptr) return;
  stream->FinishSending();
  {
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&ended), kEndGrace)) return;
  }
  stream->Cancel();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&ended));
}

}  // namespace tranche::internal
