#include "tests/benchmark/peers/redis_peer.h"

#include <csignal>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "tests/benchmark/peers/embedded_text.h"
#include "tests/benchmark/peers/postgres_batches.h"
#include "tests/benchmark/peers/redis_connection.h"
#include "tests/benchmark/peers/redis_orders.h"

namespace tranche::peers {
namespace {

// Redis' keys.
constexpr char kRedisStock[] = "stock";
constexpr char kRedisIds[] = "ids";
std::string RedisBuyers(const std::string& sku) { return absl::StrCat("buyers:", sku); }

// How long the consumer waits for orders, and after an error.
constexpr absl::Duration kRedisRead = absl::Milliseconds(100);
constexpr absl::Duration kRedisPause = absl::Milliseconds(200);
// What Count waits for: at least 10,000 orders a second are booked.
constexpr absl::Duration kRedisDrain = absl::Minutes(2);

const char* FsyncName(RedisFsync fsync) { return fsync == RedisFsync::kAlways ? "always" : "everysec"; }

absl::StatusOr<Outcome> RedisOutcome(const std::string& word) {
  if (word == "created") return Outcome::kCreated;
  if (word == "replayed") return Outcome::kReplayed;
  if (word == "user_limit") return Outcome::kUserLimit;
  if (word == "sold_out") return Outcome::kSoldOut;
  return absl::InternalError(absl::StrCat("sell.lua answers \"", word, "\""));
}

class RedisSeller final : public Seller {
 public:
  explicit RedisSeller(std::string redis) : redis_(std::move(redis)) {}

  absl::StatusOr<Outcome> Sell(const Claim& claim) override {
    RETURN_IF_ERROR(CheckQueueable(claim));
    absl::StatusOr<Outcome> outcome = TryToSell(claim);
    if (!outcome.ok()) connection_.reset();
    return outcome;
  }

  absl::Status Connect() {
    if (connection_ != nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(std::unique_ptr<RedisConnection> connection, RedisConnection::Open(redis_));
    // A server that was started again does not know the script any more.
    ASSIGN_OR_RETURN(const RedisReply loaded, connection->Command({"SCRIPT", "LOAD", EmbeddedText("redis/sell.lua")}));
    script_ = RedisText(*loaded);
    connection_ = std::move(connection);
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<Outcome> TryToSell(const Claim& claim) {
    RETURN_IF_ERROR(Connect());
    ASSIGN_OR_RETURN(
        const RedisReply reply,
        connection_->Command({"EVALSHA", script_, "4", kRedisStock, RedisBuyers(claim.sku_id), kRedisIds, kRedisOrders,
                              claim.reservation_id, claim.sku_id, claim.user_id, absl::StrCat(claim.quantity)}));
    return RedisOutcome(RedisText(*reply));
  }

  const std::string redis_;
  std::unique_ptr<RedisConnection> connection_;
  std::string script_;  // its hash
};

class RedisPeer final : public Peer {
 public:
  RedisPeer(RedisFsync fsync, std::string redis, std::string postgres)
      : fsync_(fsync), redis_(std::move(redis)), postgres_(std::move(postgres)) {
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~RedisPeer() override { RedisPeer::Stop(); }

  absl::Status Prepare(int skus, int64_t stock) override {
    PostgresBatches postgres(postgres_);
    RETURN_IF_ERROR(postgres.RunScript("redis/schema.sql"));
    ASSIGN_OR_RETURN(const std::unique_ptr<RedisConnection> connection, RedisConnection::Open(redis_));
    RETURN_IF_ERROR(connection->Command({"FLUSHALL"}).status());
    for (int i = 0; i < skus; ++i) {
      RETURN_IF_ERROR(
          connection->Command({"HSET", kRedisStock, absl::StrCat("sku-", i), absl::StrCat(stock)}).status());
    }
    return connection->Command({"XGROUP", "CREATE", kRedisOrders, kRedisGroup, "0", "MKSTREAM"}).status();
  }

  absl::StatusOr<std::unique_ptr<Seller>> MakeSeller() override {
    auto seller = std::make_unique<RedisSeller>(redis_);
    RETURN_IF_ERROR(seller->Connect());
    return std::unique_ptr<Seller>(std::move(seller));
  }

  absl::Status Start() override {
    ASSIGN_OR_RETURN(const std::unique_ptr<RedisConnection> connection, RedisConnection::Open(redis_));
    RETURN_IF_ERROR(CheckSetting(*connection, "appendonly", "yes"));
    RETURN_IF_ERROR(CheckSetting(*connection, "appendfsync", FsyncName(fsync_)));
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = false;
    }
    consumer_ = std::thread([this] { Consume(); });
    return absl::OkStatus();
  }

  void Stop() override {
    if (!consumer_.joinable()) return;
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    consumer_.join();
  }

  absl::StatusOr<Stored> Count() override {
    RETURN_IF_ERROR(Drain());
    ASSIGN_OR_RETURN(const std::unique_ptr<RedisConnection> connection, RedisConnection::Open(redis_));
    ASSIGN_OR_RETURN(const RedisReply stock, connection->Command({"HVALS", kRedisStock}));
    Stored stored;
    for (size_t i = 0; i < stock->elements; ++i) {
      int64_t left = 0;
      if (!absl::SimpleAtoi(RedisText(*stock->element[i]), &left)) return absl::InternalError("the stock is no number");
      stored.units_left += left;
    }
    PostgresBatches postgres(postgres_);
    RETURN_IF_ERROR(CountOrders(postgres, "redis/count_sold.sql", "redis/order_ids.sql", stored));
    return stored;
  }

 private:
  static absl::Status CheckSetting(RedisConnection& connection, const std::string& name, const std::string& wanted) {
    ASSIGN_OR_RETURN(const RedisReply reply, connection.Command({"CONFIG", "GET", name}));
    const std::string found = reply->elements == 2 ? RedisText(*reply->element[1]) : "";
    if (found == wanted) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("Redis runs with ", name, " ", found, ", not ", wanted, ": start it with --", name, " ", wanted));
  }

  // The consumer's thread.
  void Consume() {
    RedisBooker booker(redis_, postgres_);
    while (!Stopping(absl::ZeroDuration())) {
      const absl::StatusOr<size_t> booked = booker.BookBatch(kRedisRead);
      if (booked.ok()) continue;
      LOG_EVERY_T(WARNING, 5) << "orders are not booked: " << booked.status();
      Stopping(kRedisPause);
    }
  }

  // Waits for it, for `wait` at most.
  bool Stopping(absl::Duration wait) {
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&stopping_), wait);
  }

  // Books by itself what no consumer books.
  absl::Status Drain() {
    RedisBooker booker(redis_, postgres_);
    const absl::Time end = absl::Now() + kRedisDrain;
    while (true) {
      ASSIGN_OR_RETURN(const int64_t waiting, booker.Waiting());
      if (waiting == 0) return absl::OkStatus();
      if (absl::Now() > end) {
        return absl::DeadlineExceededError(absl::StrCat(waiting, " orders are still not booked"));
      }
      RETURN_IF_ERROR(booker.BookBatch(kRedisRead).status());
    }
  }

  const RedisFsync fsync_;
  const std::string redis_;
  const std::string postgres_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread consumer_;
};

}  // namespace

std::unique_ptr<Peer> MakeRedisPeer(RedisFsync fsync, std::string redis, std::string postgres) {
  return std::make_unique<RedisPeer>(fsync, std::move(redis), std::move(postgres));
}

}  // namespace tranche::peers
