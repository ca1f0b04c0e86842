#include "server/queue/amqp_reply.h"

#include "absl/strings/str_cat.h"

namespace tranche::server {
namespace {

std::string AmqpAt(absl::string_view broker, absl::string_view doing) {
  return absl::StrCat("the broker ", broker, ", ", doing, ": ");
}

absl::Status AmqpRefused(int code, const amqp_bytes_t& text, absl::string_view broker, absl::string_view doing) {
  const std::string message = absl::StrCat(AmqpAt(broker, doing), code, " ", AmqpText(text));
  switch (code) {
    case AMQP_NOT_FOUND:
      return absl::NotFoundError(message);
    case AMQP_PRECONDITION_FAILED:
      return absl::FailedPreconditionError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace

absl::Status AmqpClosed(const amqp_method_t& method, absl::string_view broker, absl::string_view doing) {
  if (method.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto* const close = static_cast<const amqp_channel_close_t*>(method.decoded);
    return AmqpRefused(close->reply_code, close->reply_text, broker, doing);
  }
  if (method.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto* const close = static_cast<const amqp_connection_close_t*>(method.decoded);
    return AmqpRefused(close->reply_code, close->reply_text, broker, doing);
  }
  return absl::UnavailableError(absl::StrCat(AmqpAt(broker, doing), "an answer that was not asked for"));
}

absl::Status AmqpStatus(const amqp_rpc_reply_t& reply, absl::string_view broker, absl::string_view doing) {
  switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
      return absl::OkStatus();
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
      return AmqpStatus(reply.library_error, broker, doing);
    case AMQP_RESPONSE_SERVER_EXCEPTION:
      return AmqpClosed(reply.reply, broker, doing);
    case AMQP_RESPONSE_NONE:
      break;
  }
  return absl::UnavailableError(absl::StrCat(AmqpAt(broker, doing), "it ended the connection"));
}

absl::Status AmqpStatus(int status, absl::string_view broker, absl::string_view doing) {
  if (status >= AMQP_STATUS_OK) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(AmqpAt(broker, doing), amqp_error_string2(status)));
}

}  // namespace tranche::server
