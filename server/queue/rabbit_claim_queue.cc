#include "server/queue/rabbit_claim_queue.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/queue/amqp_session.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr int kPublishConnections = 2;
constexpr uint16_t kAdminChannel = 1;
// Of the five seconds that a call has, half a second is left for good-bye.
constexpr absl::Duration kAdminCall = absl::Milliseconds(4500);
constexpr absl::Duration kAdminGoodBye = absl::Milliseconds(300);
// A connection that was not used for longer is not used again: nobody has sent heartbeats on it.
constexpr absl::Duration kKeptFor = absl::Seconds(10);

AmqpTable ArgumentsOf(const std::string& queue, const ClaimQueueBounds& bounds) {
  return {
      {"x-queue-type", "quorum"},
      // Otherwise all leaders are on the server that the first process was connected to.
      {"x-queue-leader-locator", "balanced"},
      // The broker counts returns, and a message is dead when it has more than this: so it was delivered once more.
      {"x-delivery-limit", int64_t{kDeliveryLimit - 1}},
      {"x-max-length", bounds.messages},
      {"x-max-length-bytes", bounds.bytes},
      // Also what dead-lettering at least once needs.
      {"x-overflow", "reject-publish"},
      {"x-dead-letter-exchange", ""},
      {"x-dead-letter-routing-key", DeadLetterQueueName(queue)},
      {"x-dead-letter-strategy", "at-least-once"},
  };
}

// If it is full, the dead letters wait in their queue.
AmqpTable DeadArguments() {
  return {
      {"x-queue-type", "quorum"},
      {"x-queue-leader-locator", "balanced"},
      {"x-max-length", int64_t{kMaxQueueLength}},
      {"x-max-length-bytes", int64_t{kMaxQueueBytes}},
      {"x-overflow", "reject-publish"},
      // Each look at it is a delivery, and some versions of the broker have a limit of their own.
      {"x-delivery-limit", int64_t{1'000'000}},
  };
}

}  // namespace

std::string DeadLetterQueueName(const std::string& queue) { return absl::StrCat(queue, ".dead"); }

RabbitClaimPublisher::RabbitClaimPublisher(const BrokerOptions& options, AmqpPublisherLimits limits) {
  for (int i = 0; i < kPublishConnections; ++i) {
    publishers_.push_back(std::make_unique<AmqpPublisher>(options, "claim publisher", limits));
  }
}

RabbitClaimPublisher::~RabbitClaimPublisher() {
  // Side by side: each may wait for its broker.
  std::vector<std::thread> ends;
  for (auto& publisher : publishers_) ends.emplace_back([&publisher] { publisher.reset(); });
  for (std::thread& end : ends) end.join();
}

void RabbitClaimPublisher::Publish(const std::string& queue, std::string id, std::string body, absl::Time deadline,
                                   PublishDone done) {
  if (body.size() > kMaxQueuedBytes) {
    done(absl::InvalidArgumentError(absl::StrCat("a queued claim has ", body.size(), " bytes")));
    return;
  }
  publishers_[static_cast<size_t>(PartitionOf(queue, kPublishConnections))]->Publish(
      {.routing_key = queue,
       .message_id = std::move(id),
       .content_type = "application/x-protobuf",
       .body = std::move(body)},
      deadline, [done = std::move(done)](absl::Status status) mutable {
        // A queue that is missing is made by consumers and nodes: for the caller it is away.
        done(absl::IsNotFound(status) ? absl::UnavailableError(status.message()) : std::move(status));
      });
}

bool RabbitClaimPublisher::Up() const {
  return std::all_of(publishers_.begin(), publishers_.end(), [](const auto& publisher) { return publisher->Up(); });
}

bool AdminTurns::Begin(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithDeadline(absl::Condition(&free_), deadline)) return false;
  free_ = false;
  return true;
}

void AdminTurns::End() {
  absl::MutexLock lock(&mutex_);
  free_ = true;
}

RabbitClaimQueueAdmin::RabbitClaimQueueAdmin(BrokerOptions options, ClaimQueueBounds bounds)
    : options_(std::move(options)), bounds_(bounds), brokers_(BrokersOf(options_)) {}

RabbitClaimQueueAdmin::~RabbitClaimQueueAdmin() {
  if (kept_ != nullptr) kept_->Close(kAdminGoodBye);
}

absl::StatusOr<std::unique_ptr<AmqpConnection>> RabbitClaimQueueAdmin::Connect(absl::Time deadline) {
  absl::Status last = absl::UnavailableError("no broker is configured");
  const size_t first = first_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < brokers_.size(); ++i) {
    const size_t number = (first + i) % brokers_.size();
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    auto connection = AmqpConnection::Open(options_, brokers_[number], std::min(left, kAmqpPatience));
    last = connection.status();
    if (!connection.ok()) continue;
    (*connection)->LimitWaits(std::min(deadline - absl::Now(), kAmqpPatience));
    last = (*connection)->OpenChannel(kAdminChannel);
    if (!last.ok()) continue;
    first_.store(number, std::memory_order_relaxed);
    return connection;
  }
  return absl::UnavailableError(last.message());
}

absl::Status RabbitClaimQueueAdmin::Declare(absl::Span<const std::string> queues) {
  const absl::Time deadline = absl::Now() + kAdminCall;
  ASSIGN_OR_RETURN(const std::unique_ptr<AmqpConnection> connection, Connect(deadline));
  for (const std::string& queue : queues) RETURN_IF_ERROR(DeclareOne(*connection, queue, deadline));
  connection->Close(kAdminGoodBye);
  return absl::OkStatus();
}

absl::Status RabbitClaimQueueAdmin::DeclareOne(AmqpConnection& connection, const std::string& queue,
                                               absl::Time deadline) const {
  // The dead letters' queue first: a letter that finds none would wait.
  connection.LimitWaits(deadline - absl::Now());
  absl::Status declared = connection.DeclareQueue(kAdminChannel, DeadLetterQueueName(queue), DeadArguments());
  if (declared.ok()) {
    connection.LimitWaits(deadline - absl::Now());
    declared = connection.DeclareQueue(kAdminChannel, queue, ArgumentsOf(queue, bounds_));
  }
  if (!absl::IsFailedPrecondition(declared)) return declared;
  return absl::FailedPreconditionError(absl::StrCat(
      declared.message(), ". A queue of another kind is there: when it is empty, delete it (rabbitmqctl delete_queue ",
      queue, ", and likewise the one for dead letters), and declare it again"));
}

absl::StatusOr<std::vector<QueueDepth>> RabbitClaimQueueAdmin::Depths(absl::Span<const std::string> queues) {
  const absl::Time deadline = absl::Now() + kAdminCall;
  if (!depths_turns_.Begin(deadline)) return absl::UnavailableError("the broker is being asked by others already");
  const absl::Cleanup end = [this] { depths_turns_.End(); };
  const bool had_one = kept_ != nullptr;
  absl::StatusOr<std::vector<QueueDepth>> depths = DepthsOnce(queues, deadline);
  // The kept one may have been lost since, or its broker has become silent: a new one says what is true.
  if (had_one && absl::IsUnavailable(depths.status())) depths = DepthsOnce(queues, deadline);
  return depths;
}

absl::StatusOr<std::unique_ptr<AmqpConnection>> RabbitClaimQueueAdmin::TakeConnection(absl::Time deadline) {
  if (kept_ != nullptr && absl::Now() - kept_at_ < kKeptFor) return std::move(kept_);
  kept_.reset();
  return Connect(deadline);
}

absl::StatusOr<std::vector<QueueDepth>> RabbitClaimQueueAdmin::DepthsOnce(absl::Span<const std::string> queues,
                                                                          absl::Time deadline) {
  ASSIGN_OR_RETURN(std::unique_ptr<AmqpConnection> connection, TakeConnection(deadline));
  const auto count = [&](const std::string& name) {
    connection->LimitWaits(std::min(deadline - absl::Now(), kAmqpPatience));
    absl::StatusOr<AmqpConnection::QueueCount> counted = connection->CountQueue(kAdminChannel, name);
    if (counted.ok()) return counted;
    if (absl::IsNotFound(counted.status())) {
      connection->Close(kAdminGoodBye);
    } else {
      // The next one is asked first, for this one may accept connections and answer nothing else.
      first_.fetch_add(1, std::memory_order_relaxed);
    }
    return counted;
  };
  std::vector<QueueDepth> depths;
  for (const std::string& queue : queues) {
    ASSIGN_OR_RETURN(const AmqpConnection::QueueCount claims, count(queue));
    ASSIGN_OR_RETURN(const AmqpConnection::QueueCount dead, count(DeadLetterQueueName(queue)));
    depths.push_back({.queue = queue, .ready = claims.ready, .consumers = claims.consumers, .dead = dead.ready});
  }
  kept_ = std::move(connection);
  kept_at_ = absl::Now();
  return depths;
}

}  // namespace tranche::server
