#include "server/worker/amqp_message_publisher.h"

#include <utility>

namespace tranche::server {

AmqpMessagePublisher::AmqpMessagePublisher(const BrokerOptions& broker, std::string exchange)
    : exchange_(std::move(exchange)), publisher_(broker) {}

void AmqpMessagePublisher::Publish(PublishedMessage message, absl::Time deadline, Done done) {
  AmqpMessage sent;
  sent.exchange = exchange_;
  sent.routing_key = std::move(message.routing_key);
  sent.message_id = std::move(message.message_id);
  sent.content_type = std::move(message.content_type);
  sent.headers = std::move(message.headers);
  sent.body = std::move(message.body);
  // Otherwise the broker confirms what no queue has.
  sent.mandatory = true;
  // A message that was returned is told as kNotFound, as MessagePublisher promises it.
  publisher_.Publish(std::move(sent), deadline, std::move(done));
}

}  // namespace tranche::server
