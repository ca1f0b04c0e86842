// A connection to Redis.
#pragma once

#include <hiredis/hiredis.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tranche::peers {

struct FreeRedisReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
// Never null, never an error.
using RedisReply = std::unique_ptr<redisReply, FreeRedisReply>;

// "" of a reply that is no text.
std::string RedisText(const redisReply& reply);

// For one thread at a time. Errors are kUnavailable; then the connection is of no more use. A write to a connection
// that Redis has closed raises SIGPIPE: the program must ignore that.
class RedisConnection {
 public:
  // `address`: HOST:PORT. Waits for five seconds at most, as does each command.
  static absl::StatusOr<std::unique_ptr<RedisConnection>> Open(const std::string& address);
  ~RedisConnection() { redisFree(context_); }
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  absl::StatusOr<RedisReply> Command(const std::vector<std::string>& words);
  // A command of a pipeline. It may stay in memory until NextReply. Take each reply before the next Command.
  absl::Status Append(const std::vector<std::string>& words);
  // To the first of the appended commands whose reply was not taken yet.
  absl::StatusOr<RedisReply> NextReply();

 private:
  explicit RedisConnection(redisContext* context) : context_(context) {}
  redisContext* const context_;
};

}  // namespace tranche::peers
