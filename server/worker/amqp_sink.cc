#include "server/worker/amqp_sink.h"

#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"

namespace tranche::server {
namespace {

// After its deadline, an answer may take so much longer.
constexpr absl::Duration kAnswerGrace = absl::Milliseconds(500);

PublishedMessage ToPublished(const storage::OutboxMessage& message) {
  PublishedMessage published;
  published.routing_key = RoutingKey(message.kind, message.sku_id);
  published.message_id = MessageId(message.key);
  published.content_type = "application/json";
  published.headers = {{"Tranche-Kind", message.kind}, {"Tranche-Revision", absl::StrCat(message.key.revision)}};
  published.body = message.payload;
  if (message.trace == nullptr) return published;
  const LogTrace& trace = *message.trace;
  if (!trace.traceparent.empty()) published.headers.emplace_back("traceparent", trace.traceparent);
  if (!trace.request_id.empty()) published.headers.emplace_back("X-Request-Id", trace.request_id);
  return published;
}

// The answers to the messages of one Deliver. An answer that comes after Deliver has ended still finds it, and changes
// nothing. Thread-safe.
class PendingAnswers {
 public:
  PendingAnswers(size_t messages, int at_once) : answers_(messages), at_once_(at_once) {}

  void Begin() {
    absl::MutexLock lock(&mutex_);
    ++under_way_;
  }
  void End(size_t index, absl::Status answer) {
    absl::MutexLock lock(&mutex_);
    --under_way_;
    const bool answers = answer.ok() || absl::IsNotFound(answer);
    ++(answers ? taken_or_returned_ : failed_);
    answers_[index] = std::move(answer);
  }

  // Waits until one more may be under way. False: none may until then, or the rest would fail, too, since something has
  // failed and nothing was taken.
  bool AwaitRoom(absl::Time until) {
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithDeadline(absl::Condition(this, &PendingAnswers::HasRoom), until) &&
           (failed_ == 0 || taken_or_returned_ > 0);
  }
  // Those that have come by then.
  std::vector<std::optional<absl::Status>> AwaitAll(absl::Time until) {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithDeadline(absl::Condition(this, &PendingAnswers::HasNone), until);
    return answers_;
  }

 private:
  bool HasRoom() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return under_way_ < at_once_; }
  bool HasNone() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return under_way_ == 0; }

  absl::Mutex mutex_;
  std::vector<std::optional<absl::Status>> answers_ ABSL_GUARDED_BY(mutex_);
  int under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  int failed_ ABSL_GUARDED_BY(mutex_) = 0;
  int taken_or_returned_ ABSL_GUARDED_BY(mutex_) = 0;
  const int at_once_;
};

// For a message that was begun.
Delivery AmqpDelivery(const std::optional<absl::Status>& answer, const storage::OutboxMessage& message,
                      const std::string& exchange) {
  if (!answer.has_value()) return {DeliveryOutcome::kSinkFailed, "the broker has not confirmed it in time"};
  if (answer->ok()) return {DeliveryOutcome::kDelivered, ""};
  if (absl::IsNotFound(*answer)) {
    return {DeliveryOutcome::kRefused,
            Printable(absl::StrCat("no queue takes the routing key ", RoutingKey(message.kind, message.sku_id),
                                   " of exchange ", exchange, ": bind a queue to it (\"#\" takes all)"),
                      kMaxSinkErrorBytes)};
  }
  return {DeliveryOutcome::kSinkFailed, Printable(answer->message(), kMaxSinkErrorBytes)};
}

}  // namespace

std::string RoutingKey(const std::string& kind, const std::string& sku_id) {
  return absl::StrCat(kind, ".", absl::StrReplaceAll(sku_id, {{".", "%2E"}}));
}

AmqpSink::AmqpSink(AmqpSinkOptions options, std::unique_ptr<MessagePublisher> publisher)
    : options_(std::move(options)), publisher_(std::move(publisher)) {}

std::vector<Delivery> AmqpSink::Deliver(absl::Span<const storage::OutboxMessage> batch,
                                        absl::FunctionRef<bool()> may_begin) {
  const auto pending = std::make_shared<PendingAnswers>(batch.size(), options_.at_once);
  absl::Time answered_by = absl::Now();
  size_t begun = 0;
  for (; begun < batch.size(); ++begun) {
    if (!pending->AwaitRoom(answered_by + kAnswerGrace) || !may_begin()) break;
    const absl::Time deadline = absl::Now() + options_.timeout;
    answered_by = deadline;
    pending->Begin();
    publisher_->Publish(ToPublished(batch[begun]), deadline,
                        [pending, index = begun](absl::Status answer) { pending->End(index, std::move(answer)); });
  }
  const std::vector<std::optional<absl::Status>> answers = pending->AwaitAll(answered_by + kAnswerGrace);
  std::vector<Delivery> deliveries(batch.size());
  for (size_t i = 0; i < begun; ++i) deliveries[i] = AmqpDelivery(answers[i], batch[i], options_.exchange);
  return deliveries;
}

}  // namespace tranche::server
