// Claims and carts that are queued instead of being sold at once.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "quota/sale/cart_seller.h"
#include "quota/sale/noted_refusal.h"
#include "quota/sale/seller.h"
#include "storage/ledger/claim_refusal.h"
#include "tests/unit/quota/gate_fixture.h"

namespace tranche::quota {
namespace {

using storage::ReservationClaim;

class SellerQueueTest : public GateFixture {
 protected:
  SellerQueueTest() {
    gate_.closed = false;
    accept_queued_ = true;
    diversion_.queues = {"tv"};
  }

  static bool IsQueued(const ClaimAnswer& answer) {
    return answer->has_value() && std::holds_alternative<Queued>(**answer);
  }
  static bool IsQueued(const CartAnswer& answer) {
    return answer->has_value() && std::holds_alternative<Queued>(**answer);
  }
  // Its claims may be queued, as is announced.
  void SetPath(const std::string& sku_id, storage::ClaimPath path) {
    SkuTerms terms = *slice(sku_id).terms();
    terms.claim_path = path;
    terms.announced = true;
    slice(sku_id).SetTerms(terms);
  }
  static Queued Ticket() { return {.ticket = "t", .ahead = 3, .poll_after = {}, .decide_at = {}}; }
  static Refused Refusing(Refusal refusal) { return Refused{.refusal = refusal}; }
};

// Else a node that has no units would have to ask the ledger for the terms, and could not queue without it.
TEST_F(SellerQueueTest, TheTermsOfWhatIsQueuedAreWantedUntilTheyAreAnnounced) {
  int wanted = 0;
  slices_.SetListener(
      {.exhausted = {}, .incarnation_ended = {}, .terms_wanted = [&](const std::string&) { ++wanted; }});
  Give("tv", 1);
  SkuTerms terms = *slice("tv").terms();
  terms.announced = false;
  slice("tv").SetTerms(terms);
  const ClaimAnswer first = Sell(ClaimOf("tv"), /*may_exist=*/false, clock_.Now() + absl::Seconds(1));
  EXPECT_EQ(wanted, 1);
  SetPath("tv", storage::ClaimPath::kQueue);
  const ClaimAnswer second = Sell(ClaimOf("tv"), /*may_exist=*/false, clock_.Now() + absl::Seconds(1));
  EXPECT_EQ(wanted, 1);
  EXPECT_EQ(slice("tv").diverted(), 2);
  slices_.SetListener({});
  diversion_.AnswerAll(Ticket());
}

TEST_F(SellerQueueTest, AClaimThatIsQueuedTakesNoUnitAndIsNoDemand) {
  Give("tv", 1);
  const absl::Time deadline = clock_.Now() + absl::Seconds(1);
  const ReservationClaim claim = ClaimOf("tv");
  const ClaimAnswer answer = Sell(claim, /*may_exist=*/false, deadline);
  ASSERT_EQ(diversion_.queued.size(), 1u);
  EXPECT_EQ(diversion_.queued[0].lines.at(0).reservation_id, claim.reservation_id);
  EXPECT_FALSE(diversion_.queued[0].cart);
  EXPECT_EQ(diversion_.queued[0].deadline, deadline);
  EXPECT_FALSE(answer->has_value());
  EXPECT_EQ(Free("tv"), 1);
  diversion_.AnswerAll(Ticket());
  ASSERT_TRUE(IsQueued(answer));
  EXPECT_EQ(std::get<Queued>(**answer).ticket, "t");
  EXPECT_EQ(ledger_.commit_calls(), 0);
  EXPECT_EQ(slice("tv").denied() + slice("tv").granted(), 0);
}

TEST_F(SellerQueueTest, AnotherSkusClaimIsSold) {
  Give("cable", 1);
  EXPECT_TRUE(IsSold(Sell(ClaimOf("cable"))));
  EXPECT_TRUE(diversion_.queued.empty());
}

TEST_F(SellerQueueTest, WhoDoesNotAcceptItIsRefused) {
  accept_queued_ = false;
  Give("tv", 1);
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))).refusal, Refusal::kClaimsAreQueued);
  const CartRefused cart = RefusedAs(SellCart({ClaimOf("cable"), ClaimOf("tv")}));
  EXPECT_EQ(cart.refused.refusal, Refusal::kClaimsAreQueued);
  EXPECT_EQ(cart.sku_id, "tv");
  EXPECT_TRUE(diversion_.queued.empty());
  EXPECT_EQ(Free("tv"), 1);
}

TEST_F(SellerQueueTest, WhoJoinsAGroupGoesTheWayOfAnyClaim) {
  Give("tv", 1);
  ReservationClaim join = ClaimOf("tv");
  join.group = std::make_shared<const storage::GroupJoin>();
  const ClaimAnswer answer = Sell(join);
  ASSERT_EQ(diversion_.queued.size(), 1u);
  EXPECT_EQ(diversion_.queued[0].lines.at(0).group, join.group);
  EXPECT_FALSE(diversion_.queued[0].cart);
  diversion_.AnswerAll(Ticket());
  EXPECT_TRUE(IsQueued(answer));
  accept_queued_ = false;
  EXPECT_EQ(RefusedAs(Sell(join)).refusal, Refusal::kClaimsAreQueued);
  EXPECT_TRUE(diversion_.queued.empty());
  EXPECT_EQ(Free("tv"), 1);
  diversion_.refuses_who_does_not_accept = false;
  EXPECT_EQ(RefusedAs(Sell(join)).refusal, Refusal::kGroupNotFound) << "the ledger was asked";
}

TEST_F(SellerQueueTest, TermsAndTheGateComeFirst) {
  Give("tv", 1);
  gate_.closed = true;
  RefuseAtGate(Refusal::kRateLimited);
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))).refusal, Refusal::kRateLimited);
  ASSERT_TRUE(ledger_.CloseSku("tv", "test").ok());
  Announce("tv");
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))).refusal, Refusal::kSaleClosed);
  EXPECT_TRUE(diversion_.queued.empty());
}

TEST_F(SellerQueueTest, WhatIsFinallySoldOutIsNotQueued) {
  LeaveUnsold("tv", 0);
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))).refusal, Refusal::kSoldOut);
  EXPECT_TRUE(diversion_.queued.empty());
}

TEST_F(SellerQueueTest, AClaimThatHasWaitedAtTheGateIsQueuedAndWasAskedAboutOnce) {
  Give("tv", 1);
  gate_.closed = true;
  WaitAtGate(absl::Milliseconds(300));
  const ClaimAnswer answer = Sell(ClaimOf("tv"));
  EXPECT_TRUE(diversion_.queued.empty());
  gate_.CallParked();
  EXPECT_EQ(diversion_.queued.size(), 1u);
  EXPECT_EQ(gate_.checks, 1);
  diversion_.AnswerAll(Ticket());
  EXPECT_TRUE(IsQueued(answer));
}

TEST_F(SellerQueueTest, WhatTheQueueRefusesReachesTheCaller) {
  Give("tv", 1);
  const ClaimAnswer answer = Sell(ClaimOf("tv"));
  const CartAnswer cart = SellCart({ClaimOf("cable"), ClaimOf("tv")});
  diversion_.AnswerAll(Refusing(Refusal::kQueueFull));
  EXPECT_EQ(RefusedAs(answer).refusal, Refusal::kQueueFull);
  EXPECT_EQ(RefusedAs(cart).refused.refusal, Refusal::kQueueFull);
  EXPECT_EQ(RefusedAs(cart).sku_id, "tv") << "the one whose claims are queued";
}

// A claim that was sold before is not told that the queue is full.
TEST_F(SellerQueueTest, WhoMayHaveAReservationIsLookedUpIfItIsNotQueued) {
  Give("tv", 1);
  const ReservationClaim claim = ClaimOf("tv");
  diversion_.queues.clear();
  ASSERT_TRUE(IsSold(Sell(claim)));
  diversion_.queues = {"tv"};
  Give("tv", 1);
  for (const Refusal refusal : {Refusal::kQueueFull, Refusal::kQueueUnavailable, Refusal::kCommitUnknown}) {
    const ClaimAnswer again = Sell(claim, /*may_exist=*/true);
    diversion_.AnswerAll(Refusing(refusal));
    Work();
    ASSERT_TRUE(IsSold(again));
    EXPECT_TRUE(std::get<Sold>(**again).replayed);
  }
  accept_queued_ = false;
  EXPECT_TRUE(IsSold(Sell(claim, /*may_exist=*/true)));
}

// The confirm of an earlier try was lost, so the queue may have the claim.
TEST_F(SellerQueueTest, ARefusalOfWhatMayBeInTheQueueIsInTheLedgerFirst) {
  LeaveUnsold("tv", 0);
  SetPath("tv", storage::ClaimPath::kQueue);
  const ReservationClaim first = ClaimOf("tv");
  EXPECT_EQ(RefusedAs(Sell(first)).refusal, Refusal::kSoldOut);
  EXPECT_TRUE(absl::IsNotFound(ledger_.FindReservation(first.reservation_id).status())) << "a first try is in no queue";
  const ReservationClaim again = ClaimOf("tv");
  EXPECT_EQ(RefusedAs(Sell(again, /*may_exist=*/true)).refusal, Refusal::kSoldOut);
  const auto row = ledger_.FindReservation(again.reservation_id);
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_EQ(storage::RefusalOf(*row), Refusal::kSoldOut);
  const std::vector<ReservationClaim> lines = {ClaimOf("tv"), ClaimOf("tv")};
  EXPECT_EQ(RefusedAs(SellCart(lines, /*may_exist=*/true)).refused.refusal, Refusal::kSoldOut);
  for (const ReservationClaim& line : lines) EXPECT_TRUE(ledger_.FindReservation(line.reservation_id).ok());
}

TEST_F(SellerQueueTest, ARefusalOfADirectSkuWithoutABrokerNeedsNoRow) {
  LeaveUnsold("tv", 0);
  const ReservationClaim claim = ClaimOf("tv");
  EXPECT_EQ(RefusedAs(Sell(claim, /*may_exist=*/true)).refusal, Refusal::kSoldOut);
  EXPECT_TRUE(absl::IsNotFound(ledger_.FindReservation(claim.reservation_id).status()));
}

// It may have been queued before its SKU was sold directly.
TEST_F(SellerQueueTest, WithABrokerTheRefusalOfADirectSkuIsNotedToo) {
  diversion_.may_have_queued = true;
  diversion_.queues.clear();
  LeaveUnsold("tv", 0);
  const ReservationClaim first = ClaimOf("tv");
  EXPECT_EQ(RefusedAs(Sell(first)).refusal, Refusal::kSoldOut);
  EXPECT_TRUE(absl::IsNotFound(ledger_.FindReservation(first.reservation_id).status())) << "a first try is in no queue";
  const ReservationClaim again = ClaimOf("tv");
  EXPECT_EQ(RefusedAs(Sell(again, /*may_exist=*/true)).refusal, Refusal::kSoldOut);
  EXPECT_TRUE(ledger_.FindReservation(again.reservation_id).ok());
  const std::vector<ReservationClaim> lines = {ClaimOf("tv"), ClaimOf("tv")};
  EXPECT_EQ(RefusedAs(SellCart(lines, /*may_exist=*/true)).refused.refusal, Refusal::kSoldOut);
  for (const ReservationClaim& line : lines) EXPECT_TRUE(ledger_.FindReservation(line.reservation_id).ok());
}

// A consumer that has the claim waits for that, and then sells it.
TEST_F(SellerQueueTest, WhatAnOpeningMendsIsOpenForWhatMayBeInTheQueue) {
  Give("tv", 1);
  SkuTerms paused = *slice("tv").terms();
  paused.paused = true;
  SkuTerms closed_yet = *slice("tv").terms();
  closed_yet.opens_at = clock_.Now() + absl::Hours(1);
  for (const auto& [terms, refusal] :
       {std::pair{paused, Refusal::kSalePaused}, std::pair{closed_yet, Refusal::kSaleNotOpen}}) {
    slice("tv").SetTerms(terms);
    diversion_.may_have_queued = true;
    const std::vector<ReservationClaim> lines = {ClaimOf("tv"), ClaimOf("tv")};
    EXPECT_EQ(RefusedAs(Sell(lines[0])).refusal, refusal) << "a first try is in no queue";
    EXPECT_EQ(RefusedAs(Sell(lines[0], /*may_exist=*/true)).refusal, Refusal::kCommitUnknown);
    EXPECT_EQ(RefusedAs(SellCart(lines, /*may_exist=*/true)).refused.refusal, Refusal::kCommitUnknown);
    diversion_.may_have_queued = false;
    EXPECT_EQ(RefusedAs(Sell(lines[0], /*may_exist=*/true)).refusal, refusal) << "no broker, no queue";
    for (const ReservationClaim& line : lines) {
      EXPECT_TRUE(absl::IsNotFound(ledger_.FindReservation(line.reservation_id).status()));
    }
  }
}

TEST_F(SellerQueueTest, OnlyWhatDecidesAClaimForGoodIsNoted) {
  const auto noted = [](Refusal refusal) { return MustBeNoted("home", Refused{.refusal = refusal}); };
  EXPECT_TRUE(noted(Refusal::kSoldOut));
  EXPECT_TRUE(noted(Refusal::kSaleClosed));
  EXPECT_FALSE(noted(Refusal::kSalePaused));
  EXPECT_FALSE(noted(Refusal::kSaleNotOpen));
  EXPECT_FALSE(noted(Refusal::kQueueFull));
  EXPECT_FALSE(MustBeNoted("", Refused{.refusal = Refusal::kSoldOut}));
}

TEST_F(SellerQueueTest, WhatTimeMendsIsNoDecision) {
  Give("tv", 1);
  SetPath("tv", storage::ClaimPath::kQueue);
  const ReservationClaim claim = ClaimOf("tv");
  const ClaimAnswer answer = Sell(claim, /*may_exist=*/true);
  diversion_.AnswerAll(Refusing(Refusal::kQueueFull));
  Work();
  EXPECT_EQ(RefusedAs(answer).refusal, Refusal::kQueueFull);
  EXPECT_TRUE(absl::IsNotFound(ledger_.FindReservation(claim.reservation_id).status()));
}

TEST_F(SellerQueueTest, WhatTheLedgerSaysOfARefusalIsTold) {
  using storage::RefuseOutcome;
  const auto told = [](RefuseOutcome outcome, Refusal first = Refusal::kSoldOut) {
    storage::RefuseResult result{.outcome = outcome};
    result.reservation.state = storage::ReservationState::kCancelled;
    result.reservation.created_at = result.reservation.expires_at = absl::FromUnixSeconds(1);
    result.reservation.cancel_reason = storage::ToCancelReason(first);
    return RefusedAsNoted(result, Refused{.refusal = Refusal::kSoldOut, .holds_may_lapse = true});
  };
  EXPECT_TRUE(told(RefuseOutcome::kRefused).holds_may_lapse) << "with all that is known";
  EXPECT_EQ(told(RefuseOutcome::kReplayed, Refusal::kDeadlinePassed).refusal, Refusal::kDeadlinePassed);
  EXPECT_EQ(told(RefuseOutcome::kConflict).refusal, Refusal::kReservationIdReused);
  EXPECT_EQ(told(RefuseOutcome::kSkuMoving).refusal, Refusal::kCommitUnknown);
  EXPECT_EQ(RefusalNotNoted(absl::UnavailableError("down")), Refusal::kCommitUnknown);
  EXPECT_EQ(RefusalNotNoted(absl::ResourceExhaustedError("many")), Refusal::kOverloaded);
}

// As with the path "auto": the claim that may be in the queue is now tried directly.
TEST_F(SellerQueueTest, WhatTheLedgerRefusesOfItIsNotedToo) {
  Give("tv", 10);
  SetPath("tv", storage::ClaimPath::kAuto);
  diversion_.queues.clear();
  ASSERT_TRUE(IsSold(Sell(ClaimOf("tv", 5))));
  const ReservationClaim claim = ClaimOf("tv");
  EXPECT_EQ(RefusedAs(Sell(claim, /*may_exist=*/true)).refusal, Refusal::kUserLimitReached);
  EXPECT_TRUE(ledger_.FindReservation(claim.reservation_id).ok());
  const std::vector<ReservationClaim> lines = {ClaimOf("tv")};
  EXPECT_EQ(RefusedAs(SellCart(lines, /*may_exist=*/true)).refused.refusal, Refusal::kUserLimitReached);
  EXPECT_TRUE(ledger_.FindReservation(lines[0].reservation_id).ok());
}

// The ledger is away, and this node has no slice: what was announced is enough.
TEST_F(SellerQueueTest, ASkuThatIsOnlyAnnouncedIsQueuedWithoutTheLedger) {
  SkuTerms terms = TermsOf(*ledger_.GetSku("tv"));
  terms.announced = true;
  slices_.FindOrAdd("tv")->SetTerms(terms);
  ledger_.FailNext(100);
  const ClaimAnswer answer = Sell(ClaimOf("tv"));
  const CartAnswer cart = SellCart({ClaimOf("tv"), ClaimOf("tv")});
  ASSERT_EQ(diversion_.queued.size(), 2u);
  diversion_.AnswerAll(Ticket());
  EXPECT_TRUE(IsQueued(answer));
  EXPECT_TRUE(IsQueued(cart));
}

TEST_F(SellerQueueTest, ASkuThatNobodyHasAnnouncedIsLookedUpFirst) {
  const ClaimAnswer answer = Sell(ClaimOf("tv"));
  ASSERT_EQ(diversion_.queued.size(), 1u);
  diversion_.AnswerAll(Ticket());
  EXPECT_TRUE(IsQueued(answer));
}

TEST_F(SellerQueueTest, ADrainingNodeQueuesNothingMore) {
  Give("tv", 1);
  seller_.SetAccepting(false);
  carts_.SetAccepting(false);
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))).refusal, Refusal::kDraining);
  EXPECT_EQ(RefusedAs(SellCart({ClaimOf("tv")})).refused.refusal, Refusal::kDraining);
  EXPECT_TRUE(diversion_.queued.empty());
}

TEST_F(SellerQueueTest, OneSkuThatIsQueuedQueuesTheCart) {
  Give("cable", 1);
  Give("tv", 1);
  const std::vector<ReservationClaim> lines = {ClaimOf("cable"), ClaimOf("tv")};
  const CartAnswer answer = SellCart(lines);
  ASSERT_EQ(diversion_.queued.size(), 1u);
  EXPECT_TRUE(diversion_.queued[0].cart);
  EXPECT_EQ(diversion_.queued[0].sku_id, "tv") << "not the first line's";
  ASSERT_EQ(diversion_.queued[0].lines.size(), 2u);
  EXPECT_EQ(diversion_.queued[0].lines[1].reservation_id, lines[1].reservation_id);
  diversion_.AnswerAll(Ticket());
  EXPECT_TRUE(IsQueued(answer));
  EXPECT_EQ(Free("cable"), 1);
  EXPECT_EQ(Free("tv"), 1);
  EXPECT_EQ(carts_.unanswered(), 0);
}

TEST_F(SellerQueueTest, ACartWithoutVisitorsAcceptsNoQueue) {
  Give("tv", 1);
  std::optional<CartSale> answer;
  carts_.Sell({ClaimOf("tv")}, absl::InfiniteFuture(), false, [&](CartSale sale) { answer = std::move(sale); });
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(std::get<CartRefused>(*answer).refused.refusal, Refusal::kClaimsAreQueued);
}

}  // namespace
}  // namespace tranche::quota
