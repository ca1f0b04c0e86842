// A plain AMQP client for tests and benchmarks: what a shop's own programs do with the broker.
#pragma once

#include <amqp.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace tranche::testing {

// What "amqp://user:password@host:port/vhost" says.
struct AmqpUrl {
  std::string host = {}, user = {}, password = {}, vhost = {};
  int port = 0;

  std::string address() const { return host + ":" + std::to_string(port); }
};
absl::StatusOr<AmqpUrl> ParseAmqpUrl(const std::string& url);

struct AmqpReceived {
  uint64_t tag = 0;
  std::string routing_key = {}, message_id = {}, content_type = {}, body = {};
  bool persistent = false;
  std::map<std::string, std::string> headers = {};  // those with texts
};

// One connection with one channel. For one thread at a time. Errors say what the broker said; after one, the connection
// is of no more use.
class AmqpCaller {
 public:
  // Properties of a queue, such as x-message-ttl.
  using Arguments = std::vector<std::pair<std::string, std::variant<int64_t, std::string>>>;

  static absl::StatusOr<std::unique_ptr<AmqpCaller>> Connect(const std::string& url);
  ~AmqpCaller();
  AmqpCaller(const AmqpCaller&) = delete;
  AmqpCaller& operator=(const AmqpCaller&) = delete;

  // Durable ones.
  absl::Status DeclareTopicExchange(const std::string& exchange);
  absl::Status DeclareQueue(const std::string& queue, const Arguments& arguments = {});
  absl::Status Bind(const std::string& queue, const std::string& exchange, const std::string& binding_key);
  absl::Status DeleteQueue(const std::string& queue);

  // Takes the queue's first message; nullopt: it has none.
  absl::StatusOr<std::optional<AmqpReceived>> Get(const std::string& queue);

  // Persistent messages into the queue. Returns when the broker has confirmed all of them; an error: it has said
  // nothing for so long.
  absl::Status PublishConfirmed(const std::string& queue, absl::Span<const std::string> bodies,
                                absl::Duration patience = absl::Minutes(1));

  absl::Status Consume(const std::string& queue, int prefetch);
  // The next message; nullopt: none came within `patience`.
  absl::StatusOr<std::optional<AmqpReceived>> Next(absl::Duration patience);
  // That one and all before it.
  absl::Status AcknowledgeUpTo(uint64_t tag);

 private:
  explicit AmqpCaller(amqp_connection_state_t connection) : connection_(connection) {}
  absl::Status Open(const AmqpUrl& url);
  // Of the last call that has an answer.
  absl::Status Checked(const char* what);
  absl::Status AwaitConfirms(uint64_t last, absl::Duration patience);

  const amqp_connection_state_t connection_;
  uint64_t published_ = 0;  // with confirms
};

}  // namespace tranche::testing
