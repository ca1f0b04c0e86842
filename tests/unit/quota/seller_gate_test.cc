// What a claim goes through at the gate.
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "quota/sale/seller.h"
#include "tests/unit/quota/gate_fixture.h"

namespace tranche::quota {
namespace {

using storage::ReservationClaim;

class SellerGateTest : public GateFixture {};

TEST_F(SellerGateTest, AClaimThatIsLetInIsSoldAndWasAskedAboutOnce) {
  Give("tv", 1);
  EXPECT_TRUE(IsSold(Sell(ClaimOf("tv"))));
  EXPECT_EQ(gate_.checks, 1);
  ASSERT_EQ(gate_.asked.size(), 1u);
  EXPECT_EQ(gate_.asked[0].sku_id, "tv");
  EXPECT_EQ(gate_.asked[0].user_id, "alice");
  EXPECT_EQ(gate_.asked[0].visitor.address, "203.0.113.7");
  EXPECT_EQ(gate_.asked[0].visitor.purchase_token, "token of tv");
}

TEST_F(SellerGateTest, AnOpenGateIsNotAsked) {
  Give("tv", 1);
  gate_.closed = false;
  RefuseAtGate(Refusal::kDenied);
  EXPECT_TRUE(IsSold(Sell(ClaimOf("tv"))));
  EXPECT_EQ(gate_.checks, 0);
}

TEST_F(SellerGateTest, ARefusalTakesNoUnitAndIsNoDemand) {
  Give("tv", 1);
  RefuseAtGate(Refusal::kDenied);
  gate_.on_check = [this] { EXPECT_EQ(Free("tv"), 1) << "asked before a unit is taken"; };
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))).refusal, Refusal::kDenied);
  EXPECT_EQ(Free("tv"), 1);
  EXPECT_EQ(slice("tv").in_flight(), 0);
  EXPECT_EQ(slice("tv").denied() + slice("tv").refused(), 0);
  EXPECT_EQ(ledger_.commit_calls(), 0);
}

TEST_F(SellerGateTest, WhatTheGateSaysReachesTheCaller) {
  Give("tv", 1);
  gate_.verdict.refused =
      Refused{.refusal = Refusal::kRateLimited, .retry_after = absl::Seconds(7), .about = "address"};
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))), *gate_.verdict.refused);
}

TEST_F(SellerGateTest, TermsAndASoldOutSaleComeBeforeTheGate) {
  RefuseAtGate(Refusal::kDenied);
  Give("tv", 1);
  LeaveUnsold("tv", 1);
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv", 2))).refusal, Refusal::kInsufficientUnits);
  EXPECT_EQ(slice("tv").refused(), 2);
  ASSERT_TRUE(ledger_.CloseSku("tv", "test").ok());
  Announce("tv");
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))).refusal, Refusal::kSaleClosed);
  EXPECT_EQ(gate_.checks, 0) << "costs nobody a try";
}

TEST_F(SellerGateTest, SoldOutComesBeforeTheGate) {
  gate_.closed = false;
  Give("tv", 1);
  LeaveUnsold("tv", 1);
  ASSERT_TRUE(IsSold(Sell(ClaimOf("tv"))));
  Announce("tv");
  gate_.closed = true;
  RefuseAtGate(Refusal::kDenied);
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))).refusal, Refusal::kSoldOut);
  EXPECT_EQ(gate_.checks, 0);
}

// A unit that has come back is sold, although the announcement still says that there is none.
TEST_F(SellerGateTest, AUnitThatIsHereIsNotSoldOut) {
  gate_.closed = false;
  Give("tv", 1);
  LeaveUnsold("tv", 1);
  ASSERT_TRUE(IsSold(Sell(ClaimOf("tv"))));
  Announce("tv");
  ASSERT_TRUE(slice("tv").terms()->sold_out());
  slice("tv").counter().GiveBack(1);
  gate_.closed = true;
  RefuseAtGate(Refusal::kDenied);
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))).refusal, Refusal::kDenied);
  EXPECT_EQ(gate_.checks, 1);
}

TEST_F(SellerGateTest, ASkuThatTheNodeHoldsNothingOfIsAskedAboutAfterItsLookUp) {
  RefuseAtGate(Refusal::kDenied);
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("unknown"))).refusal, Refusal::kSkuNotFound);
  EXPECT_EQ(gate_.checks, 0);
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))).refusal, Refusal::kDenied);
  EXPECT_EQ(gate_.checks, 1);
  EXPECT_EQ(slice("tv").wanted(), 0) << "who is not let in is no demand";
}

TEST_F(SellerGateTest, WhoWaitsForUnitsIsNotAskedAgain) {
  Give("tv", 1);
  ASSERT_TRUE(IsSold(Sell(ClaimOf("tv"))));
  gate_.checks = 0;
  const ClaimAnswer answer = Sell(ClaimOf("tv"));
  EXPECT_EQ(room_.waiting("tv"), 1u);
  RefuseAtGate(Refusal::kDenied);
  Give("tv", 1);
  Work();
  EXPECT_TRUE(IsSold(answer));
  EXPECT_EQ(gate_.checks, 1);
}

TEST_F(SellerGateTest, WhoMayHaveAReservationIsLookedUpBeforeTheGateRefuses) {
  Give("tv", 2);
  const ReservationClaim first = ClaimOf("tv");
  ASSERT_TRUE(IsSold(Sell(first)));
  RefuseAtGate(Refusal::kRateLimited);
  const ClaimAnswer again = Sell(first, /*may_exist=*/true);
  ASSERT_TRUE(IsSold(again));
  EXPECT_TRUE(std::get<Sold>(**again).replayed);
  EXPECT_EQ(RefusedAs(Sell(first)).refusal, Refusal::kRateLimited) << "without may_exist nobody looks";
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"), /*may_exist=*/true)).refusal, Refusal::kRateLimited);
}

TEST_F(SellerGateTest, AClaimThatWaitsIsSoldAfterItsWaitAndAskedAboutOnce) {
  Give("tv", 1);
  WaitAtGate(absl::Milliseconds(300));
  const ClaimAnswer answer = Sell(ClaimOf("tv"));
  EXPECT_FALSE(answer->has_value());
  EXPECT_EQ(gate_.waits, std::vector<absl::Duration>{absl::Milliseconds(300)});
  EXPECT_EQ(Free("tv"), 1) << "it holds nothing while it waits";
  TimePasses(absl::Milliseconds(300));
  gate_.CallParked();
  Work();
  EXPECT_TRUE(IsSold(answer));
  EXPECT_EQ(gate_.checks, 1);
}

TEST_F(SellerGateTest, AfterItsWaitAClaimIsLookedAtAfresh) {
  Give("tv", 1);
  WaitAtGate(absl::Milliseconds(300));
  const ClaimAnswer closed = Sell(ClaimOf("tv"));
  ASSERT_TRUE(ledger_.CloseSku("tv", "test").ok());
  Announce("tv");
  gate_.CallParked();
  EXPECT_EQ(RefusedAs(closed).refusal, Refusal::kSaleClosed);
  EXPECT_EQ(ledger_.commit_calls(), 0);
  EXPECT_EQ(Free("tv"), 1);
}

TEST_F(SellerGateTest, AfterItsWaitAClaimMayStillWaitForUnits) {
  Give("tv", 1);
  WaitAtGate(absl::Milliseconds(300));
  const ClaimAnswer answer = Sell(ClaimOf("tv"));
  gate_.verdict = {};
  ASSERT_TRUE(IsSold(Sell(ClaimOf("tv"))));
  gate_.CallParked();
  EXPECT_FALSE(answer->has_value());
  EXPECT_EQ(room_.waiting("tv"), 1u);
  Give("tv", 1);
  Work();
  EXPECT_TRUE(IsSold(answer));
}

TEST_F(SellerGateTest, ADrainingNodeSendsAwayWhoHasWaited) {
  Give("tv", 1);
  WaitAtGate(absl::Milliseconds(300));
  const ClaimAnswer answer = Sell(ClaimOf("tv"));
  seller_.SetAccepting(false);
  gate_.CallParked();
  EXPECT_EQ(RefusedAs(answer).refusal, Refusal::kDraining);
  EXPECT_EQ(Free("tv"), 1);
}

TEST_F(SellerGateTest, TheGateIsToldTheDeadline) {
  Give("tv", 1);
  const absl::Time deadline = clock_.Now() + absl::Milliseconds(300);
  EXPECT_TRUE(IsSold(Sell(ClaimOf("tv"), false, deadline)));
  EXPECT_EQ(gate_.deadline, deadline);
}

TEST_F(SellerGateTest, WhoIsCalledAfterTheirDeadlineIsToldSo) {
  Give("tv", 1);
  WaitAtGate(absl::Milliseconds(300));
  const ClaimAnswer answer = Sell(ClaimOf("tv"), false, clock_.Now() + absl::Milliseconds(301));
  TimePasses(absl::Milliseconds(301));
  gate_.CallParked();
  EXPECT_EQ(RefusedAs(answer).refusal, Refusal::kDeadlinePassed);
  EXPECT_EQ(Free("tv"), 1);
}

TEST_F(SellerGateTest, AtAGateThatHasEndedNobodyWaits) {
  Give("tv", 1);
  WaitAtGate(absl::Seconds(1));
  gate_.ended = true;
  EXPECT_EQ(RefusedAs(Sell(ClaimOf("tv"))).refusal, Refusal::kDraining);
  EXPECT_EQ(Free("tv"), 1);
}

}  // namespace
}  // namespace tranche::quota
