// Claim queues in RabbitMQ: quorum queues, written with publisher confirms. What each call means: claim_queue.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/process/broker_options.h"
#include "server/queue/amqp_connection.h"
#include "server/queue/amqp_publisher.h"
#include "server/queue/claim_queue.h"
#include "storage/base/address.h"

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

// Lets one caller in at a time, and none that would have to wait for too long. Thread-safe.
class AdminTurns {
 public:
  // False: it was another's turn until the deadline. Otherwise it is the caller's, until End.
  bool Begin(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);
  void End() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Mutex mutex_;
  bool free_ ABSL_GUARDED_BY(mutex_) = true;
};

// Depths, which is called each second, keeps its connection; the other calls make one each. All of them ask the broker
// first that answered last.
class RabbitClaimQueueAdmin : public ClaimQueueAdmin {
 public:
  explicit RabbitClaimQueueAdmin(BrokerOptions options, ClaimQueueBounds bounds = {});
  // Not while a call is under way.
  ~RabbitClaimQueueAdmin() override;

  absl::Status Declare(absl::Span<const std::string> queues) override;
  absl::StatusOr<std::vector<QueueDepth>> Depths(absl::Span<const std::string> queues) override;
  // How often a letter was delivered is known only of those that died of that; it is 0 of the others. kUnavailable also
  // if somebody else has the letters at the moment.
  absl::StatusOr<std::vector<DeadClaim>> ListDead(const std::string& queue, int limit) override;
  // Looks for `ids` among the first 10,000 dead letters. kUnavailable: as of ListDead.
  absl::StatusOr<int> TakeDead(const std::string& queue, absl::Span<const std::string> ids, Each each) override;

 private:
  absl::StatusOr<std::unique_ptr<AmqpConnection>> Connect(absl::Time deadline);
  absl::Status DeclareOne(AmqpConnection& connection, const std::string& queue, absl::Time deadline) const;
  // The kept connection, if it may be of use still; otherwise a new one.
  absl::StatusOr<std::unique_ptr<AmqpConnection>> TakeConnection(absl::Time deadline);
  absl::StatusOr<std::vector<QueueDepth>> DepthsOnce(absl::Span<const std::string> queues, absl::Time deadline);
  absl::StatusOr<std::vector<DeadClaim>> ListLetters(const std::string& queue, int limit, absl::Time deadline);
  absl::StatusOr<int> TakeLetters(const std::string& queue, absl::Span<const std::string> ids, Each each,
                                  absl::Time deadline);
  // Dead letters that this connection now has; they go back when it is closed.
  static absl::StatusOr<std::vector<AmqpEvent>> Borrow(AmqpConnection& connection, const std::string& queue, int limit,
                                                       absl::Time deadline);

  const BrokerOptions options_;
  const ClaimQueueBounds bounds_;
  const std::vector<Address> brokers_;
  std::atomic<size_t> first_{0};  // of the brokers: the one to ask first
  AdminTurns depths_turns_;
  AdminTurns letters_turns_;
  // Whose turn it is has them.
  std::unique_ptr<AmqpConnection> kept_;
  absl::Time kept_at_ = absl::InfinitePast();  // when it was used last
};

}  // namespace tranche::server
