#include "server/queue/amqp_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "server/queue/amqp_reply.h"
#include "server/queue/amqp_table.h"
#include "storage/base/status_macros.h"

namespace tranche::server {

AmqpConnection::~AmqpConnection() { amqp_destroy_connection(state_); }

void AmqpConnection::LimitWaits(absl::Duration timeout) {
  const timeval wait = absl::ToTimeval(std::max(timeout, absl::Milliseconds(1)));
  amqp_set_rpc_timeout(state_, &wait);
}

absl::Status AmqpConnection::LastReply(absl::string_view doing) const {
  return AmqpStatus(amqp_get_rpc_reply(state_), broker_, doing);
}

absl::Status AmqpConnection::OpenChannel(uint16_t channel) {
  amqp_channel_open(state_, channel);
  return LastReply("when opening a channel");
}

absl::Status AmqpConnection::CloseChannel(uint16_t channel) {
  return AmqpStatus(amqp_channel_close(state_, channel, AMQP_REPLY_SUCCESS), broker_, "when closing a channel");
}

absl::Status AmqpConnection::ConfirmPublishes(uint16_t channel) {
  amqp_confirm_select(state_, channel);
  return LastReply("when asking for confirms");
}

absl::Status AmqpConnection::DeclareQueue(uint16_t channel, const std::string& queue, const AmqpTable& arguments) {
  AmqpTableView table(arguments);
  amqp_queue_declare(state_, channel, AmqpView(queue), /*passive=*/0, /*durable=*/1, /*exclusive=*/0,
                     /*auto_delete=*/0, table.get());
  return LastReply(absl::StrCat("when declaring the queue ", queue));
}

absl::StatusOr<AmqpConnection::QueueCount> AmqpConnection::CountQueue(uint16_t channel, const std::string& queue) {
  const amqp_queue_declare_ok_t* const answer =
      amqp_queue_declare(state_, channel, AmqpView(queue), /*passive=*/1, /*durable=*/1, /*exclusive=*/0,
                         /*auto_delete=*/0, amqp_empty_table);
  RETURN_IF_ERROR(LastReply(absl::StrCat("when asking for the queue ", queue)));
  return QueueCount{.ready = answer->message_count, .consumers = answer->consumer_count};
}

absl::Status AmqpConnection::Consume(uint16_t channel, const std::string& queue, const std::string& consumer,
                                     uint16_t prefetch) {
  amqp_basic_qos(state_, channel, /*prefetch_size=*/0, prefetch, /*global=*/0);
  RETURN_IF_ERROR(LastReply("when limiting deliveries"));
  amqp_basic_consume(state_, channel, AmqpView(queue), AmqpView(consumer), /*no_local=*/0, /*no_ack=*/0,
                     /*exclusive=*/0, amqp_empty_table);
  return LastReply(absl::StrCat("when consuming the queue ", queue));
}

absl::Status AmqpConnection::CancelConsumer(uint16_t channel, const std::string& consumer) {
  amqp_basic_cancel(state_, channel, AmqpView(consumer));
  return LastReply("when ending a consumer");
}

absl::Status AmqpConnection::Publish(uint16_t channel, const AmqpMessage& message) {
  amqp_basic_properties_t properties = {};
  properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
  properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
  if (!message.message_id.empty()) {
    properties._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
    properties.message_id = AmqpView(message.message_id);
  }
  if (!message.content_type.empty()) {
    properties._flags |= AMQP_BASIC_CONTENT_TYPE_FLAG;
    properties.content_type = AmqpView(message.content_type);
  }
  AmqpTableView headers(message.headers);
  if (!message.headers.empty()) {
    properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    properties.headers = headers.get();
  }
  const int status =
      amqp_basic_publish(state_, channel, AmqpView(message.exchange), AmqpView(message.routing_key),
                         message.mandatory ? 1 : 0, /*immediate=*/0, &properties, AmqpView(message.body));
  return AmqpStatus(status, broker_, "when publishing");
}

absl::Status AmqpConnection::Ack(uint16_t channel, uint64_t tag, bool multiple) {
  return AmqpStatus(amqp_basic_ack(state_, channel, tag, multiple ? 1 : 0), broker_, "when acknowledging");
}

absl::Status AmqpConnection::Reject(uint16_t channel, uint64_t tag, bool requeue) {
  return AmqpStatus(amqp_basic_reject(state_, channel, tag, requeue ? 1 : 0), broker_, "when giving back");
}

bool AmqpConnection::Writable() const {
  pollfd socket = {.fd = descriptor_.number(), .events = POLLOUT, .revents = 0};
  // What is broken is writable, too: the next call says why.
  return poll(&socket, 1, 0) != 0;
}

void AmqpConnection::Close(absl::Duration timeout) {
  LimitWaits(timeout);
  amqp_connection_close(state_, AMQP_REPLY_SUCCESS);
}

void AmqpConnection::Abort() { shutdown(descriptor_.number(), SHUT_RDWR); }

}  // namespace tranche::server
