// The stream of orders that Redis has sold, and who books them in PostgreSQL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/benchmark/peers/peer.h"
#include "tests/benchmark/peers/postgres_batches.h"
#include "tests/benchmark/peers/redis_connection.h"

namespace tranche::peers {

// The stream, which sell.lua writes, and who reads it.
inline constexpr char kRedisOrders[] = "orders";
inline constexpr char kRedisGroup[] = "booking";
inline constexpr char kRedisConsumer[] = "booker";

// Reads the stream in batches, inserts each into PostgreSQL, and acknowledges it after the commit. All bookers are the
// same consumer of the group, so that one goes on with what another has left; what two of them have at once is booked
// once. For one thread at a time.
class RedisBooker {
 public:
  // Connects at the first call.
  RedisBooker(std::string redis, std::string postgres) : redis_(std::move(redis)), postgres_(std::move(postgres)) {}

  // Books a batch; if there is none, waits for it, for `wait` at most. Returns how many orders it was. After an error,
  // the next call begins with what is not acknowledged.
  absl::StatusOr<size_t> BookBatch(absl::Duration wait);

  // How many orders are not booked yet.
  absl::StatusOr<int64_t> Waiting();

 private:
  struct Entry {
    std::string name = {};  // in the stream
    bool gone = false;      // it was booked, and is in the stream no more
    Claim claim = {};
  };

  absl::Status Connect();
  absl::StatusOr<size_t> TryToBook(absl::Duration wait);
  absl::StatusOr<std::vector<Entry>> ReadEntries(absl::Duration wait);
  absl::Status Acknowledge(const std::vector<Entry>& entries);
  static absl::StatusOr<Entry> ToEntry(const redisReply& reply);

  const std::string redis_;
  PostgresBatches postgres_;
  std::unique_ptr<RedisConnection> connection_;
  bool left_over_ = true;  // there may be something that was read and not acknowledged
};

}  // namespace tranche::peers
