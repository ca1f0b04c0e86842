// A MessagePublisher over AMQP 0.9.1: persistent messages to one exchange, confirmed by the broker. It alone knows
// server/queue/amqp_publisher.h.
#pragma once

#include <string>

#include "server/process/broker_options.h"
#include "server/queue/amqp_publisher.h"
#include "server/worker/message_publisher.h"

namespace tranche::server {

class AmqpMessagePublisher : public MessagePublisher {
 public:
  // Connects, and connects again, by itself. The exchange must be there: it is its owner's to declare. Waits a moment
  // for the first connection, so that the first messages do not fail for want of it. `name` is for the log.
  AmqpMessagePublisher(const BrokerOptions& broker, std::string name, std::string exchange);

  void Publish(PublishedMessage message, absl::Time deadline, Done done) override;

 private:
  const std::string exchange_;
  AmqpPublisher publisher_;
};

}  // namespace tranche::server
