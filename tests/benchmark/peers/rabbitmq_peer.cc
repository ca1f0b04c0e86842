#include "tests/benchmark/peers/rabbitmq_peer.h"

#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "tests/benchmark/peers/postgres_batches.h"
#include "tests/benchmark/peers/waiting_callers.h"
#include "tests/support/amqp_caller.h"

namespace tranche::peers {
namespace {

using tranche::testing::AmqpCaller;
using tranche::testing::AmqpReceived;

constexpr char kRabbitQueue[] = "tranche-peer";
// What the consumer has at once, and the most of a batch.
constexpr int kRabbitPrefetch = 256;
constexpr absl::Duration kRabbitPatience = absl::Seconds(5);  // of a caller
constexpr absl::Duration kRabbitRead = absl::Milliseconds(100);
constexpr absl::Duration kRabbitPause = absl::Milliseconds(200);  // after an error
// What Count waits for. When nothing comes for so long, the queue is drained: what another consumer has is decided by
// then, too.
constexpr absl::Duration kRabbitDrain = absl::Minutes(2);
constexpr absl::Duration kRabbitDrained = absl::Seconds(1);

struct QueuedSale {
  std::string correlation = {};
  Claim claim = {};
};

// One line each; CheckQueueable has refused names with line breaks.
std::string ToBody(const QueuedSale& sale) {
  const Claim& claim = sale.claim;
  return absl::StrCat(sale.correlation, "\n", claim.reservation_id, "\n", claim.quantity, "\n", claim.sku_id, "\n",
                      claim.user_id);
}

std::optional<QueuedSale> FromBody(const std::string& body) {
  std::vector<std::string> lines = absl::StrSplit(body, '\n');
  QueuedSale sale;
  if (lines.size() != 5 || !absl::SimpleAtoi(lines[2], &sale.claim.quantity)) return std::nullopt;
  sale.correlation = std::move(lines[0]);
  sale.claim.reservation_id = std::move(lines[1]);
  sale.claim.sku_id = std::move(lines[3]);
  sale.claim.user_id = std::move(lines[4]);
  return sale;
}

std::optional<Outcome> OutcomeOfWord(const std::string& word) {
  if (word == "created") return Outcome::kCreated;
  if (word == "replayed") return Outcome::kReplayed;
  if (word == "user_limit") return Outcome::kUserLimit;
  if (word == "sold_out") return Outcome::kSoldOut;
  return std::nullopt;
}

class RabbitSeller final : public Seller {
 public:
  RabbitSeller(std::string rabbitmq, WaitingCallers* callers) : rabbitmq_(std::move(rabbitmq)), callers_(callers) {}

  absl::StatusOr<Outcome> Sell(const Claim& claim) override {
    RETURN_IF_ERROR(CheckQueueable(claim));
    RETURN_IF_ERROR(Connect());
    const absl::Time deadline = absl::Now() + kRabbitPatience;
    WaitingCallers::Caller caller(callers_);
    const std::string body = ToBody({.correlation = caller.correlation(), .claim = claim});
    const absl::Status queued =
        connection_->PublishConfirmed(kRabbitQueue, absl::MakeConstSpan(&body, 1), kRabbitPatience);
    if (!queued.ok()) {
      connection_.reset();
      return queued;
    }
    const std::optional<Outcome> outcome = caller.Await(deadline);
    if (outcome.has_value()) return *outcome;
    return absl::UnavailableError(
        absl::StrCat("queued, but not decided within ", absl::FormatDuration(kRabbitPatience)));
  }

  absl::Status Connect() {
    if (connection_ != nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(connection_, AmqpCaller::Connect(rabbitmq_));
    return absl::OkStatus();
  }

 private:
  const std::string rabbitmq_;
  WaitingCallers* const callers_;
  std::unique_ptr<AmqpCaller> connection_;
};

// Takes claims out of the queue and decides them. For one thread at a time.
class RabbitConsumer {
 public:
  // Connects at the first call.
  RabbitConsumer(std::string rabbitmq, std::string postgres, WaitingCallers* callers)
      : rabbitmq_(std::move(rabbitmq)), postgres_(std::move(postgres)), callers_(callers) {}

  // Decides a batch; if there is none, waits for it, for `wait` at most. Returns how many messages it has settled.
  // After an error, what was not settled comes again.
  absl::StatusOr<int> SellBatch(absl::Duration wait) {
    absl::StatusOr<int> sold = TryToSell(wait);
    if (!sold.ok()) connection_.reset();
    return sold;
  }

 private:
  struct Batch {
    std::vector<std::string> correlations = {};
    std::vector<Claim> claims = {};
    int messages = 0;
    uint64_t last_tag = 0;
  };

  absl::StatusOr<int> TryToSell(absl::Duration wait) {
    if (connection_ == nullptr) {
      ASSIGN_OR_RETURN(connection_, AmqpCaller::Connect(rabbitmq_));
      RETURN_IF_ERROR(connection_->Consume(kRabbitQueue, kRabbitPrefetch));
    }
    ASSIGN_OR_RETURN(const Batch batch, TakeBatch(wait));
    if (batch.messages == 0) return 0;
    std::vector<std::string> words;
    if (!batch.claims.empty()) {
      const ClaimArrays arrays = ToArrays(batch.claims);
      ASSIGN_OR_RETURN(words,
                       postgres_.Run("rabbitmq/sell.sql", arrays.ids, arrays.skus, arrays.users, arrays.quantities));
    }
    if (words.size() != batch.claims.size()) return absl::InternalError("not an outcome for each claim");
    // It is committed: so the callers are told even if the broker is not.
    const absl::Status acknowledged = connection_->AcknowledgeUpTo(batch.last_tag);
    for (size_t i = 0; i < words.size(); ++i) {
      const std::optional<Outcome> outcome = OutcomeOfWord(words[i]);
      if (outcome.has_value()) callers_->Answer(batch.correlations[i], *outcome);
    }
    RETURN_IF_ERROR(acknowledged);
    return batch.messages;
  }

  absl::StatusOr<Batch> TakeBatch(absl::Duration wait) {
    Batch batch;
    ASSIGN_OR_RETURN(std::optional<AmqpReceived> received, connection_->Next(wait));
    while (received.has_value()) {
      ++batch.messages;
      batch.last_tag = received->tag;
      std::optional<QueuedSale> sale = FromBody(received->body);
      LOG_IF(ERROR, !sale.has_value()) << "a message that is no claim is thrown away";
      if (sale.has_value()) {
        batch.correlations.push_back(std::move(sale->correlation));
        batch.claims.push_back(std::move(sale->claim));
      }
      if (batch.messages >= kRabbitPrefetch) break;
      ASSIGN_OR_RETURN(received, connection_->Next(absl::ZeroDuration()));
    }
    return batch;
  }

  const std::string rabbitmq_;
  PostgresBatches postgres_;
  WaitingCallers* const callers_;
  std::unique_ptr<AmqpCaller> connection_;
};

class RabbitPeer final : public Peer {
 public:
  RabbitPeer(std::string rabbitmq, std::string postgres)
      : rabbitmq_(std::move(rabbitmq)), postgres_(std::move(postgres)) {}
  ~RabbitPeer() override { RabbitPeer::Stop(); }

  absl::Status Prepare(int skus, int64_t stock) override {
    PostgresBatches postgres(postgres_);
    RETURN_IF_ERROR(postgres.RunScript("rabbitmq/schema.sql"));
    RETURN_IF_ERROR(postgres.Run("rabbitmq/put_stock.sql", skus, stock).status());
    ASSIGN_OR_RETURN(const std::unique_ptr<AmqpCaller> broker, AmqpCaller::Connect(rabbitmq_));
    // Also if there is none.
    RETURN_IF_ERROR(broker->DeleteQueue(kRabbitQueue));
    AmqpCaller::Arguments arguments;
    arguments.emplace_back("x-queue-type", "quorum");
    return broker->DeclareQueue(kRabbitQueue, arguments);
  }

  absl::StatusOr<std::unique_ptr<Seller>> MakeSeller() override {
    auto seller = std::make_unique<RabbitSeller>(rabbitmq_, &callers_);
    RETURN_IF_ERROR(seller->Connect());
    return std::unique_ptr<Seller>(std::move(seller));
  }

  absl::Status Start() override {
    stopping_ = false;
    consumer_ = std::thread([this] { Consume(); });
    return absl::OkStatus();
  }

  void Stop() override {
    if (!consumer_.joinable()) return;
    stopping_ = true;
    consumer_.join();
  }

  absl::StatusOr<Stored> Count() override {
    RETURN_IF_ERROR(Drain());
    PostgresBatches postgres(postgres_);
    Stored stored;
    ASSIGN_OR_RETURN(const std::vector<std::string> left, postgres.Run("rabbitmq/count_left.sql"));
    if (left.size() != 1 || !absl::SimpleAtoi(left[0], &stored.units_left)) {
      return absl::InternalError("the stock is no number");
    }
    RETURN_IF_ERROR(CountOrders(postgres, "rabbitmq/count_sold.sql", "rabbitmq/order_ids.sql", stored));
    return stored;
  }

 private:
  // The consumer's thread.
  void Consume() {
    RabbitConsumer consumer(rabbitmq_, postgres_, &callers_);
    while (!stopping_) {
      const absl::StatusOr<int> sold = consumer.SellBatch(kRabbitRead);
      if (sold.ok()) continue;
      LOG_EVERY_T(WARNING, 5) << "claims are not taken out of the queue: " << sold.status();
      absl::SleepFor(kRabbitPause);
    }
  }

  // Decides by itself what no consumer takes.
  absl::Status Drain() {
    RabbitConsumer consumer(rabbitmq_, postgres_, &callers_);
    const absl::Time end = absl::Now() + kRabbitDrain;
    while (true) {
      ASSIGN_OR_RETURN(const int sold, consumer.SellBatch(kRabbitDrained));
      if (sold == 0) return absl::OkStatus();
      if (absl::Now() > end) return absl::DeadlineExceededError("the queue is still not drained");
    }
  }

  const std::string rabbitmq_;
  const std::string postgres_;
  WaitingCallers callers_;
  std::atomic<bool> stopping_ = false;
  std::thread consumer_;
};

}  // namespace

std::unique_ptr<Peer> MakeRabbitmqPeer(std::string rabbitmq, std::string postgres) {
  return std::make_unique<RabbitPeer>(std::move(rabbitmq), std::move(postgres));
}

}  // namespace tranche::peers
