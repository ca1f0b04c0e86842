// The generic cell rate algorithm as a Lua script in Redis, which all nodes share. As redis-cell, and the scripts that
// Redis clients bring, do it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "tests/benchmark/limiters/limiter.h"
#include "tests/benchmark/peers/redis_connection.h"

namespace tranche::limiters {

class RedisLimiter : public Limiter {
 public:
  // `address`: HOST:PORT of a Redis that is empty and that nobody else uses. kUnavailable: it cannot be asked.
  static absl::StatusOr<std::unique_ptr<Limiter>> Open(const std::string& address);

  absl::StatusOr<std::unique_ptr<LimiterCaller>> Connect(int node, const LimitTerms& terms) override;
  absl::StatusOr<LimiterMemory> Memory() override;
  // kFailedPrecondition: Redis evicts nothing, because it has no maxmemory.
  absl::StatusOr<int64_t> Capacity() override;

 private:
  RedisLimiter(std::string address, std::unique_ptr<peers::RedisConnection> connection)
      : address_(std::move(address)), connection_(std::move(connection)) {}
  // What it uses now.
  absl::StatusOr<LimiterMemory> MemoryNow();

  const std::string address_;
  const std::unique_ptr<peers::RedisConnection> connection_;
  LimiterMemory before_;
};

}  // namespace tranche::limiters
