// What the broker sends by itself, put together from its frames.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/queue/amqp_connection.h"
#include "server/queue/amqp_reply.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

const amqp_field_value_t* FindField(const amqp_table_t& table, absl::string_view name) {
  for (int i = 0; i < table.num_entries; ++i) {
    const amqp_table_entry_t& entry = table.entries[i];
    if (absl::string_view(static_cast<const char*>(entry.key.bytes), entry.key.len) == name) return &entry.value;
  }
  return nullptr;
}

int64_t IntegerField(const amqp_table_t& table, absl::string_view name) {
  const amqp_field_value_t* const field = FindField(table, name);
  if (field == nullptr) return 0;
  switch (field->kind) {
    case AMQP_FIELD_KIND_I8:
      return field->value.i8;
    case AMQP_FIELD_KIND_I16:
      return field->value.i16;
    case AMQP_FIELD_KIND_I32:
      return field->value.i32;
    case AMQP_FIELD_KIND_I64:
      return field->value.i64;
    default:
      return 0;
  }
}

// Of a dead letter: "x-death" lists its deaths, the last one first.
void ReadDeath(const amqp_table_t& headers, AmqpEvent& event) {
  const amqp_field_value_t* const deaths = FindField(headers, "x-death");
  if (deaths == nullptr || deaths->kind != AMQP_FIELD_KIND_ARRAY || deaths->value.array.num_entries < 1) return;
  const amqp_field_value_t& last = deaths->value.array.entries[0];
  if (last.kind != AMQP_FIELD_KIND_TABLE) return;
  if (const auto* const reason = FindField(last.value.table, "reason");
      reason != nullptr && reason->kind == AMQP_FIELD_KIND_UTF8) {
    event.death_reason = AmqpText(reason->value.bytes);
  }
  if (const auto* const time = FindField(last.value.table, "time");
      time != nullptr && time->kind == AMQP_FIELD_KIND_TIMESTAMP) {
    event.died_at = absl::FromUnixSeconds(static_cast<int64_t>(time->value.u64));
  }
}

AmqpEvent ConfirmOf(AmqpEvent::Kind kind, uint16_t channel, uint64_t tag, amqp_boolean_t multiple) {
  return {.kind = kind, .channel = channel, .tag = tag, .multiple = multiple != 0};
}

}  // namespace

absl::StatusOr<std::optional<AmqpEvent>> AmqpConnection::Next() {
  while (true) {
    // All that was read has been copied.
    amqp_maybe_release_buffers(state_);
    amqp_frame_t frame;
    const timeval now = {.tv_sec = 0, .tv_usec = 0};
    const int status = amqp_simple_wait_frame_noblock(state_, &frame, &now);
    if (status == AMQP_STATUS_TIMEOUT) return std::nullopt;
    RETURN_IF_ERROR(AmqpStatus(status, broker_, "when reading"));
    ASSIGN_OR_RETURN(std::optional<AmqpEvent> event, TakeFrame(frame));
    if (event.has_value()) return event;
  }
}

absl::StatusOr<std::optional<AmqpEvent>> AmqpConnection::TakeFrame(const amqp_frame_t& frame) {
  switch (frame.frame_type) {
    case AMQP_FRAME_METHOD:
      return TakeMethod(frame.channel, frame.payload.method);
    case AMQP_FRAME_HEADER:
      return TakeHeader(frame);
    case AMQP_FRAME_BODY:
      return TakeBody(frame);
    default:
      return std::nullopt;
  }
}

absl::StatusOr<std::optional<AmqpEvent>> AmqpConnection::TakeMethod(uint16_t channel, const amqp_method_t& method) {
  switch (method.id) {
    case AMQP_BASIC_DELIVER_METHOD: {
      const auto* const deliver = static_cast<const amqp_basic_deliver_t*>(method.decoded);
      AmqpEvent event = {.kind = AmqpEvent::Kind::kDelivery, .channel = channel, .tag = deliver->delivery_tag};
      event.message.exchange = AmqpText(deliver->exchange);
      event.message.routing_key = AmqpText(deliver->routing_key);
      partial_[channel] = {.event = std::move(event)};
      return std::nullopt;
    }
    case AMQP_BASIC_RETURN_METHOD: {
      const auto* const returned = static_cast<const amqp_basic_return_t*>(method.decoded);
      AmqpEvent event = {.kind = AmqpEvent::Kind::kReturned, .channel = channel};
      event.message.exchange = AmqpText(returned->exchange);
      event.message.routing_key = AmqpText(returned->routing_key);
      partial_[channel] = {.event = std::move(event), .keep_body = false};
      return std::nullopt;
    }
    case AMQP_BASIC_ACK_METHOD: {
      const auto* const ack = static_cast<const amqp_basic_ack_t*>(method.decoded);
      return ConfirmOf(AmqpEvent::Kind::kConfirmed, channel, ack->delivery_tag, ack->multiple);
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto* const nack = static_cast<const amqp_basic_nack_t*>(method.decoded);
      return ConfirmOf(AmqpEvent::Kind::kRejected, channel, nack->delivery_tag, nack->multiple);
    }
    case AMQP_CONNECTION_BLOCKED_METHOD:
      return AmqpEvent{.kind = AmqpEvent::Kind::kBlocked};
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
      return AmqpEvent{.kind = AmqpEvent::Kind::kUnblocked};
    case AMQP_BASIC_CANCEL_METHOD:
      return absl::UnavailableError(
          absl::StrCat("the broker ", broker_, " has ended a consumer: its queue was deleted, or has lost its leader"));
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CONNECTION_CLOSE_METHOD:
      return AmqpClosed(method, broker_, "when reading");
    default:
      return std::nullopt;
  }
}

std::optional<AmqpEvent> AmqpConnection::TakeHeader(const amqp_frame_t& frame) {
  const auto found = partial_.find(frame.channel);
  if (found == partial_.end()) return std::nullopt;
  Partial& partial = found->second;
  partial.has_header = true;
  partial.missing = frame.payload.properties.body_size;
  if (partial.missing > kMostAmqpBodyBytes) partial.keep_body = false;
  const auto* const properties = static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded);
  if ((properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0) {
    partial.event.message.message_id = AmqpText(properties->message_id);
  }
  if ((properties->_flags & AMQP_BASIC_CONTENT_TYPE_FLAG) != 0) {
    partial.event.message.content_type = AmqpText(properties->content_type);
  }
  if ((properties->_flags & AMQP_BASIC_HEADERS_FLAG) != 0) {
    partial.event.deliveries =
        static_cast<int>(std::clamp<int64_t>(IntegerField(properties->headers, "x-delivery-count"), 0, 1'000'000));
    ReadDeath(properties->headers, partial.event);
  }
  return Completed(frame.channel);
}

std::optional<AmqpEvent> AmqpConnection::TakeBody(const amqp_frame_t& frame) {
  const auto found = partial_.find(frame.channel);
  if (found == partial_.end()) return std::nullopt;
  Partial& partial = found->second;
  const amqp_bytes_t& part = frame.payload.body_fragment;
  if (partial.keep_body) partial.event.message.body.append(static_cast<const char*>(part.bytes), part.len);
  partial.missing -= std::min<uint64_t>(partial.missing, part.len);
  return Completed(frame.channel);
}

std::optional<AmqpEvent> AmqpConnection::Completed(uint16_t channel) {
  const auto found = partial_.find(channel);
  if (!found->second.has_header || found->second.missing > 0) return std::nullopt;
  AmqpEvent event = std::move(found->second.event);
  partial_.erase(found);
  return event;
}

}  // namespace tranche::server
