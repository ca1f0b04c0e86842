#include "server/worker/amqp_message_publisher.h"

#include <utility>

#include "absl/time/clock.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kFirstConnection = absl::Seconds(1);
constexpr absl::Duration kLookEvery = absl::Milliseconds(10);

}  // namespace

AmqpMessagePublisher::AmqpMessagePublisher(const BrokerOptions& broker, std::string name, std::string exchange)
    : exchange_(std::move(exchange)), publisher_(broker, std::move(name)) {
  const absl::Time until = absl::Now() + kFirstConnection;
  while (!publisher_.Up() && absl::Now() < until) absl::SleepFor(kLookEvery);
}

void AmqpMessagePublisher::Publish(PublishedMessage message, absl::Time deadline, Done done) {
  AmqpMessage sent;
  sent.exchange = exchange_;
  sent.routing_key = std::move(message.routing_key);
  sent.message_id = std::move(message.message_id);
  sent.content_type = std::move(message.content_type);
  for (auto& [name, text] : message.headers) sent.headers.emplace_back(name, std::move(text));
  sent.body = std::move(message.body);
  // Otherwise the broker confirms what no queue has.
  sent.mandatory = true;
  // A message that was returned is told as kNotFound, as MessagePublisher promises it.
  publisher_.Publish(std::move(sent), deadline, std::move(done));
}

}  // namespace tranche::server
