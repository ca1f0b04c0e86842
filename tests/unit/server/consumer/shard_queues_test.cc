// A process that takes from the queues of several shards, and what it shows of that.
#include "server/consumer/shard_queues.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/queue/queued_claim.h"
#include "tests/support/stub_books.h"
#include "tests/unit/server/metrics/metric_values.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

// What the test sees of a source, also after the source is gone.
struct SourceState {
  std::vector<std::string> queues;
  ClaimSource::Receiver* receiver = nullptr;
  bool paused = false;
  bool stopped = false;
  bool up = true;
  int settled = 0;
};

class StatedSource : public ClaimSource {
 public:
  explicit StatedSource(SourceState* state) : state_(state) {}
  void Start(std::vector<std::string> queues, int, Receiver* receiver) override {
    state_->queues = std::move(queues);
    state_->receiver = receiver;
  }
  void Pause() override { state_->paused = true; }
  void Resume() override { state_->paused = false; }
  void Settle(const std::string&, uint64_t, Settlement) override { ++state_->settled; }
  void Stop() override { state_->stopped = true; }
  bool Up() const override { return state_->up; }

 private:
  SourceState* const state_;
};

class StatedAdmin : public ClaimQueueAdmin {
 public:
  absl::Status Declare(absl::Span<const std::string> queues) override {
    declared.insert(declared.end(), queues.begin(), queues.end());
    return answer;
  }
  absl::StatusOr<std::vector<QueueDepth>> Depths(absl::Span<const std::string>) override {
    return std::vector<QueueDepth>();
  }
  absl::StatusOr<std::vector<DeadClaim>> ListDead(const std::string&, int) override { return std::vector<DeadClaim>(); }
  absl::StatusOr<int> TakeDead(const std::string&, absl::Span<const std::string>, Each) override { return 0; }

  absl::Status answer;
  std::vector<std::string> declared;
};

class ShardQueuesTest : public ::testing::Test {
 protected:
  ShardQueuesTest() {
    ShardQueues::Parts parts;
    parts.partitions = 2;
    parts.prefetch = 8;
    parts.make_source = [this] {
      sources_.push_back(std::make_unique<SourceState>());
      return std::make_unique<StatedSource>(sources_.back().get());
    };
    parts.admin = &admin_;
    parts.sell = [this](storage::ReservationClaim, absl::Time, bool, quota::SaleDone done) {
      done(answer_of_sellers_);
    };
    parts.sell_cart = [](std::vector<storage::ReservationClaim>, absl::Time, bool, quota::CartDone done) {
      done(quota::CartSold{});
    };
    parts.books = &books_;
    parts.clock = &clock_;
    parts.metrics = &metrics_;
    queues_ = std::make_unique<ShardQueues>(std::move(parts));
  }

  void Deliver(SourceState& source) {
    storage::ReservationClaim line;
    line.reservation_id.bytes[0] = static_cast<uint8_t>(++tags_);
    line.sku_id = "tv";
    line.user_id = absl::StrCat("buyer-", tags_);
    line.quantity = 1;
    const QueuedClaim claim{
        .lines = {line}, .cart = false, .enqueued_at = clock_.Now(), .deadline = clock_.Now() + absl::Minutes(1)};
    source.receiver->OnDelivery(
        {.queue = source.queues.at(0), .tag = tags_, .body = ToMessage(claim), .id = "id", .deliveries = 0});
  }

  quota::SaleResult answer_of_sellers_ = quota::Sold{};
  storage::FakeClock clock_;
  tranche::testing::StubBooks books_;
  StatedAdmin admin_;
  ConsumerMetrics metrics_{&clock_};
  std::vector<std::unique_ptr<SourceState>> sources_;
  std::unique_ptr<ShardQueues> queues_;
  uint64_t tags_ = 0;
};

TEST_F(ShardQueuesTest, EachShardHasItsQueues) {
  ASSERT_TRUE(queues_->Serve({"home"}).ok());
  ASSERT_TRUE(queues_->Serve({"home", "s1"}).ok()) << "a shard was added";
  ASSERT_EQ(sources_.size(), 2u);
  EXPECT_THAT(sources_[0]->queues, ElementsAre(ClaimQueueName("home", 0), ClaimQueueName("home", 1)));
  EXPECT_THAT(sources_[1]->queues, ElementsAre(ClaimQueueName("s1", 0), ClaimQueueName("s1", 1)));
  EXPECT_EQ(admin_.declared.size(), 4u) << "each once";
}

TEST_F(ShardQueuesTest, WhatCannotBeMadeIsTriedAgain) {
  admin_.answer = absl::UnavailableError("the broker is away");
  EXPECT_TRUE(absl::IsUnavailable(queues_->Serve({"home"})));
  EXPECT_TRUE(sources_.empty());
  admin_.answer = absl::OkStatus();
  EXPECT_TRUE(queues_->Serve({"home"}).ok());
  EXPECT_EQ(sources_.size(), 1u);
}

TEST_F(ShardQueuesTest, QueuesOfASourceThatStaysDownAreMadeAgain) {
  ASSERT_TRUE(queues_->Serve({"home"}).ok());
  admin_.declared.clear();
  sources_[0]->up = false;
  ASSERT_TRUE(queues_->Serve({"home"}).ok());
  EXPECT_TRUE(admin_.declared.empty()) << "it may be connecting";
  ASSERT_TRUE(queues_->Serve({"home"}).ok());
  EXPECT_THAT(admin_.declared, ElementsAre(ClaimQueueName("home", 0), ClaimQueueName("home", 1)));
  EXPECT_EQ(sources_.size(), 1u);
  sources_[0]->up = true;
  ASSERT_TRUE(queues_->Serve({"home"}).ok());
  EXPECT_EQ(admin_.declared.size(), 2u);
}

TEST_F(ShardQueuesTest, ALaterShardBeginsAsTheOthersAre) {
  ASSERT_TRUE(queues_->Serve({"home"}).ok());
  queues_->SetPaused(true);
  ASSERT_TRUE(queues_->Serve({"home", "s1"}).ok());
  EXPECT_TRUE(sources_.at(0)->paused);
  EXPECT_TRUE(sources_.at(1)->paused);
  queues_->SetPaused(false);
  EXPECT_FALSE(sources_.at(0)->paused);
  EXPECT_FALSE(sources_.at(1)->paused);
}

TEST_F(ShardQueuesTest, ADrainLeavesNothing) {
  ASSERT_TRUE(queues_->Serve({"home", "s1"}).ok());
  answer_of_sellers_ = quota::Refused{.refusal = storage::Refusal::kExhaustedHere};
  for (const auto& source : sources_) Deliver(*source);
  answer_of_sellers_ = quota::Sold{};
  EXPECT_FALSE(queues_->Idle());
  queues_->Drain(absl::ZeroDuration());
  EXPECT_TRUE(queues_->Idle());
  for (const auto& source : sources_) EXPECT_EQ(source->settled, 1);
  queues_->Stop();
  for (const auto& source : sources_) EXPECT_TRUE(source->stopped);
  EXPECT_TRUE(queues_->Serve({"s2"}).ok());
  EXPECT_EQ(sources_.size(), 2u) << "it ends";
}

TEST_F(ShardQueuesTest, ShowsWhatBecameOfClaims) {
  EXPECT_FALSE(metrics_.Ready().ok());
  ASSERT_TRUE(queues_->Serve({"home"}).ok());
  EXPECT_TRUE(metrics_.Ready().ok());
  Deliver(*sources_[0]);
  answer_of_sellers_ = quota::Refused{.refusal = storage::Refusal::kExhaustedHere};
  Deliver(*sources_[0]);
  answer_of_sellers_ = quota::Sold{};
  clock_.AdvanceBy(absl::Seconds(3));
  sources_[0]->up = false;
  const MetricValues values(metrics_);
  const MetricLabels home = {{"shard", "home"}};
  EXPECT_THAT(values.Of("tranche_consumer_claims_total", {{"shard", "home"}, {"outcome", "sold"}}), Optional(1));
  EXPECT_THAT(values.Of("tranche_consumer_claims_total", {{"shard", "home"}, {"outcome", "SOLD_OUT"}}), Optional(0));
  EXPECT_THAT(values.Of("tranche_consumer_claims_total", {{"shard", "home"}, {"outcome", "lost"}}), Optional(0));
  EXPECT_THAT(values.Of("tranche_consumer_retries_total", home), Optional(1));
  EXPECT_THAT(values.Of("tranche_consumer_held", home), Optional(1));
  EXPECT_THAT(values.Of("tranche_consumer_oldest_held_seconds", home), Optional(3));
  EXPECT_THAT(values.Of("tranche_consumer_up", home), Optional(0));
  EXPECT_FALSE(metrics_.Ready().ok());
}

}  // namespace
}  // namespace tranche::server
