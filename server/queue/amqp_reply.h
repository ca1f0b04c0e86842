// What librabbitmq says, as an absl::Status.
#pragma once

#include <amqp.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tranche::server {

// kNotFound: there is no such queue or exchange. kFailedPrecondition: there is one with other properties. Otherwise
// kUnavailable. The message names the broker, what was done and the reason.
absl::Status AmqpStatus(const amqp_rpc_reply_t& reply, absl::string_view broker, absl::string_view doing);

// Of an amqp_status_enum, such as publishing returns: OK or kUnavailable.
absl::Status AmqpStatus(int status, absl::string_view broker, absl::string_view doing);

// The broker has closed a channel or the connection: `method` is connection.close or channel.close.
absl::Status AmqpClosed(const amqp_method_t& method, absl::string_view broker, absl::string_view doing);

// A copy of what librabbitmq shows, and a view of ours for it.
inline std::string AmqpText(const amqp_bytes_t& bytes) {
  return bytes.len == 0 ? std::string() : std::string(static_cast<const char*>(bytes.bytes), bytes.len);
}
inline amqp_bytes_t AmqpView(const std::string& text) {
  // librabbitmq's type is not const, but what it sends it only reads.
  return {.len = text.size(), .bytes = const_cast<char*>(text.data())};
}

}  // namespace tranche::server
