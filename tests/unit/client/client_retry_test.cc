// Retries, failover and their bounds.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/internal/connection.h"
#include "tests/unit/client/connection_fixture.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

using absl::StatusCode;

absl::Status Exhausted(absl::Duration delay = absl::ZeroDuration()) {
  return NodeError(StatusCode::kUnavailable, "EXHAUSTED_HERE", delay);
}

// Alice's claim, as the ledger has it.
tranche::v1::Reservation Committed() {
  tranche::v1::Reservation committed;
  committed.set_reservation_id("01890000-0000-7000-8000-000000000001");
  committed.set_sku_id("tv");
  committed.set_user_id("alice");
  committed.set_quantity(1);
  return committed;
}

class ClientRetryTest : public ConnectionFixture {
 protected:
  absl::StatusOr<Reservation> Create(CreateReservation request = {.sku = "tv", .user = "alice"}) {
    return Run(&Connection::Create, std::move(request));
  }

  std::set<std::string> IdsSeen() const {
    std::set<std::string> ids;
    for (const SeenCreate& seen : script_.creates) ids.insert(seen.request.reservation_id());
    return ids;
  }
  std::set<int> NodesSeen() const {
    std::set<int> nodes;
    for (const SeenCreate& seen : script_.creates) nodes.insert(seen.node);
    return nodes;
  }
};

TEST_F(ClientRetryTest, FirstAnswerIsEnough) {
  Open(3);
  const auto reservation = Create({.sku = "tv", .user = "alice", .quantity = 2});
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_EQ(reservation->user_id, "alice");
  EXPECT_EQ(reservation->quantity, 2);
  EXPECT_EQ(reservation->state, ReservationState::kPending);
  EXPECT_EQ(script_.creates.size(), 1u);
}

TEST_F(ClientRetryTest, GoesToAnotherNodeAtOnceWithTheSameId) {
  Open(3);
  script_.create = {Refused(), Exhausted(absl::Milliseconds(100))};
  const auto reservation = Create();
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_EQ(script_.creates.size(), 3u);
  EXPECT_EQ(NodesSeen().size(), 3u);
  EXPECT_EQ(IdsSeen().size(), 1u);
  EXPECT_TRUE(scheduler_->waits().empty()) << "RetryInfo binds only once every node was asked";
}

TEST_F(ClientRetryTest, KeepsTheCallersId) {
  Open(2);
  script_.create = {ConnectionLost()};
  const std::string id = "01890000-0000-7000-8000-000000000001";
  ASSERT_TRUE(Create({.sku = "tv", .user = "alice", .reservation_id = id}).ok());
  EXPECT_EQ(IdsSeen(), std::set<std::string>{id});
}

TEST_F(ClientRetryTest, ARefusalIsFinal) {
  for (const char* reason : {"SOLD_OUT", "SALE_NOT_OPEN", "USER_LIMIT_REACHED", "SKU_NOT_FOUND", "QUANTITY_INVALID"}) {
    SCOPED_TRACE(reason);
    script_ = {};
    options_.endpoints.clear();
    Open(3);
    script_.create = {NodeError(StatusCode::kFailedPrecondition, reason)};
    const auto reservation = Create();
    EXPECT_EQ(ReasonNameOf(reservation.status()), reason);
    EXPECT_EQ(script_.creates.size(), 1u);
    EXPECT_TRUE(script_.gets.empty());
  }
}

TEST_F(ClientRetryTest, SoldOutIsRecognised) {
  Open(1);
  script_.create = {SoldOut()};
  EXPECT_TRUE(IsSoldOut(Create().status()));
}

TEST_F(ClientRetryTest, AttemptsAreBounded) {
  options_.retry.max_attempts = 5;
  options_.request_timeout = absl::Hours(1);
  Open(2);
  for (int i = 0; i < 100; ++i) script_.create.push_back(Exhausted());
  EXPECT_EQ(ReasonOf(Create().status()), Reason::kExhaustedHere);
  EXPECT_EQ(script_.creates.size(), 5u);
}

TEST_F(ClientRetryTest, RetryInfoIsHonouredOnceAllNodesWereAsked) {
  Open(2);
  script_.create = {Exhausted(absl::Milliseconds(300)), Exhausted(absl::Milliseconds(300))};
  ASSERT_TRUE(Create().ok());
  EXPECT_THAT(scheduler_->waits(), testing::ElementsAre(absl::Milliseconds(300)));
}

TEST_F(ClientRetryTest, BackoffGrowsWithJitterToItsBound) {
  options_.retry.initial_backoff = absl::Milliseconds(10);
  options_.retry.max_backoff = absl::Milliseconds(40);
  Open(1);
  for (int i = 0; i < 4; ++i) script_.create.push_back(NodeError(StatusCode::kUnavailable, "OVERLOADED"));
  ASSERT_TRUE(Create().ok());
  ASSERT_EQ(scheduler_->waits().size(), 4u);
  const absl::Duration full[] = {absl::Milliseconds(10), absl::Milliseconds(20), absl::Milliseconds(40),
                                 absl::Milliseconds(40)};
  for (int i = 0; i < 4; ++i) {
    EXPECT_GE(scheduler_->waits()[i], full[i] / 2);
    EXPECT_LE(scheduler_->waits()[i], full[i]);
  }
}

TEST_F(ClientRetryTest, OverloadIsNotCarriedToTheNextNodeAtOnce) {
  Open(2);
  script_.create = {NodeError(StatusCode::kUnavailable, "LEDGER_UNAVAILABLE")};
  ASSERT_TRUE(Create().ok());
  EXPECT_EQ(NodesSeen().size(), 2u);
  EXPECT_EQ(scheduler_->waits().size(), 1u);
}

TEST_F(ClientRetryTest, EveryAttemptHasADeadlineWithinTheCalls) {
  options_.request_timeout = absl::Seconds(2);
  options_.attempt_timeout = absl::Milliseconds(1500);
  Open(2);
  const absl::Time start = scheduler_->Now();
  script_.during_create = [&] { scheduler_->Pass(absl::Milliseconds(1500)); };
  script_.create = {absl::DeadlineExceededError("Deadline Exceeded"), absl::DeadlineExceededError("Deadline Exceeded")};
  const auto reservation = Create();
  ASSERT_EQ(script_.creates.size(), 2u);
  EXPECT_EQ(script_.creates[0].deadline, start + absl::Milliseconds(1500));
  EXPECT_EQ(script_.creates[1].deadline, start + absl::Seconds(2));
  EXPECT_EQ(reservation.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(IsOutcomeUnknown(reservation.status()));
  EXPECT_EQ(ErrorMetadata(reservation.status(), "reservation_id"), *IdsSeen().begin());
}

TEST_F(ClientRetryTest, DoesNotWaitPastTheDeadline) {
  options_.request_timeout = absl::Milliseconds(200);
  Open(1);
  script_.create = {Exhausted(absl::Milliseconds(300))};
  EXPECT_EQ(ReasonOf(Create().status()), Reason::kExhaustedHere);
  EXPECT_EQ(scheduler_->waiting(), 0u);
}

TEST_F(ClientRetryTest, TheBudgetBoundsRetriesInAnOutage) {
  options_.retry.budget_tokens = 10;
  options_.retry.max_attempts = 4;
  options_.retry.budget_refill = 0;
  Open(2);
  for (int i = 0; i < 1000; ++i) script_.create.push_back(Refused());
  for (int call = 0; call < 100; ++call) EXPECT_FALSE(Create().ok());
  EXPECT_EQ(script_.creates.size(), 110u);
}

TEST_F(ClientRetryTest, AnswersRefillTheBudget) {
  options_.retry.budget_tokens = 1;
  options_.retry.budget_refill = 0.5;
  Open(2);
  script_.create = {Refused()};
  EXPECT_TRUE(Create().ok());  // spends the token, gets half a one back
  script_.create = {Refused()};
  EXPECT_FALSE(Create().ok());
  EXPECT_TRUE(Create().ok());
  script_.create = {Refused()};
  EXPECT_TRUE(Create().ok());
}

TEST_F(ClientRetryTest, AnEmptyNodeCostsNoBudget) {
  options_.retry.budget_tokens = 0;
  Open(4);
  script_.create = {Exhausted(), Exhausted(), Exhausted()};
  EXPECT_TRUE(Create().ok());
}

TEST_F(ClientRetryTest, ANodeThatFailedIsLeftAloneForAWhile) {
  Open(2);
  script_.create = {Refused()};
  ASSERT_TRUE(Create().ok());
  const int dead = script_.creates[0].node;
  script_.creates.clear();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Create().ok());
  EXPECT_FALSE(NodesSeen().contains(dead));
  scheduler_->Pass(NodeSet::kMaxAvoid);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Create().ok());
  EXPECT_TRUE(NodesSeen().contains(dead));
}

TEST_F(ClientRetryTest, ANodeThatRefusesAgainAndAgainIsLeftAloneForAGrowingTime) {
  NodeSet set{std::vector<std::shared_ptr<Stub>>(1)};
  absl::Time now = scheduler_->Now();
  absl::Duration avoided = NodeSet::kMinAvoid;
  for (int failures = 0; failures < 20; ++failures) {
    ASSERT_TRUE(set.HasHealthy(0, now)) << failures;
    set.Avoid(0, now);
    // The other calls that were in flight when it died.
    set.Avoid(0, now);
    EXPECT_FALSE(set.HasHealthy(0, now + avoided - absl::Nanoseconds(1))) << failures;
    now += avoided;
    avoided = std::min(2 * avoided, NodeSet::kMaxAvoid);
  }
  set.Avoid(0, now);
  set.MarkHealthy(0);
  EXPECT_TRUE(set.HasHealthy(0, now)) << "it has answered";
  set.Avoid(0, now);
  EXPECT_TRUE(set.HasHealthy(0, now + NodeSet::kMinAvoid));
}

TEST_F(ClientRetryTest, CallsGoRoundTheNodes) {
  Open(4);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Create().ok());
  EXPECT_EQ(NodesSeen().size(), 4u);
}

TEST_F(ClientRetryTest, ADeadNodesCallsSpreadEvenlyOverTheOthers) {
  for (int nodes = 2; nodes <= 5; ++nodes) {
    SCOPED_TRACE(nodes);
    script_ = {};
    options_.endpoints.clear();
    Open(nodes);
    connection_->environment().nodes.Avoid(0, scheduler_->Now());
    constexpr int kEach = 150;
    for (int i = 0; i < kEach * (nodes - 1); ++i) ASSERT_TRUE(Create().ok());
    std::vector<int> calls(nodes);
    for (const SeenCreate& seen : script_.creates) ++calls[seen.node];
    EXPECT_EQ(calls[0], 0);
    for (int node = 1; node < nodes; ++node) EXPECT_EQ(calls[node], kEach) << "node " << node;
  }
}

// With two nodes and turns that only alternate, one node would get all the claims and the other all the look-ups.
TEST_F(ClientRetryTest, CallersWhoTakeTurnsDoNotGetTheSameNodesAgainAndAgain) {
  for (int nodes = 2; nodes <= 5; ++nodes) {
    SCOPED_TRACE(nodes);
    NodeSet set{std::vector<std::shared_ptr<Stub>>(nodes)};
    std::vector<int> claims(nodes);
    constexpr int kEach = 1000;
    for (int i = 0; i < kEach * nodes; ++i) {
      ++claims[set.Pick(0, scheduler_->Now())];
      set.Pick(0, scheduler_->Now());
    }
    for (int node = 0; node < nodes; ++node) EXPECT_NEAR(claims[node], kEach, kEach / 10) << "node " << node;
  }
}

// As when a node has just died and nobody knows it yet, or when it is the only one that is empty.
TEST_F(ClientRetryTest, WhatOneNodeCannotAnswerSpreadsEvenlyOverTheOthers) {
  for (int nodes = 2; nodes <= 5; ++nodes) {
    SCOPED_TRACE(nodes);
    NodeSet set{std::vector<std::shared_ptr<Stub>>(nodes)};
    std::vector<int> retries(nodes);
    constexpr int kEach = 60;  // divisible by the number of the others
    for (int i = 0; i < kEach * nodes; ++i) {
      if (set.Pick(0, scheduler_->Now()) == 0) ++retries[set.Pick(1, scheduler_->Now())];
    }
    for (int node = 1; node < nodes; ++node) EXPECT_EQ(retries[node], kEach / (nodes - 1)) << "node " << node;
  }
}

TEST_F(ClientRetryTest, WithoutFailoverACallStaysWithItsNode) {
  options_.failover = false;
  Open(4);
  script_.create = {Exhausted(), Exhausted(), Exhausted()};
  ASSERT_TRUE(Create().ok());
  EXPECT_EQ(script_.creates.size(), 4u);
  EXPECT_EQ(NodesSeen().size(), 1u);
}

TEST_F(ClientRetryTest, ARefusalAfterALostAnswerIsCheckedAgainstTheLedger) {
  Open(2);
  // The first node committed the claim and died before it answered; the second only knows that nothing is left.
  script_.create = {ConnectionLost(), SoldOut()};
  script_.get = {Committed()};
  const auto reservation = Create({.sku = "tv", .user = "alice", .reservation_id = Committed().reservation_id()});
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_TRUE(reservation->replayed);
  EXPECT_THAT(script_.gets, testing::ElementsAre(Committed().reservation_id()));
}

TEST_F(ClientRetryTest, ARefusalAfterALostAnswerStandsWhenTheLedgerKnowsNoClaim) {
  Open(2);
  script_.create = {ConnectionLost(), SoldOut()};
  script_.get = {NotFound(), NotFound()};
  EXPECT_TRUE(IsSoldOut(Create().status()));
  EXPECT_EQ(script_.gets.size(), 2u);
}

TEST_F(ClientRetryTest, ALookUpMayOvertakeTheCommit) {
  Open(2);
  script_.create = {ConnectionLost(), SoldOut()};
  script_.get = {NotFound(), Committed()};
  const auto reservation = Create({.sku = "tv", .user = "alice", .reservation_id = Committed().reservation_id()});
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_EQ(scheduler_->waits().size(), 1u);
  EXPECT_EQ(script_.gets_after_lost_answer, 2u) << "what it finds must survive a failover";
}

TEST_F(ClientRetryTest, WithoutTimeToLookTwiceTheOutcomeIsUnknown) {
  options_.request_timeout = absl::Milliseconds(200);
  Open(2);
  script_.create = {ConnectionLost(), SoldOut()};
  script_.get = {NotFound(), NotFound()};
  EXPECT_TRUE(IsOutcomeUnknown(Create().status()));
}

TEST_F(ClientRetryTest, ARefusalAfterALostAnswerIsUnknownWhenTheLedgerIsSilent) {
  Open(2);
  script_.create = {ConnectionLost(), SoldOut()};
  for (int i = 0; i < 50; ++i) script_.get.push_back(NodeError(StatusCode::kUnavailable, "LEDGER_UNAVAILABLE"));
  const auto reservation = Create();
  EXPECT_TRUE(IsOutcomeUnknown(reservation.status())) << reservation.status();
  EXPECT_FALSE(IsSoldOut(reservation.status()));
}

// "Not now" to the end says as much as "no": this claim was not made.
TEST_F(ClientRetryTest, WhatWasLookedUpTwiceInVainIsNotUnknown) {
  for (const char* reason : {"EXHAUSTED_HERE", "DRAINING", "OVERLOADED", "LEDGER_UNAVAILABLE", "SKU_MOVING"}) {
    SCOPED_TRACE(reason);
    script_ = {};
    options_.endpoints.clear();
    Open(2);
    script_.create = {ConnectionLost()};
    for (int i = 0; i < 100; ++i) script_.create.push_back(NodeError(StatusCode::kUnavailable, reason));
    script_.get = {NotFound(), NotFound()};
    const absl::Status status = Create().status();
    EXPECT_EQ(ReasonNameOf(status), reason) << status;
    EXPECT_EQ(script_.gets.size(), 2u);
  }
}

// Waits are long, as an empty node asks for them: time for two look-ups must be left.
TEST_F(ClientRetryTest, ADoubtIsSettledWithinTheDeadline) {
  Open(1);
  for (int i = 0; i < 100; ++i) script_.create.push_back(Exhausted(absl::Milliseconds(300)));
  script_.get = {NotFound(), NotFound()};
  const absl::Time start = scheduler_->Now();
  const auto reservation = Create({.sku = "tv", .user = "alice", .reservation_id = "id", .retry_of_unknown = true});
  EXPECT_EQ(ReasonOf(reservation.status()), Reason::kExhaustedHere) << reservation.status();
  EXPECT_LE(scheduler_->Now() - start, options_.request_timeout);
  EXPECT_GE(scheduler_->Now() - start, options_.request_timeout / 2) << "it gave up early";
}

TEST_F(ClientRetryTest, WithoutADoubtTheWholeTimeIsForAttempts) {
  options_.retry.max_attempts = 100;
  Open(1);
  for (int i = 0; i < 100; ++i) script_.create.push_back(Exhausted(absl::Milliseconds(300)));
  const absl::Time start = scheduler_->Now();
  EXPECT_EQ(ReasonOf(Create().status()), Reason::kExhaustedHere);
  EXPECT_GT(scheduler_->Now() - start, options_.request_timeout - absl::Milliseconds(500));
}

// The last answer was lost as well: what it was about may still be on its way to the ledger.
TEST_F(ClientRetryTest, ALostLastAnswerStaysUnknownAfterTwoLookUps) {
  options_.retry.max_attempts = 2;
  Open(2);
  script_.create = {ConnectionLost(), ConnectionLost()};
  script_.get = {NotFound(), NotFound()};
  EXPECT_TRUE(IsOutcomeUnknown(Create().status()));
}

TEST_F(ClientRetryTest, AConnectionThatNeverCameAboutLeavesNoDoubt) {
  Open(2);
  script_.create = {Refused(), SoldOut()};
  EXPECT_TRUE(IsSoldOut(Create().status()));
  EXPECT_TRUE(script_.gets.empty());
}

TEST_F(ClientRetryTest, ARetryOfAnUnknownOutcomeChecksEveryRefusal) {
  Open(1);
  script_.create = {SoldOut()};
  script_.get = {NotFound(), NotFound()};
  const auto reservation = Create({.sku = "tv", .user = "alice", .reservation_id = "id", .retry_of_unknown = true});
  EXPECT_TRUE(IsSoldOut(reservation.status()));
  EXPECT_EQ(script_.gets.size(), 2u);
}

TEST_F(ClientRetryTest, AClaimOfSomebodyElseIsNotTakenForOurs) {
  Open(1);
  script_.create = {NodeError(StatusCode::kAlreadyExists, "RESERVATION_ID_REUSED")};
  tranche::v1::Reservation other;
  other.set_reservation_id("id");
  other.set_sku_id("tv");
  other.set_user_id("bob");
  other.set_quantity(1);
  script_.get = {other};
  const auto reservation = Create({.sku = "tv", .user = "alice", .reservation_id = "id", .retry_of_unknown = true});
  EXPECT_EQ(ReasonOf(reservation.status()), Reason::kReservationIdReused);
}

// An older node without order references: it drops the request's, and returns none. The reservation is ours all the
// same.
TEST_F(ClientRetryTest, AnOlderNodeThatDropsTheOrderReferenceDoesNotHideTheReservation) {
  Open(1);
  script_.create = {SoldOut(), SoldOut()};
  tranche::v1::Reservation found;
  found.set_reservation_id("id");
  found.set_sku_id("tv");
  found.set_user_id("alice");
  found.set_quantity(1);
  script_.get = {found, found};
  CreateReservation request{.sku = "tv", .user = "alice", .reservation_id = "id", .retry_of_unknown = true};
  request.order_reference = "A-1";
  EXPECT_TRUE(Create(request)->replayed);
  found.set_order_reference("A-2");
  script_.get = {found};
  EXPECT_TRUE(IsSoldOut(Create(request).status())) << "another payload";
}

TEST_F(ClientRetryTest, ClosingEndsTheCallsThatWait) {
  Open(1);
  script_.create = {Exhausted(absl::Milliseconds(500))};
  absl::StatusOr<Reservation> result = absl::UnknownError("not answered");
  connection_->Create({.sku = "tv", .user = "alice"}, [&](absl::StatusOr<Reservation> answer) { result = answer; });
  connection_.reset();
  EXPECT_EQ(ReasonOf(result.status()), Reason::kExhaustedHere);
  EXPECT_EQ(script_.creates.size(), 1u);
}

TEST_F(ClientRetryTest, GetIsRetriedToo) {
  Open(2);
  script_.get = {ConnectionLost(), NotFound()};
  absl::StatusOr<Reservation> result = absl::UnknownError("not answered");
  connection_->Get("id", [&](absl::StatusOr<Reservation> answer) { result = answer; });
  EXPECT_EQ(ReasonOf(result.status()), Reason::kReservationNotFound);
  EXPECT_EQ(script_.gets.size(), 2u);
}

}  // namespace
}  // namespace tranche::internal
