// The broker that keeps claims until they are decided, as nodes, consumers and operators use it. RabbitMQ implements it
// (server/queue/rabbit_claim_queue.h), and a fake for tests (server/queue/fake/fake_claim_queue.h); one contract suite
// runs on both.
//
// Queues are named "tranche.claims.<shard>.<partition>": ClaimQueueName. Each has a neighbour ".dead" for dead letters.
// They are durable, replicated, first in first out, and bounded; declaring one that is there changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace tranche::server {

// A body may have at most this many bytes. A cart of 32 lines has less.
inline constexpr size_t kMaxQueuedBytes = 16 * 1024;
// What the broker itself keeps per queue, at most: then it rejects, and Publish answers kResourceExhausted.
inline constexpr int64_t kMaxQueueLength = 1'000'000;
inline constexpr int64_t kMaxQueueBytes = int64_t{1} << 30;
// A message that was delivered so often, and not settled, is a dead letter. Each connection that a broker or a consumer
// loses counts, so some bad minutes must not use it up.
inline constexpr int kDeliveryLimit = 20;

std::string ClaimQueueName(const std::string& shard, int partition);
// Which of a shard's queues a SKU's claims are in: a fixed hash, the same in every version and process.
int PartitionOf(const std::string& sku_id, int partitions);

// Puts claims into queues. Thread-safe.
class ClaimPublisher {
 public:
  // OK: a majority of the queue's members has it on disk. kUnavailable: it is not in the queue (no connection, an
  // alarm, refused, or not sent before the deadline). kResourceExhausted: nor is it; the queue, or what may be under
  // way here, is full. IsUnknownCommit (storage/ledger/ledger_error.h): it was sent, and no confirm came; it may be
  // there. Called exactly once, inline or on a thread of the publisher; must not block.
  using PublishDone = absl::AnyInvocable<void(absl::Status)>;

  virtual ~ClaimPublisher() = default;

  // Does not block. Answers at the deadline plus 200 ms at the latest. `id` is shown to people who look at the broker
  // and at dead letters: the reservation's id. Messages of one queue that are published one after the other's
  // confirmation are in that order.
  virtual void Publish(const std::string& queue, std::string id, std::string body, absl::Time deadline,
                       PublishDone done) = 0;
  // Does the broker take messages now, as far as is known? False: connecting, or an alarm blocks publishers.
  virtual bool Up() const = 0;
};

// One message that was handed to a consumer and is not settled yet.
struct ClaimDelivery {
  std::string queue;
  uint64_t tag = 0;  // names it within its source, from when it is handed over until it is settled or lost
  std::string body;
  std::string id;
  int deliveries = 0;  // how often it was delivered before, as far as the broker says
};

enum class Settlement {
  kDone,     // gone from the queue
  kRequeue,  // to the front of the queue, for anybody; counts as a delivery
  kDead,     // to the dead letters
};

// Takes claims out of queues. Thread-safe.
class ClaimSource {
 public:
  class Receiver {
   public:
    virtual ~Receiver() = default;
    // On the source's thread; must not block. Deliveries of one queue come in its order.
    virtual void OnDelivery(ClaimDelivery delivery) = 0;
    // The connection was lost: whatever of the queue is not settled will be delivered again, perhaps to others, and
    // settling it has no effect any more.
    virtual void OnLost(const std::string& queue) = 0;
  };

  virtual ~ClaimSource() = default;

  // Begins to take from these queues, at most `prefetch` unsettled messages of each at a time, until Stop. Connects,
  // and connects again, by itself. Once.
  virtual void Start(std::vector<std::string> queues, int prefetch, Receiver* receiver) = 0;
  // Takes nothing more; what was delivered can still be settled. What is on its way is delivered yet. Does not block.
  // Pause and Resume may be repeated.
  virtual void Pause() = 0;
  virtual void Resume() = 0;
  // Each delivery exactly once; a delivery that was lost is ignored. Does not block.
  virtual void Settle(const std::string& queue, uint64_t tag, Settlement settlement) = 0;
  // Ends: what is not settled goes back to its queue. Blocks for two seconds at most. No call to the receiver
  // afterwards.
  virtual void Stop() = 0;
  // Is it connected to all its queues?
  virtual bool Up() const = 0;
};

struct QueueDepth {
  std::string queue;
  int64_t ready = 0;      // not handed to a consumer
  int64_t consumers = 0;  // connected to it
  int64_t dead = 0;       // its dead letters
};

struct DeadClaim {
  std::string queue;  // that it came from
  std::string id;
  std::string body;
  std::string reason;  // as the broker says: "rejected", "delivery_limit", "maxlen"
  absl::Time died_at;
  int deliveries = 0;
};

// What operators do with queues. Blocking; each call ends within five seconds. Thread-safe. Errors: kUnavailable.
class ClaimQueueAdmin {
 public:
  virtual ~ClaimQueueAdmin() = default;

  // Makes those that are missing, with their bounds and dead-letter queues. kFailedPrecondition: one is there with
  // other properties; the message says what to do.
  virtual absl::Status Declare(absl::Span<const std::string> queues) = 0;
  // In the order of the queues. kNotFound: one does not exist.
  virtual absl::StatusOr<std::vector<QueueDepth>> Depths(absl::Span<const std::string> queues) = 0;
  // The first `limit` dead letters of the queue, at most 1,000; they stay where they are.
  virtual absl::StatusOr<std::vector<DeadClaim>> ListDead(const std::string& queue, int limit) = 0;
  // Takes the dead letters with these ids (all that it has if `ids` is empty, at most 1,000) out of the queue's dead
  // letters, after `each` has returned OK for them: what `each` refuses stays. Returns how many it took.
  using Each = absl::AnyInvocable<absl::Status(const DeadClaim&)>;
  virtual absl::StatusOr<int> TakeDead(const std::string& queue, absl::Span<const std::string> ids, Each each) = 0;
};

}  // namespace tranche::server
