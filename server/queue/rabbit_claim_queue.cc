#include "server/queue/rabbit_claim_queue.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

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

AmqpTable ArgumentsOf(const std::string& queue, const ClaimQueueBounds& bounds) {
  return {
      {"x-queue-type", "quorum"},
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

RabbitClaimQueueAdmin::RabbitClaimQueueAdmin(BrokerOptions options, ClaimQueueBounds bounds)
    : options_(std::move(options)), bounds_(bounds) {}

absl::StatusOr<std::unique_ptr<AmqpConnection>> RabbitClaimQueueAdmin::Connect(absl::Time deadline) const {
  absl::Status last = absl::UnavailableError("no broker is configured");
  for (const Address& broker : BrokersOf(options_)) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    auto connection = AmqpConnection::Open(options_, broker, std::min(left, kAmqpPatience));
    if (connection.ok()) last = (*connection)->OpenChannel(kAdminChannel);
    if (connection.ok() && last.ok()) return connection;
    if (!connection.ok()) last = connection.status();
  }
  return absl::UnavailableError(last.message());
}

absl::Status RabbitClaimQueueAdmin::Declare(absl::Span<const std::string> queues) {
  const absl::Time deadline = absl::Now() + kAdminCall;
  ASSIGN_OR_RETURN(const std::unique_ptr<AmqpConnection> connection, Connect(deadline));
  for (const std::string& queue : queues) {
    connection->LimitWaits(deadline - absl::Now());
    RETURN_IF_ERROR(DeclareOne(*connection, queue));
  }
  connection->Close(absl::Milliseconds(300));
  return absl::OkStatus();
}

absl::Status RabbitClaimQueueAdmin::DeclareOne(AmqpConnection& connection, const std::string& queue) const {
  // The dead letters' queue first: a letter that finds none would wait.
  absl::Status declared = connection.DeclareQueue(kAdminChannel, DeadLetterQueueName(queue), DeadArguments());
  if (declared.ok()) declared = connection.DeclareQueue(kAdminChannel, queue, ArgumentsOf(queue, bounds_));
  if (!absl::IsFailedPrecondition(declared)) return declared;
  return absl::FailedPreconditionError(absl::StrCat(
      declared.message(), ". A queue of another kind is there: when it is empty, delete it (rabbitmqctl delete_queue ",
      queue, ", and likewise the one for dead letters), and declare it again"));
}

absl::StatusOr<std::vector<QueueDepth>> RabbitClaimQueueAdmin::Depths(absl::Span<const std::string> queues) {
  const absl::Time deadline = absl::Now() + kAdminCall;
  ASSIGN_OR_RETURN(const std::unique_ptr<AmqpConnection> connection, Connect(deadline));
  std::vector<QueueDepth> depths;
  for (const std::string& queue : queues) {
    connection->LimitWaits(deadline - absl::Now());
    ASSIGN_OR_RETURN(const AmqpConnection::QueueCount count, connection->CountQueue(kAdminChannel, queue));
    ASSIGN_OR_RETURN(const AmqpConnection::QueueCount dead,
                     connection->CountQueue(kAdminChannel, DeadLetterQueueName(queue)));
    depths.push_back({.queue = queue, .ready = count.ready, .consumers = count.consumers, .dead = dead.ready});
  }
  connection->Close(absl::Milliseconds(300));
  return depths;
}

}  // namespace tranche::server
