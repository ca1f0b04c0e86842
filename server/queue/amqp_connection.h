// One connection to an AMQP broker.
#pragma once

#include <amqp.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/process/broker_options.h"
#include "server/process/file_descriptor.h"
#include "server/queue/amqp_message.h"
#include "storage/base/address.h"

namespace tranche::server {

// Broker and client tell each other so often that they are there. The client does in Next, which fails when it has
// heard nothing for twice as long.
inline constexpr absl::Duration kAmqpHeartbeat = absl::Seconds(5);
// What is received and has a larger body comes with an empty one: it is none of ours.
inline constexpr size_t kMostAmqpBodyBytes = 1024 * 1024;

// Belongs to one thread; only Abort may be called from another. After an error the connection is of no use: destroy it.
// (After kNotFound and kFailedPrecondition only its channel is.) Errors are kUnavailable if nothing else is said, and
// never show a password.
class AmqpConnection {
 public:
  // Connects and logs in, with TLS if the options say so: then the broker's certificate must be trusted and name the
  // host. Takes `timeout` at most, besides the look-up of the host's name. Later calls that wait for an answer wait for
  // `timeout`, too; LimitWaits changes that.
  static absl::StatusOr<std::unique_ptr<AmqpConnection>> Open(const BrokerOptions& options, const Address& broker,
                                                              absl::Duration timeout);
  // Ends it at once, whatever the broker does.
  ~AmqpConnection();
  AmqpConnection(const AmqpConnection&) = delete;
  AmqpConnection& operator=(const AmqpConnection&) = delete;

  void LimitWaits(absl::Duration timeout);

  // Each waits for the broker's answer. Events that come meanwhile are kept for Next.
  absl::Status OpenChannel(uint16_t channel);
  // Afterwards the broker has seen all that was sent on the channel.
  absl::Status CloseChannel(uint16_t channel);
  // From now on the channel's publishes have the tags 1, 2, ... and are confirmed.
  absl::Status ConfirmPublishes(uint16_t channel);
  // Durable. kFailedPrecondition: there is one with other arguments.
  absl::Status DeclareQueue(uint16_t channel, const std::string& queue, const AmqpTable& arguments);
  struct QueueCount {
    int64_t ready = 0;
    int64_t consumers = 0;
  };
  // kNotFound: no such queue.
  absl::StatusOr<QueueCount> CountQueue(uint16_t channel, const std::string& queue);
  // Deliveries begin: at most `prefetch` unsettled ones of this consumer, whose name is unique in the channel.
  absl::Status Consume(uint16_t channel, const std::string& queue, const std::string& consumer, uint16_t prefetch);
  absl::Status CancelConsumer(uint16_t channel, const std::string& consumer);

  // Each only sends, and waits only if the socket takes nothing more: see Writable.
  absl::Status Publish(uint16_t channel, const AmqpMessage& message);
  absl::Status Ack(uint16_t channel, uint64_t tag, bool multiple);
  absl::Status Reject(uint16_t channel, uint64_t tag, bool requeue);

  // The next event that is there, without waiting; sends heartbeats that are due. To be called at least once a second,
  // and until it returns nullopt before one waits for the descriptor. An error: the connection or a channel is closed.
  absl::StatusOr<std::optional<AmqpEvent>> Next();

  // Whether a message of up to 64 KiB can be sent without waiting for a broker that does not read.
  bool Writable() const;
  // To wait for. Not to be read or written.
  int descriptor() const { return descriptor_.number(); }
  const std::string& broker() const { return broker_; }

  // Says good-bye, so that the broker logs no loss. Waits for `timeout` at most.
  void Close(absl::Duration timeout);
  // Thread-safe: whatever this connection is doing ends soon with an error. The connection must not be destroyed
  // meanwhile.
  void Abort();

 private:
  // A message of which parts have come.
  struct Partial {
    AmqpEvent event = {};
    bool has_header = false;
    uint64_t missing = 0;  // of the body
    bool keep_body = true;
  };

  AmqpConnection(amqp_connection_state_t state, std::string broker) : state_(state), broker_(std::move(broker)) {}

  absl::Status Connect(const BrokerOptions& options, const Address& broker, absl::Duration timeout);
  absl::StatusOr<amqp_socket_t*> MakeSocket(const BrokerOptions& options, const std::string& host);
  absl::Status LogIn(const BrokerOptions& options);
  absl::Status LastReply(absl::string_view doing) const;
  absl::StatusOr<std::optional<AmqpEvent>> TakeFrame(const amqp_frame_t& frame);
  absl::StatusOr<std::optional<AmqpEvent>> TakeMethod(uint16_t channel, const amqp_method_t& method);
  std::optional<AmqpEvent> TakeHeader(const amqp_frame_t& frame);
  std::optional<AmqpEvent> TakeBody(const amqp_frame_t& frame);
  std::optional<AmqpEvent> Completed(uint16_t channel);

  const amqp_connection_state_t state_;
  const std::string broker_;
  FileDescriptor descriptor_;  // of its own for the same socket: librabbitmq may close its one at any time
  std::map<uint16_t, Partial> partial_;
};

}  // namespace tranche::server
