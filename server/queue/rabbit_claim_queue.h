// Claim queues in RabbitMQ: quorum queues, written with publisher confirms. What each call means: claim_queue.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/process/broker_options.h"
#include "server/queue/amqp_connection.h"
#include "server/queue/amqp_publisher.h"
#include "server/queue/claim_queue.h"

namespace tranche::server {

// Where a queue's dead letters are.
std::string DeadLetterQueueName(const std::string& queue);

// Two connections, and two threads for each. All messages of a queue take the same one, which keeps their order.
class RabbitClaimPublisher : public ClaimPublisher {
 public:
  explicit RabbitClaimPublisher(const BrokerOptions& options, AmqpPublisherLimits limits = {});
  // Answers what is under way. Blocks for two seconds at most. No call to Publish meanwhile.
  ~RabbitClaimPublisher() override;

  // Besides the errors of the interface, kInvalidArgument: the body has more than kMaxQueuedBytes.
  void Publish(const std::string& queue, std::string id, std::string body, absl::Time deadline,
               PublishDone done) override;
  bool Up() const override;

 private:
  std::vector<std::unique_ptr<AmqpPublisher>> publishers_;
};

// One connection with a channel for each queue, and one thread.
std::unique_ptr<ClaimSource> MakeRabbitClaimSource(const BrokerOptions& options);

struct ClaimQueueBounds {
  int64_t messages = kMaxQueueLength;
  int64_t bytes = kMaxQueueBytes;
};

// A connection for each call.
class RabbitClaimQueueAdmin : public ClaimQueueAdmin {
 public:
  explicit RabbitClaimQueueAdmin(BrokerOptions options, ClaimQueueBounds bounds = {});

  absl::Status Declare(absl::Span<const std::string> queues) override;
  absl::StatusOr<std::vector<QueueDepth>> Depths(absl::Span<const std::string> queues) override;
  // How often a letter was delivered is known only of those that died of that; it is 0 of the others.
  absl::StatusOr<std::vector<DeadClaim>> ListDead(const std::string& queue, int limit) override;
  // Looks for `ids` among the first 10,000 dead letters.
  absl::StatusOr<int> TakeDead(const std::string& queue, absl::Span<const std::string> ids, Each each) override;

 private:
  absl::StatusOr<std::unique_ptr<AmqpConnection>> Connect(absl::Time deadline) const;
  absl::Status DeclareOne(AmqpConnection& connection, const std::string& queue) const;
  // Dead letters that this connection now has; they go back when it is closed.
  static absl::StatusOr<std::vector<AmqpEvent>> Borrow(AmqpConnection& connection, const std::string& queue, int limit,
                                                       absl::Time deadline);

  const BrokerOptions options_;
  const ClaimQueueBounds bounds_;
};

}  // namespace tranche::server
