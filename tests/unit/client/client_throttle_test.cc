// Which calls are throttled while the nodes are overloaded, and what their callers see.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "client/internal/connection.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

constexpr size_t kFree = static_cast<size_t>(Throttle::kFreeTries);

absl::Status OverloadedNode() { return NodeError(absl::StatusCode::kUnavailable, "OVERLOADED"); }

class ClientThrottleTest : public testing::Test {
 protected:
  // Each call has one attempt, unless told otherwise. What may be refused is.
  void Open() {
    options_.endpoints = {"node-0:1"};
    ASSERT_TRUE(Validate(options_).ok());
    std::vector<std::shared_ptr<Stub>> stubs = {std::make_shared<ScriptedStub>(0, script_)};
    connection_ = std::make_unique<Connection>(options_, std::move(stubs), scheduler_, [this] {
      ++draws_;
      return random_;
    });
  }
  void OpenWithOneAttempt() {
    options_.retry.max_attempts = 1;
    Open();
  }

  // Runs what `start` begins to its end.
  template <typename Answer, typename Start>
  absl::Status End(Start start) {
    std::optional<absl::Status> end;
    start([&end](absl::StatusOr<Answer> answer) { end = answer.status(); });
    while (!end.has_value()) {
      if (!scheduler_->RunNext()) return absl::InternalError("the call has neither ended nor set a timer");
    }
    return *end;
  }
  absl::Status Claim(CreateReservation request = {.sku = "tv", .user = "alice"}) {
    return End<Reservation>([&](auto callback) { connection_->Create(std::move(request), std::move(callback)); });
  }
  absl::Status ClaimCart() {
    return End<Cart>([&](auto callback) {
      connection_->CreateCart({.user = "alice", .lines = {{.sku = "tv"}}}, std::move(callback));
    });
  }
  absl::Status Enter() {
    return End<SaleEntry>(
        [&](auto callback) { connection_->EnterSale({.sku = "tv", .user = "alice"}, std::move(callback)); });
  }
  absl::Status EnterDraw() {
    return End<EnteredDraw>(
        [&](auto callback) { connection_->EnterDraw({.sku = "tv", .user = "alice"}, std::move(callback)); });
  }
  // As many claims as make the throttle refuse the next one.
  void Overload() {
    for (size_t i = 0; i <= kFree; ++i) {
      script_.create.push_back(OverloadedNode());
      EXPECT_EQ(ReasonOf(Claim()), Reason::kOverloaded);
    }
    ASSERT_EQ(script_.creates.size(), kFree + 1);
  }

  Script script_;
  ClientOptions options_;
  double random_ = 0;
  int draws_ = 0;
  std::shared_ptr<ManualScheduler> scheduler_ = std::make_shared<ManualScheduler>();
  std::unique_ptr<Connection> connection_;
};

TEST_F(ClientThrottleTest, AClaimThatIsRefusedHereIsNotSent) {
  OpenWithOneAttempt();
  Overload();
  const absl::Status refused = Claim();
  EXPECT_EQ(script_.creates.size(), kFree + 1);
  EXPECT_EQ(ReasonOf(refused), Reason::kOverloaded);
  EXPECT_EQ(refused.code(), OverloadedNode().code());
  EXPECT_EQ(ErrorMetadata(refused, "throttled"), "true");
  EXPECT_TRUE(absl::StrContains(refused.message(), "Not sent: ")) << refused;
  EXPECT_FALSE(IsOutcomeUnknown(refused));
  EXPECT_TRUE(script_.gets.empty()) << "nothing is in doubt";
  EXPECT_EQ(ReasonOf(ClaimCart()), Reason::kOverloaded) << "carts are claims";
  EXPECT_TRUE(script_.cart.requests.empty());
}

TEST_F(ClientThrottleTest, TheSameIdMayBeSentLater) {
  OpenWithOneAttempt();
  Overload();
  const CreateReservation request = {
      .sku = "tv", .user = "alice", .reservation_id = "01890000-0000-7000-8000-000000000001"};
  EXPECT_EQ(ReasonOf(Claim(request)), Reason::kOverloaded);
  scheduler_->Pass(options_.throttle.window);
  EXPECT_TRUE(Claim(request).ok()) << "the overload is a window ago";
  ASSERT_EQ(script_.creates.size(), kFree + 2);
  EXPECT_EQ(script_.creates.back().request.reservation_id(), request.reservation_id);
  EXPECT_FALSE(script_.creates.back().request.may_exist()) << "what was not sent has reserved nothing";
}

TEST_F(ClientThrottleTest, TheRefusalIsDeliveredLater) {
  OpenWithOneAttempt();
  Overload();
  std::optional<absl::Status> end;
  connection_->Create({.sku = "tv", .user = "alice"},
                      [&](absl::StatusOr<Reservation> answer) { end = answer.status(); });
  EXPECT_FALSE(end.has_value()) << "the caller may hold a lock that the callback takes";
  connection_.reset();
  ASSERT_TRUE(end.has_value()) << "the client waits for it";
  EXPECT_EQ(ReasonOf(*end), Reason::kOverloaded);
}

TEST_F(ClientThrottleTest, PaymentsPassWhileClaimsAreThrottled) {
  OpenWithOneAttempt();
  Overload();
  const std::string id = "01890000-0000-7000-8000-000000000001";
  for (size_t times = 1; times <= 100; ++times) {
    EXPECT_EQ(ReasonOf(Claim()), Reason::kOverloaded);
    EXPECT_TRUE(End<Confirmation>([&](auto callback) {
                  connection_->Confirm({.reservation_id = id}, std::move(callback));
                }).ok());
    EXPECT_TRUE(End<Reservation>([&](auto callback) {
                  connection_->Cancel({.reservation_id = id}, std::move(callback));
                }).ok());
    EXPECT_TRUE(End<Reservation>([&](auto callback) {
                  connection_->Extend({.reservation_id = id}, std::move(callback));
                }).ok());
    EXPECT_FALSE(End<Reservation>([&](auto callback) { connection_->Get(id, std::move(callback)); }).ok());
    EXPECT_EQ(script_.confirm.requests.size(), times);
    EXPECT_EQ(script_.cancel.requests.size(), times);
    EXPECT_EQ(script_.extend.requests.size(), times);
    EXPECT_EQ(script_.gets.size(), times);
  }
  EXPECT_EQ(script_.creates.size(), kFree + 1);
}

TEST_F(ClientThrottleTest, OverloadedPaymentsAreSentAllTheSame) {
  OpenWithOneAttempt();
  for (size_t i = 0; i < 10 * kFree; ++i) {
    script_.confirm.answers.push_back(OverloadedNode());
    EXPECT_EQ(ReasonOf(End<Confirmation>(
                  [&](auto callback) { connection_->Confirm({.reservation_id = "id"}, std::move(callback)); })),
              Reason::kOverloaded);
  }
  EXPECT_EQ(script_.confirm.requests.size(), 10 * kFree);
  EXPECT_TRUE(Claim().ok()) << "nor do they count for claims";
}

TEST_F(ClientThrottleTest, EntriesAndClaimsCountByThemselves) {
  OpenWithOneAttempt();
  Overload();
  EXPECT_TRUE(Enter().ok());
  for (size_t i = 0; i <= kFree + 1; ++i) {
    script_.enter_sale.answers.push_back(OverloadedNode());
    EXPECT_EQ(ReasonOf(Enter()), Reason::kOverloaded);
  }
  const size_t sent = script_.enter_sale.requests.size();
  EXPECT_EQ(ErrorMetadata(Enter(), "throttled"), "true");
  EXPECT_EQ(script_.enter_sale.requests.size(), sent);

  EXPECT_TRUE(EnterDraw().ok());
  for (size_t i = 0; i <= kFree + 1; ++i) {
    script_.enter_draw.answers.push_back(OverloadedNode());
    EXPECT_EQ(ReasonOf(EnterDraw()), Reason::kOverloaded);
  }
  EXPECT_EQ(ErrorMetadata(EnterDraw(), "throttled"), "true");
}

TEST_F(ClientThrottleTest, AFullLedgerOfDrawsHoldsNothingElseBack) {
  OpenWithOneAttempt();
  for (size_t i = 0; i <= 2 * kFree; ++i) {
    script_.enter_draw.answers.push_back(OverloadedNode());
    EXPECT_EQ(ReasonOf(EnterDraw()), Reason::kOverloaded);
  }
  EXPECT_EQ(ErrorMetadata(EnterDraw(), "throttled"), "true");
  EXPECT_TRUE(Enter().ok());
  EXPECT_TRUE(Claim().ok());
}

TEST_F(ClientThrottleTest, OnlyAClaimHasAReservationId) {
  OpenWithOneAttempt();
  Overload();
  EXPECT_TRUE(absl::StrContains(Claim().message(), "with the same reservation id"));
  for (size_t i = 0; i <= kFree + 1; ++i) {
    script_.enter_sale.answers.push_back(OverloadedNode());
    EXPECT_EQ(ReasonOf(Enter()), Reason::kOverloaded);
  }
  const absl::Status refused = Enter();
  EXPECT_TRUE(absl::StrContains(refused.message(), "Try again later")) << refused;
  EXPECT_FALSE(absl::StrContains(refused.message(), "reservation")) << refused;
}

TEST_F(ClientThrottleTest, AClaimInDoubtIsAlwaysSent) {
  OpenWithOneAttempt();
  Overload();
  const absl::Status end = Claim({.sku = "tv", .user = "alice", .reservation_id = "id", .retry_of_unknown = true});
  EXPECT_TRUE(end.ok()) << end;
  ASSERT_EQ(script_.creates.size(), kFree + 2);
  EXPECT_TRUE(script_.creates.back().request.may_exist());
}

TEST_F(ClientThrottleTest, DecisionsOfTheServiceAndLostNodesThrottleNobody) {
  OpenWithOneAttempt();
  const auto unavailable = [](const char* reason) { return NodeError(absl::StatusCode::kUnavailable, reason); };
  for (const absl::Status& answer :
       {SoldOut(), unavailable("EXHAUSTED_HERE"), unavailable("LEDGER_UNAVAILABLE"), unavailable("SKU_MOVING"),
        NodeError(absl::StatusCode::kResourceExhausted, "RATE_LIMITED"),
        NodeError(absl::StatusCode::kFailedPrecondition, "NOT_ADMITTED"), Refused()}) {
    SCOPED_TRACE(answer);
    for (size_t i = 0; i < 5 * kFree; ++i) {
      script_.create.push_back(answer);
      const size_t sent = script_.creates.size();
      EXPECT_EQ(Claim().message(), answer.message());
      ASSERT_EQ(script_.creates.size(), sent + 1);
    }
  }
  EXPECT_EQ(draws_, 0);
}

TEST_F(ClientThrottleTest, SilenceCountsAsOverload) {
  OpenWithOneAttempt();
  for (size_t i = 0; i <= kFree; ++i) {
    script_.create.push_back(absl::DeadlineExceededError("Deadline Exceeded"));
    EXPECT_TRUE(IsOutcomeUnknown(Claim()));
  }
  EXPECT_EQ(ErrorMetadata(Claim(), "throttled"), "true");
  EXPECT_EQ(script_.creates.size(), kFree + 1);
}

// First tries and retries count alike, and a call whose retry is refused tells what the node said.
TEST_F(ClientThrottleTest, RetriesAreThrottledToo) {
  options_.request_timeout = absl::Minutes(1);
  options_.retry.max_backoff = options_.retry.initial_backoff;
  Open();
  for (size_t i = 0; i < 10 * kFree; ++i) script_.create.push_back(OverloadedNode());
  EXPECT_FALSE(ErrorMetadata(Claim(), "throttled").has_value()) << "all attempts of one call are free";
  EXPECT_EQ(script_.creates.size(), static_cast<size_t>(options_.retry.max_attempts));
  const absl::Status refused = Claim();
  EXPECT_EQ(script_.creates.size(), kFree + 1);
  EXPECT_EQ(ReasonOf(refused), Reason::kOverloaded);
  EXPECT_TRUE(absl::StrContains(refused.message(), "Not sent again: ")) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), OverloadedNode().message())) << refused;
}

TEST_F(ClientThrottleTest, ARefusedRetryCostsNoToken) {
  options_.request_timeout = absl::Minutes(1);
  options_.retry.max_backoff = options_.retry.initial_backoff;
  options_.retry.budget_tokens = static_cast<double>(kFree) + 1;
  options_.retry.budget_refill = 0;
  options_.retry.max_attempts = 100;
  Open();
  for (size_t i = 0; i <= kFree; ++i) script_.create.push_back(OverloadedNode());
  EXPECT_EQ(ErrorMetadata(Claim(), "throttled"), "true");
  ASSERT_EQ(script_.creates.size(), kFree + 1) << "a first try and as many retries as are free";
  EXPECT_TRUE(connection_->environment().budget.TrySpend()) << "one token is left";
  EXPECT_FALSE(connection_->environment().budget.TrySpend());
}

TEST_F(ClientThrottleTest, ItMayBeSwitchedOff) {
  options_.throttle.enabled = false;
  OpenWithOneAttempt();
  for (size_t i = 0; i < 10 * kFree; ++i) {
    script_.create.push_back(OverloadedNode());
    EXPECT_FALSE(ErrorMetadata(Claim(), "throttled").has_value());
  }
  EXPECT_EQ(script_.creates.size(), 10 * kFree);
  EXPECT_EQ(draws_, 0);
}

TEST_F(ClientThrottleTest, WhatChanceLetsPassIsSent) {
  OpenWithOneAttempt();
  Overload();
  random_ = 0.99;
  EXPECT_TRUE(Claim().ok());
  EXPECT_EQ(script_.creates.size(), kFree + 2);
}

}  // namespace
}  // namespace tranche::internal
