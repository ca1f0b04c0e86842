#include "tests/support/amqp_caller.h"

#include <amqp_tcp_socket.h>
#include <sys/time.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"

namespace tranche::testing {
namespace {

constexpr amqp_channel_t kChannel = 1;
constexpr int kFrameBytes = 131072;
constexpr int kNoHeartbeat = 0;
constexpr timeval kConnectPatience{.tv_sec = 5, .tv_usec = 0};

amqp_bytes_t BytesOf(const std::string& text) { return {.len = text.size(), .bytes = const_cast<char*>(text.data())}; }

std::string TextOf(const amqp_bytes_t& bytes) { return {static_cast<const char*>(bytes.bytes), bytes.len}; }

absl::Status ToStatus(const amqp_rpc_reply_t& reply, const char* what) {
  switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
      return absl::OkStatus();
    case AMQP_RESPONSE_SERVER_EXCEPTION:
      if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const auto* closed = static_cast<const amqp_channel_close_t*>(reply.reply.decoded);
        return absl::InternalError(absl::StrCat(what, ": ", TextOf(closed->reply_text)));
      }
      if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const auto* closed = static_cast<const amqp_connection_close_t*>(reply.reply.decoded);
        return absl::UnavailableError(absl::StrCat(what, ": ", TextOf(closed->reply_text)));
      }
      return absl::InternalError(absl::StrCat(what, ": the broker refuses"));
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
      return absl::UnavailableError(absl::StrCat(what, ": ", amqp_error_string2(reply.library_error)));
    default:
      return absl::UnavailableError(absl::StrCat(what, ": no answer"));
  }
}

absl::Status ToStatus(int status, const char* what) {
  if (status == AMQP_STATUS_OK) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(what, ": ", amqp_error_string2(status)));
}

AmqpReceived ToReceived(uint64_t tag, const amqp_bytes_t& routing_key, const amqp_message_t& message) {
  AmqpReceived received;
  received.tag = tag;
  received.routing_key = TextOf(routing_key);
  received.body = TextOf(message.body);
  const amqp_basic_properties_t& properties = message.properties;
  const auto has = [&](amqp_flags_t flag) { return (properties._flags & flag) != 0; };
  if (has(AMQP_BASIC_MESSAGE_ID_FLAG)) received.message_id = TextOf(properties.message_id);
  if (has(AMQP_BASIC_CONTENT_TYPE_FLAG)) received.content_type = TextOf(properties.content_type);
  received.persistent = has(AMQP_BASIC_DELIVERY_MODE_FLAG) && properties.delivery_mode == AMQP_DELIVERY_PERSISTENT;
  if (!has(AMQP_BASIC_HEADERS_FLAG)) return received;
  for (int i = 0; i < properties.headers.num_entries; ++i) {
    const amqp_table_entry_t& entry = properties.headers.entries[i];
    if (entry.value.kind != AMQP_FIELD_KIND_UTF8) continue;
    received.headers[TextOf(entry.key)] = TextOf(entry.value.value.bytes);
  }
  return received;
}

}  // namespace

absl::StatusOr<AmqpUrl> ParseAmqpUrl(const std::string& url) {
  std::string text = url;  // is taken apart in place
  amqp_connection_info parsed{};
  if (amqp_parse_url(text.data(), &parsed) != AMQP_STATUS_OK || parsed.ssl != 0) {
    return absl::InvalidArgumentError("not an amqp:// URL");
  }
  return AmqpUrl{.host = parsed.host,
                 .user = parsed.user,
                 .password = parsed.password,
                 .vhost = parsed.vhost,
                 .port = parsed.port};
}

absl::StatusOr<std::unique_ptr<AmqpCaller>> AmqpCaller::Connect(const std::string& url) {
  ASSIGN_OR_RETURN(const AmqpUrl parsed, ParseAmqpUrl(url));
  std::unique_ptr<AmqpCaller> caller(new AmqpCaller(amqp_new_connection()));
  RETURN_IF_ERROR(caller->Open(parsed));
  return caller;
}

AmqpCaller::~AmqpCaller() { amqp_destroy_connection(connection_); }

absl::Status AmqpCaller::Open(const AmqpUrl& url) {
  amqp_socket_t* socket = amqp_tcp_socket_new(connection_);
  if (socket == nullptr) return absl::InternalError("no socket");
  RETURN_IF_ERROR(ToStatus(amqp_socket_open_noblock(socket, url.host.c_str(), url.port, &kConnectPatience), "connect"));
  RETURN_IF_ERROR(ToStatus(amqp_login(connection_, url.vhost.c_str(), 0, kFrameBytes, kNoHeartbeat,
                                      AMQP_SASL_METHOD_PLAIN, url.user.c_str(), url.password.c_str()),
                           "login"));
  amqp_channel_open(connection_, kChannel);
  return Checked("channel.open");
}

absl::Status AmqpCaller::Checked(const char* what) {
  const absl::Status status = ToStatus(amqp_get_rpc_reply(connection_), what);
  amqp_maybe_release_buffers(connection_);
  return status;
}

absl::Status AmqpCaller::DeclareTopicExchange(const std::string& exchange) {
  amqp_exchange_declare(connection_, kChannel, BytesOf(exchange), amqp_cstring_bytes("topic"), /*passive=*/0,
                        /*durable=*/1, /*auto_delete=*/0, /*internal=*/0, amqp_empty_table);
  return Checked("exchange.declare");
}

absl::Status AmqpCaller::DeclareQueue(const std::string& queue, const Arguments& arguments) {
  std::vector<amqp_table_entry_t> entries(arguments.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    const auto& [key, value] = arguments[i];
    entries[i].key = BytesOf(key);
    if (std::holds_alternative<int64_t>(value)) {
      entries[i].value.kind = AMQP_FIELD_KIND_I64;
      entries[i].value.value.i64 = std::get<int64_t>(value);
    } else {
      entries[i].value.kind = AMQP_FIELD_KIND_UTF8;
      entries[i].value.value.bytes = BytesOf(std::get<std::string>(value));
    }
  }
  const amqp_table_t table{.num_entries = static_cast<int>(entries.size()), .entries = entries.data()};
  amqp_queue_declare(connection_, kChannel, BytesOf(queue), /*passive=*/0, /*durable=*/1, /*exclusive=*/0,
                     /*auto_delete=*/0, table);
  return Checked("queue.declare");
}

absl::Status AmqpCaller::Bind(const std::string& queue, const std::string& exchange, const std::string& binding_key) {
  amqp_queue_bind(connection_, kChannel, BytesOf(queue), BytesOf(exchange), BytesOf(binding_key), amqp_empty_table);
  return Checked("queue.bind");
}

absl::Status AmqpCaller::DeleteQueue(const std::string& queue) {
  amqp_queue_delete(connection_, kChannel, BytesOf(queue), /*if_unused=*/0, /*if_empty=*/0);
  return Checked("queue.delete");
}

absl::StatusOr<std::optional<AmqpReceived>> AmqpCaller::Get(const std::string& queue) {
  const amqp_rpc_reply_t reply = amqp_basic_get(connection_, kChannel, BytesOf(queue), /*no_ack=*/1);
  RETURN_IF_ERROR(ToStatus(reply, "basic.get"));
  std::optional<AmqpReceived> received;
  if (reply.reply.id == AMQP_BASIC_GET_OK_METHOD) {
    const auto* got = static_cast<const amqp_basic_get_ok_t*>(reply.reply.decoded);
    amqp_message_t message;
    RETURN_IF_ERROR(ToStatus(amqp_read_message(connection_, kChannel, &message, 0), "the message"));
    received = ToReceived(got->delivery_tag, got->routing_key, message);
    amqp_destroy_message(&message);
  }
  amqp_maybe_release_buffers(connection_);
  return received;
}

absl::Status AmqpCaller::PublishConfirmed(const std::string& queue, absl::Span<const std::string> bodies,
                                          absl::Duration patience) {
  if (published_ == 0) {
    amqp_confirm_select(connection_, kChannel);
    RETURN_IF_ERROR(Checked("confirm.select"));
  }
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
  properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
  const uint64_t last = published_ + bodies.size();
  for (const std::string& body : bodies) {
    RETURN_IF_ERROR(ToStatus(amqp_basic_publish(connection_, kChannel, amqp_empty_bytes, BytesOf(queue),
                                                /*mandatory=*/0, /*immediate=*/0, &properties, BytesOf(body)),
                             "basic.publish"));
  }
  return AwaitConfirms(last, patience);
}

absl::Status AmqpCaller::AwaitConfirms(uint64_t last, absl::Duration patience) {
  const timeval timeout = absl::ToTimeval(patience);
  std::set<uint64_t> open;
  while (published_ < last) open.insert(open.end(), ++published_);
  while (!open.empty()) {
    amqp_frame_t frame;
    RETURN_IF_ERROR(ToStatus(amqp_simple_wait_frame_noblock(connection_, &frame, &timeout), "confirms"));
    if (frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
      const auto* ack = static_cast<const amqp_basic_ack_t*>(frame.payload.method.decoded);
      const auto end = open.upper_bound(ack->delivery_tag);
      if (ack->multiple != 0) {
        open.erase(open.begin(), end);
      } else {
        open.erase(ack->delivery_tag);
      }
    } else if (frame.frame_type == AMQP_FRAME_METHOD) {
      return absl::InternalError(absl::StrCat("confirms: the broker says ", amqp_method_name(frame.payload.method.id)));
    }
    amqp_maybe_release_buffers(connection_);
  }
  return absl::OkStatus();
}

absl::Status AmqpCaller::Consume(const std::string& queue, int prefetch) {
  amqp_basic_qos(connection_, kChannel, /*prefetch_size=*/0, static_cast<uint16_t>(prefetch), /*global=*/0);
  RETURN_IF_ERROR(Checked("basic.qos"));
  amqp_basic_consume(connection_, kChannel, BytesOf(queue), amqp_empty_bytes, /*no_local=*/0, /*no_ack=*/0,
                     /*exclusive=*/0, amqp_empty_table);
  return ToStatus(amqp_get_rpc_reply(connection_), "basic.consume");
}

absl::StatusOr<std::optional<AmqpReceived>> AmqpCaller::Next(absl::Duration patience) {
  amqp_maybe_release_buffers(connection_);
  timeval timeout = absl::ToTimeval(patience);
  amqp_envelope_t envelope;
  const amqp_rpc_reply_t reply = amqp_consume_message(connection_, &envelope, &timeout, 0);
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION && reply.library_error == AMQP_STATUS_TIMEOUT) {
    return std::nullopt;
  }
  RETURN_IF_ERROR(ToStatus(reply, "the next message"));
  std::optional<AmqpReceived> received = ToReceived(envelope.delivery_tag, envelope.routing_key, envelope.message);
  amqp_destroy_envelope(&envelope);
  return received;
}

absl::Status AmqpCaller::AcknowledgeUpTo(uint64_t tag) {
  return ToStatus(amqp_basic_ack(connection_, kChannel, tag, /*multiple=*/1), "basic.ack");
}

}  // namespace tranche::testing
