// Puts messages into an exchange of a broker and learns what becomes of them: what AmqpSink needs of a broker.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

namespace tranche::server {

struct PublishedMessage {
  std::string routing_key = {};
  std::string message_id = {};
  std::string content_type = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
};

// Thread-safe.
class MessagePublisher {
 public:
  // OK: each queue that the message was routed to has it, as its durability promises. kNotFound: no queue takes it, and
  // nobody has it. Any other: the broker could not be asked, or has not confirmed it; it may have arrived.
  using Done = absl::AnyInvocable<void(absl::Status)>;

  virtual ~MessagePublisher() = default;

  // Does not block. `done` is called exactly once, inline or on another thread, shortly after the deadline at the
  // latest; it must not block.
  virtual void Publish(PublishedMessage message, absl::Time deadline, Done done) = 0;
};

}  // namespace tranche::server
