// Publishes each message to a topic exchange of a broker that speaks AMQP 0.9.1, such as RabbitMQ.
//
//   routing key    <kind>.<SKU>, such as reservation.confirmed.tv; a "." of the SKU is written %2E, because dots divide
//                  the words of a routing key
//   message id     <reservation id>/<revision>: the same for every delivery of the message
//   content type   application/json
//   headers        Tranche-Kind, Tranche-Revision and, as it came with the call that made the change, traceparent and
//                  X-Request-Id
//   body           the JSON that a webhook gets
//
// There is no signature: who may publish to the exchange is the broker's to say. What an answer means:
//
//   confirmed                    delivered: every queue that it was routed to has it
//   returned, as no queue takes  this message is refused for now, and tried again until it is given up
//   it
//   anything else, or none       the sink as a whole does not work; the message may have arrived
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/worker/message_publisher.h"
#include "server/worker/sink.h"

namespace tranche::server {

struct AmqpSinkOptions {
  std::string name = {};
  std::string exchange = {};                   // as logs and errors name it
  absl::Duration timeout = absl::Seconds(10);  // of one message, until it is confirmed
  int at_once = 64;                            // messages of one Deliver that wait for their confirms, at most
};

class AmqpSink : public Sink {
 public:
  AmqpSink(AmqpSinkOptions options, std::unique_ptr<MessagePublisher> publisher);

  const std::string& name() const override { return options_.name; }
  std::vector<Delivery> Deliver(absl::Span<const storage::OutboxMessage> batch,
                                absl::FunctionRef<bool()> may_begin) override;

 private:
  const AmqpSinkOptions options_;
  const std::unique_ptr<MessagePublisher> publisher_;
};

// Of messages of this kind about this SKU.
std::string RoutingKey(const std::string& kind, const std::string& sku_id);

}  // namespace tranche::server
