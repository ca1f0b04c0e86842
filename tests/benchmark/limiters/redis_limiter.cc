#include "tests/benchmark/limiters/redis_limiter.h"

#include <algorithm>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/base/status_macros.h"
#include "tests/benchmark/peers/embedded_text.h"

namespace tranche::limiters {
namespace {

using peers::RedisConnection;
using peers::RedisReply;

// Until Redis is believed to evict nothing. It holds some millions of such keys in 1 GiB.
constexpr int64_t kMostFilledKeys = 20'000'000;
constexpr int64_t kFilledBetweenLooks = 1'000;

absl::Status UnknownRedisForm() { return absl::InternalError("Redis answers in an unknown form"); }

// A number of INFO, such as ("memory", "used_memory").
absl::StatusOr<int64_t> RedisInfo(RedisConnection& connection, const std::string& section, absl::string_view name) {
  ASSIGN_OR_RETURN(const RedisReply reply, connection.Command({"INFO", section}));
  const std::string text = peers::RedisText(*reply);
  const std::string begin = absl::StrCat("\n", name, ":");
  const size_t at = text.find(begin);
  if (at == std::string::npos) return UnknownRedisForm();
  const size_t from = at + begin.size();
  int64_t number = 0;
  if (!absl::SimpleAtoi(text.substr(from, text.find('\r', from) - from), &number)) return UnknownRedisForm();
  return number;
}

class RedisCaller : public LimiterCaller {
 public:
  RedisCaller(std::unique_ptr<RedisConnection> connection, const std::string& script_sha, const LimitTerms& terms)
      : connection_(std::move(connection)), words_{"EVALSHA",
                                                   script_sha,
                                                   "1",
                                                   "",
                                                   absl::StrCat(terms.burst),
                                                   absl::StrCat(absl::ToInt64Microseconds(terms.interval))} {}

  absl::StatusOr<int64_t> Try(absl::Span<const int64_t> keys) override {
    for (const int64_t key : keys) {
      words_[3] = KeyName(key);
      RETURN_IF_ERROR(connection_->Append(words_));
    }
    int64_t taken = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSIGN_OR_RETURN(const RedisReply reply, connection_->NextReply());
      const bool known =
          reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->type == REDIS_REPLY_INTEGER;
      if (!known) return UnknownRedisForm();
      taken += reply->element[0]->integer;
    }
    return taken;
  }

 private:
  const std::unique_ptr<RedisConnection> connection_;
  std::vector<std::string> words_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Limiter>> RedisLimiter::Open(const std::string& address) {
  ASSIGN_OR_RETURN(std::unique_ptr<RedisConnection> connection, RedisConnection::Open(address));
  std::unique_ptr<RedisLimiter> limiter(new RedisLimiter(address, std::move(connection)));
  ASSIGN_OR_RETURN(limiter->before_, limiter->MemoryNow());
  return std::unique_ptr<Limiter>(std::move(limiter));
}

absl::StatusOr<std::unique_ptr<LimiterCaller>> RedisLimiter::Connect(int node, const LimitTerms& terms) {
  ASSIGN_OR_RETURN(std::unique_ptr<RedisConnection> connection, RedisConnection::Open(address_));
  ASSIGN_OR_RETURN(const RedisReply sha,
                   connection->Command({"SCRIPT", "LOAD", peers::EmbeddedText("redis/gcra.lua")}));
  std::unique_ptr<LimiterCaller> caller =
      std::make_unique<RedisCaller>(std::move(connection), peers::RedisText(*sha), terms);
  return caller;
}

absl::StatusOr<LimiterMemory> RedisLimiter::MemoryNow() {
  LimiterMemory memory;
  ASSIGN_OR_RETURN(memory.used_bytes, RedisInfo(*connection_, "memory", "used_memory"));
  ASSIGN_OR_RETURN(memory.resident_bytes, RedisInfo(*connection_, "memory", "used_memory_rss"));
  return memory;
}

absl::StatusOr<LimiterMemory> RedisLimiter::Memory() {
  ASSIGN_OR_RETURN(const LimiterMemory now, MemoryNow());
  return LimiterMemory{.used_bytes = now.used_bytes - before_.used_bytes,
                       .resident_bytes = now.resident_bytes - before_.resident_bytes};
}

absl::StatusOr<int64_t> RedisLimiter::Capacity() {
  ASSIGN_OR_RETURN(const std::unique_ptr<LimiterCaller> caller, Connect(0, {.burst = 1, .interval = absl::Hours(1)}));
  std::vector<int64_t> keys(kFilledBetweenLooks);
  for (int64_t filled = 0; filled < kMostFilledKeys; filled += kFilledBetweenLooks) {
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = filled + static_cast<int64_t>(i);
    RETURN_IF_ERROR(caller->Try(keys).status());
    ASSIGN_OR_RETURN(const int64_t evicted, RedisInfo(*connection_, "stats", "evicted_keys"));
    if (evicted == 0) continue;
    ASSIGN_OR_RETURN(const RedisReply size, connection_->Command({"DBSIZE"}));
    RETURN_IF_ERROR(connection_->Command({"FLUSHALL", "SYNC"}).status());
    return static_cast<int64_t>(size->integer);
  }
  return absl::FailedPreconditionError("Redis evicts nothing: set maxmemory and a policy of all keys");
}

}  // namespace tranche::limiters
