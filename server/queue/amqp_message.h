// What travels through an AMQP broker, in our types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"

namespace tranche::server {

// Names and values: headers of a message, arguments of a queue.
using AmqpTable = std::vector<std::pair<std::string, std::variant<std::string, int64_t>>>;

// A message to be published. It is always persistent.
struct AmqpMessage {
  std::string exchange = {};     // "": the default one, which puts it into the queue that the routing key names
  std::string routing_key = {};  // at most 255 bytes, as all names of AMQP
  std::string message_id = {};   // at most 255 bytes
  std::string content_type = {};
  AmqpTable headers = {};
  std::string body = {};
  bool mandatory = true;  // an error if no queue takes it; otherwise it is confirmed and gone

  size_t bytes() const { return exchange.size() + routing_key.size() + message_id.size() + body.size(); }
};

// What the broker sends by itself.
struct AmqpEvent {
  enum class Kind {
    kDelivery,   // `message`, `tag`: to be acknowledged or rejected
    kReturned,   // `message`, without its body: no queue took it; its confirm follows
    kConfirmed,  // `tag`, `multiple`: of publishes
    kRejected,   // likewise: the broker did not take them
    kBlocked,    // an alarm: it reads nothing more of this connection
    kUnblocked,
  };

  Kind kind = Kind::kDelivery;
  uint16_t channel = 0;
  uint64_t tag = 0;       // counted by channel, from 1
  bool multiple = false;  // also all unsettled ones before
  AmqpMessage message = {};
  int deliveries = 0;             // how often it came back to its queue before
  std::string death_reason = {};  // of a dead letter: why it died last, and when
  absl::Time died_at = absl::InfinitePast();
};

}  // namespace tranche::server
