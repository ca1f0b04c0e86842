#include "tests/benchmark/peers/redis_connection.h"

#include <sys/time.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/address.h"
#include "storage/base/status_macros.h"

namespace tranche::peers {
namespace {

constexpr timeval kRedisPatience = {.tv_sec = 5, .tv_usec = 0};

}  // namespace

std::string RedisText(const redisReply& reply) {
  return reply.str == nullptr ? std::string() : std::string(reply.str, reply.len);
}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisConnection::Open(const std::string& address) {
  const std::optional<Address> parsed = ParseAddress(address);
  if (!parsed.has_value()) return absl::InvalidArgumentError(absl::StrCat(address, " is not HOST:PORT"));
  redisContext* const context = redisConnectWithTimeout(parsed->host.c_str(), parsed->port, kRedisPatience);
  if (context == nullptr) return absl::UnavailableError("no memory for a connection to Redis");
  std::unique_ptr<RedisConnection> connection(new RedisConnection(context));
  if (context->err != 0) return absl::UnavailableError(absl::StrCat("Redis at ", address, ": ", context->errstr));
  if (redisSetTimeout(context, kRedisPatience) != REDIS_OK) {
    return absl::UnavailableError("a connection to Redis takes no time limit");
  }
  return connection;
}

absl::StatusOr<RedisReply> RedisConnection::Command(const std::vector<std::string>& words) {
  RETURN_IF_ERROR(Append(words));
  return NextReply();
}

absl::Status RedisConnection::Append(const std::vector<std::string>& words) {
  std::vector<const char*> texts;
  std::vector<size_t> sizes;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  const int appended = redisAppendCommandArgv(context_, static_cast<int>(words.size()), texts.data(), sizes.data());
  if (appended != REDIS_OK) return absl::UnavailableError(absl::StrCat("Redis: ", context_->errstr));
  return absl::OkStatus();
}

absl::StatusOr<RedisReply> RedisConnection::NextReply() {
  void* raw = nullptr;
  if (redisGetReply(context_, &raw) != REDIS_OK) {
    return absl::UnavailableError(absl::StrCat("Redis: ", context_->errstr));
  }
  RedisReply reply(static_cast<redisReply*>(raw));
  if (reply->type == REDIS_REPLY_ERROR) return absl::UnavailableError(absl::StrCat("Redis: ", RedisText(*reply)));
  return reply;
}

}  // namespace tranche::peers
