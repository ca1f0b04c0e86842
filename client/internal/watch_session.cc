#include "client/internal/watch_session.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "client/internal/attempt_verdict.h"
#include "client/internal/convert.h"
#include "client/internal/status_translation.h"
#include "client/internal/tls_advice.h"
#include "tranche/error.h"

namespace tranche::internal {

void ReservationTopic::Open(Stub& stub, Stub::Context& context, const Request& request, WatchReactor* reactor) {
  stub.WatchReservation(context, request, reactor);
}

Reservation ReservationTopic::Read(const Response& message) {
  return FromProto(message.reservation(), /*replayed=*/false);
}

void GroupTopic::Open(Stub& stub, Stub::Context& context, const Request& request, GroupWatchReactor* reactor) {
  stub.WatchGroup(context, request, reactor);
}

Group GroupTopic::Read(const Response& message) { return FromProto(message.group()); }

// One stream to one node. Deletes itself when gRPC is done with it.
template <typename Topic>
class WatchStream final : public grpc::ClientReadReactor<typename Topic::Response> {
 public:
  explicit WatchStream(std::shared_ptr<WatchSession<Topic>> session) : session_(std::move(session)) {}

  void Start(Stub& stub) {
    Topic::Open(stub, context_, session_->request_, this);
    this->StartRead(&message_);
    this->StartCall();
  }
  // Only while OnDone has not begun.
  void Cancel() { context_->TryCancel(); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    session_->OnMessage(message_);
    this->StartRead(&message_);
  }
  void OnDone(const grpc::Status& status) override {
    const std::unique_ptr<WatchStream> self(this);
    session_->OnStreamEnded(WithTlsAdvice(ToAbslStatus(status)), [this] {
      // The context holds its channel. The channel's last owner must not be a thread of gRPC: the client may be
      // destroyed once the session has no stream.
      context_.reset();
    });
  }

  const std::shared_ptr<WatchSession<Topic>> session_;
  Stub::Context context_;
  typename Topic::Response message_;
};

template <typename Topic>
WatchSession<Topic>::WatchSession(CallEnvironment& environment, typename Topic::Request request,
                                  const WatchOptions& options)
    : environment_(environment), request_(std::move(request)), options_(options) {}

template <typename Topic>
void WatchSession<Topic>::Start() {
  Open();
}

template <typename Topic>
absl::StatusOr<std::optional<typename Topic::State>> WatchSession<Topic>::Next(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  const auto something = [this]()
                             ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return news_.has_value() || end_.has_value(); };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&something), timeout)) {
    return absl::DeadlineExceededError("nothing new came in time");
  }
  if (news_.has_value()) {
    given_ = std::pair(news_->revision, news_->state);
    return std::exchange(news_, std::nullopt);
  }
  if (end_->ok()) return std::optional<State>();
  return *end_;
}

template <typename Topic>
void WatchSession<Topic>::Cancel() {
  absl::MutexLock lock(&mutex_);
  if (!end_.has_value()) end_ = absl::CancelledError("the watch was cancelled");
  if (stream_ != nullptr) stream_->Cancel();
}

template <typename Topic>
void WatchSession<Topic>::Close() {
  Cancel();
  absl::MutexLock lock(&mutex_);
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stream_ == nullptr; };
  mutex_.Await(absl::Condition(&idle));
}

template <typename Topic>
void WatchSession<Topic>::Open() {
  absl::MutexLock lock(&mutex_);
  if (end_.has_value()) return;
  if (environment_.closing.load(std::memory_order_relaxed)) {
    end_ = absl::CancelledError("the client is closing");
    return;
  }
  const absl::Time now = environment_.scheduler->Now();
  node_ = environment_.nodes.Pick(tried_, now);
  if (node_ < 0) {
    tried_ = 0;
    node_ = environment_.nodes.Pick(tried_, now);
  }
  tried_ |= NodeSet::Tried{1} << node_;
  stream_ = new WatchStream<Topic>(this->shared_from_this());
  stream_->Start(environment_.nodes.stub(node_));
}

template <typename Topic>
void WatchSession<Topic>::OnMessage(const typename Topic::Response& message) {
  absl::MutexLock lock(&mutex_);
  environment_.nodes.MarkHealthy(node_);
  failing_since_ = absl::InfiniteFuture();
  tried_ = 0;
  backoffs_ = 0;
  news_ = Topic::Read(message);
  // Nodes repeat themselves, and another node first sends a state that is known already. A lower revision is news: the
  // ledger was restored to an older state, and goes on from there.
  if (given_ == std::pair(news_->revision, news_->state)) news_.reset();
}

template <typename Topic>
void WatchSession<Topic>::OnStreamEnded(const absl::Status& status, absl::FunctionRef<void()> release) {
  std::optional<absl::Duration> delay;
  {
    absl::MutexLock lock(&mutex_);
    delay = Decide(status);
    release();
    stream_ = nullptr;
    // Under the lock: once it is released and there is no stream, the environment may be destroyed.
    if (delay.has_value() && *delay > absl::ZeroDuration()) {
      environment_.scheduler->RunAt(environment_.scheduler->Now() + *delay, [weak = this->weak_from_this()] {
        if (const auto self = weak.lock()) self->Open();
      });
    }
  }
  if (delay.has_value() && *delay == absl::ZeroDuration()) Open();
}

template <typename Topic>
std::optional<absl::Duration> WatchSession<Topic>::Decide(const absl::Status& status) {
  if (end_.has_value()) return std::nullopt;
  const bool full = ReasonOf(status) == Reason::kTooManyWatches;
  if (status.ok() || (IsRefusal(status) && !full)) {
    end_ = status;
    return std::nullopt;
  }
  const absl::Time now = environment_.scheduler->Now();
  const AttemptVerdict verdict = Judge(status);
  if (verdict.avoid_node) environment_.nodes.Avoid(node_, now);
  failing_since_ = std::min(failing_since_, now);
  if (now - failing_since_ > options_.give_up_after) {
    end_ = status;
    return std::nullopt;
  }
  return NextDelay(verdict.next == AttemptVerdict::Next::kAnotherNow || full, now);
}

template <typename Topic>
absl::Duration WatchSession<Topic>::NextDelay(bool at_once, absl::Time now) {
  if (at_once && environment_.nodes.HasHealthy(tried_, now)) return absl::ZeroDuration();
  const RetryPolicy& policy = environment_.options.retry;
  const absl::Duration full = std::min(policy.max_backoff, policy.initial_backoff * (1 << std::min(backoffs_++, 20)));
  thread_local absl::BitGen random;
  return full * absl::Uniform(random, 0.5, 1.0);
}

template class WatchSession<ReservationTopic>;
template class WatchSession<GroupTopic>;

}  // namespace tranche::internal
