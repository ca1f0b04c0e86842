// A consumer between a scripted source, sellers and books: the test says what each answers, and when.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "server/queue/claim_consumer.h"
#include "server/queue/claim_queue.h"
#include "server/queue/queued_claim.h"
#include "storage/clock.h"
#include "storage/ledger/ledger_error.h"
#include "tests/support/stub_books.h"

namespace tranche::server {

// Remembers how what the test delivers is settled. Settle may be called from any thread.
class ScriptedSource : public ClaimSource {
 public:
  void Start(std::vector<std::string>, int, Receiver*) override {}
  void Pause() override { paused = true; }
  void Resume() override { paused = false; }
  void Settle(const std::string& queue, uint64_t tag, Settlement settlement) override {
    absl::MutexLock lock(&mutex);
    EXPECT_TRUE(settled.emplace(tag, settlement).second) << tag << " is settled twice";
    EXPECT_EQ(queue.substr(0, 8), "tranche.");
    order.push_back(tag);
  }
  void Stop() override {}
  bool Up() const override { return true; }

  // nullopt: it is not settled.
  std::optional<Settlement> Of(uint64_t tag) const {
    const auto found = settled.find(tag);
    return found == settled.end() ? std::nullopt : std::optional<Settlement>(found->second);
  }

  bool paused = false;
  absl::Mutex mutex;
  std::map<uint64_t, Settlement> settled;
  std::vector<uint64_t> order;
};

// Keeps calls until the test answers them.
class ScriptedBooks : public tranche::testing::StubBooks {
 public:
  struct Call {
    std::string shard;
    std::vector<storage::ClaimRefusal> batch;
    RefuseDone done;
  };

  void RefuseClaims(const std::string& shard, std::vector<storage::ClaimRefusal> batch, absl::Time,
                    RefuseDone done) override {
    if (!at_once.ok()) {
      ++failed_at_once;
      return done(at_once);
    }
    calls.push_back({shard, std::move(batch), std::move(done)});
  }
  void FindSku(const std::string& sku_id, SkuDone done) override {
    storage::Sku sku;
    sku.sku_id = sku_id;
    sku.shard = sku_is_at;
    done(sku);
  }
  // The oldest call: the same for all of its claims.
  void Answer(storage::RefuseOutcome outcome) {
    ASSERT_FALSE(calls.empty());
    Call call = std::move(calls.front());
    calls.pop_front();
    std::vector<storage::RefuseResult> results(call.batch.size());
    for (storage::RefuseResult& result : results) result.outcome = outcome;
    call.done(std::move(results));
  }
  void Fail(const absl::Status& error) {
    ASSERT_FALSE(calls.empty());
    Call call = std::move(calls.front());
    calls.pop_front();
    call.done(error);
  }

  std::deque<Call> calls;
  absl::Status at_once;  // unless OK: what each call fails with, before it returns
  int failed_at_once = 0;
  std::string sku_is_at = "s1";
};

class ConsumerTest : public ::testing::Test {
 protected:
  struct Try {
    std::vector<storage::ReservationClaim> lines;
    absl::Time deadline;
    bool may_exist = false;
    quota::SaleDone done = {};
    quota::CartDone cart_done = {};

    const std::string& user() const { return lines.front().user_id; }
  };

  // A claim of one unit; returns its tag.
  uint64_t Deliver(const std::string& user, const std::string& sku = "tv", int deliveries = 0,
                   const std::string& queue = "tranche.claims.home.0") {
    return DeliverLines({Line(user, sku)}, /*cart=*/false, deliveries, queue);
  }
  uint64_t DeliverLines(std::vector<storage::ReservationClaim> lines, bool cart, int deliveries = 0,
                        const std::string& queue = "tranche.claims.home.0") {
    const QueuedClaim claim{
        .lines = std::move(lines), .cart = cart, .enqueued_at = clock_.Now(), .deadline = clock_.Now() + claims_last_};
    return DeliverText(ToMessage(claim), deliveries, queue);
  }
  uint64_t DeliverText(std::string body, int deliveries = 0, const std::string& queue = "tranche.claims.home.0") {
    const uint64_t tag = ++tags_;
    consumer_.OnDelivery({.queue = queue, .tag = tag, .body = std::move(body), .id = "id", .deliveries = deliveries});
    return tag;
  }
  storage::ReservationClaim Line(const std::string& user, const std::string& sku) {
    storage::ReservationClaim line;
    line.reservation_id.bytes[0] = 1;
    ++ids_;
    line.reservation_id.bytes[14] = static_cast<uint8_t>(ids_ / 256);
    line.reservation_id.bytes[15] = static_cast<uint8_t>(ids_ % 256);
    line.sku_id = sku;
    line.user_id = user;
    line.quantity = 1;
    return line;
  }

  // The oldest try.
  Try Take() {
    EXPECT_FALSE(tries_.empty()) << "nothing is tried";
    if (tries_.empty()) return {};
    Try one = std::move(tries_.front());
    tries_.pop_front();
    return one;
  }
  void Sell() {
    Try one = Take();
    if (one.done) one.done(quota::Sold{});
    if (one.cart_done) one.cart_done(quota::CartSold{});
  }
  void Refuse(storage::Refusal refusal) {
    Try one = Take();
    if (one.done) one.done(quota::Refused{.refusal = refusal});
    if (one.cart_done) one.cart_done(quota::CartRefused{{.refusal = refusal}, "tv"});
  }
  // Longer than any pause between two tries.
  void Wait() { Wait(kLongestPause + absl::Milliseconds(1)); }
  void Wait(absl::Duration duration) {
    clock_.AdvanceBy(duration);
    consumer_.Tick();
  }
  std::map<std::string, int64_t> Outcomes() const {
    std::map<std::string, int64_t> happened;
    consumer_.counts().ForEach([&](absl::string_view outcome, int64_t count) {
      if (count > 0) happened[std::string(outcome)] = count;
    });
    return happened;
  }

  absl::Duration claims_last_ = absl::Minutes(10);
  storage::FakeClock clock_;
  ScriptedSource source_;
  ScriptedBooks books_;
  std::deque<Try> tries_;
  ClaimConsumer consumer_{
      {.shard = "home",
       .source = &source_,
       .sell =
           [this](storage::ReservationClaim claim, absl::Time deadline, bool may_exist, quota::SaleDone done) {
             tries_.push_back({{std::move(claim)}, deadline, may_exist, std::move(done), {}});
           },
       .sell_cart =
           [this](std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist,
                  quota::CartDone done) {
             tries_.push_back({std::move(lines), deadline, may_exist, {}, std::move(done)});
           },
       .books = &books_,
       .clock = &clock_,
       .shard_of = [this](const std::string& sku_id) { return sku_id == "radio" ? radio_is_at_ : ""; },
       .prefetch = 8,
       .seed = 1}};
  std::string radio_is_at_;
  uint64_t tags_ = 0;
  int ids_ = 0;
};

}  // namespace tranche::server
