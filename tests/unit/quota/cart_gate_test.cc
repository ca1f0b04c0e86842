// What a cart goes through at the gate.
#include <optional>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "quota/sale/cart_seller.h"
#include "tests/unit/quota/gate_fixture.h"

namespace tranche::quota {
namespace {

using storage::ReservationClaim;

class CartGateTest : public GateFixture {};

TEST_F(CartGateTest, ACartIsAskedAboutAsOne) {
  Give("tv", 2);
  Give("cable", 1);
  EXPECT_TRUE(IsSold(SellCart({ClaimOf("tv"), ClaimOf("cable"), ClaimOf("tv")})));
  EXPECT_EQ(gate_.checks, 1);
  ASSERT_EQ(gate_.asked.size(), 3u) << "every line, in their order";
  EXPECT_EQ(gate_.asked[1].sku_id, "cable");
  EXPECT_EQ(gate_.asked[1].visitor.purchase_token, "token of cable");
  EXPECT_EQ(gate_.asked[2].visitor.purchase_token, "token of tv");
}

TEST_F(CartGateTest, ACartWithoutVisitorsIsAskedAboutWithoutThem) {
  Give("tv", 1);
  std::optional<CartSale> answer;
  carts_.Sell({ClaimOf("tv")}, absl::InfiniteFuture(), false, [&](CartSale sale) { answer = std::move(sale); });
  Work();
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(std::holds_alternative<CartSold>(*answer));
  ASSERT_EQ(gate_.asked.size(), 1u);
  EXPECT_EQ(gate_.asked[0].visitor.address, "");
  EXPECT_EQ(gate_.asked[0].visitor.purchase_token, "");
}

TEST_F(CartGateTest, AnOpenGateIsNotAsked) {
  Give("tv", 1);
  gate_.closed = false;
  RefuseAtGate(Refusal::kDenied);
  EXPECT_TRUE(IsSold(SellCart({ClaimOf("tv")})));
  EXPECT_EQ(gate_.checks, 0);
}

TEST_F(CartGateTest, ARefusalNamesTheLineAtFaultAndTakesNothing) {
  Give("tv", 1);
  Give("cable", 1);
  RefuseAtGate(Refusal::kPurchaseTokenRequired, /*line=*/1);
  const CartRefused refused = RefusedAs(SellCart({ClaimOf("tv"), ClaimOf("cable")}));
  EXPECT_EQ(refused.refused.refusal, Refusal::kPurchaseTokenRequired);
  EXPECT_EQ(refused.sku_id, "cable");
  EXPECT_EQ(Free("tv"), 1);
  EXPECT_EQ(Free("cable"), 1);
  EXPECT_EQ(slice("tv").in_flight() + slice("cable").in_flight(), 0);
}

TEST_F(CartGateTest, WhoIsDeniedIsDeniedWhateverTheSku) {
  Give("tv", 1);
  RefuseAtGate(Refusal::kDenied);
  const CartRefused refused = RefusedAs(SellCart({ClaimOf("tv")}));
  EXPECT_EQ(refused.refused.refusal, Refusal::kDenied);
  EXPECT_EQ(refused.sku_id, "");
}

TEST_F(CartGateTest, TermsAndUnitsThatAreGoneComeBeforeTheGate) {
  RefuseAtGate(Refusal::kDenied);
  Give("tv", 1);
  LeaveUnsold("tv", 1);
  const CartRefused refused = RefusedAs(SellCart({ClaimOf("cable"), ClaimOf("tv", 2)}));
  EXPECT_EQ(refused.refused.refusal, Refusal::kInsufficientUnits);
  EXPECT_EQ(refused.sku_id, "tv");
  ASSERT_TRUE(ledger_.CloseSku("tv", "test").ok());
  Announce("tv");
  EXPECT_EQ(RefusedAs(SellCart({ClaimOf("cable"), ClaimOf("tv")})).refused.refusal, Refusal::kSaleClosed);
  EXPECT_EQ(gate_.checks, 0);
}

TEST_F(CartGateTest, WhoMayHaveReservationsIsLookedUpBeforeTheGateRefuses) {
  Give("tv", 2);
  Give("cable", 2);
  const std::vector<ReservationClaim> lines = {ClaimOf("tv"), ClaimOf("cable")};
  ASSERT_TRUE(IsSold(SellCart(lines)));
  RefuseAtGate(Refusal::kRateLimited);
  const CartAnswer again = SellCart(lines, /*may_exist=*/true);
  ASSERT_TRUE(IsSold(again));
  EXPECT_TRUE(std::get<CartSold>(**again).replayed);
  EXPECT_EQ(RefusedAs(SellCart(lines)).refused.refusal, Refusal::kRateLimited);
}

TEST_F(CartGateTest, ACartThatWaitsIsSoldAfterItsWaitAndAskedAboutOnce) {
  Give("tv", 1);
  Give("cable", 1);
  WaitAtGate(absl::Milliseconds(300));
  const CartAnswer answer = SellCart({ClaimOf("tv"), ClaimOf("cable")});
  EXPECT_FALSE(answer->has_value());
  EXPECT_EQ(carts_.unanswered(), 0) << "the ledger knows nothing of it";
  EXPECT_EQ(Free("tv"), 1);
  gate_.CallParked();
  Work();
  EXPECT_TRUE(IsSold(answer));
  EXPECT_EQ(gate_.checks, 1);
}

TEST_F(CartGateTest, AfterItsWaitACartIsLookedAtAfresh) {
  Give("tv", 1);
  Give("cable", 1);
  WaitAtGate(absl::Milliseconds(300));
  const CartAnswer closed = SellCart({ClaimOf("tv"), ClaimOf("cable")});
  ASSERT_TRUE(ledger_.CloseSku("tv", "test").ok());
  Announce("tv");
  gate_.CallParked();
  Work();
  EXPECT_EQ(RefusedAs(closed).refused.refusal, Refusal::kSaleClosed);
  EXPECT_EQ(Free("cable"), 1);
}

TEST_F(CartGateTest, AfterItsWaitACartMayStillWaitForUnits) {
  Give("tv", 1);
  WaitAtGate(absl::Milliseconds(300));
  const CartAnswer answer = SellCart({ClaimOf("tv"), ClaimOf("tv")});
  gate_.CallParked();
  Work();
  EXPECT_FALSE(answer->has_value());
  EXPECT_EQ(room_.waiting("tv"), 1u);
  Give("tv", 1);
  Work();
  EXPECT_TRUE(IsSold(answer));
  EXPECT_EQ(gate_.checks, 1);
}

TEST_F(CartGateTest, ADrainingNodeSendsAwayWhoHasWaited) {
  Give("tv", 1);
  WaitAtGate(absl::Milliseconds(300));
  const CartAnswer answer = SellCart({ClaimOf("tv")});
  carts_.SetAccepting(false);
  gate_.CallParked();
  EXPECT_EQ(RefusedAs(answer).refused.refusal, Refusal::kDraining);
  EXPECT_EQ(Free("tv"), 1);
}

TEST_F(CartGateTest, WhoIsCalledAfterTheirDeadlineIsToldSo) {
  Give("tv", 1);
  WaitAtGate(absl::Milliseconds(300));
  const absl::Time deadline = clock_.Now() + absl::Milliseconds(301);
  const CartAnswer late = SellCart({ClaimOf("tv")}, false, deadline);
  EXPECT_EQ(gate_.deadline, deadline);
  TimePasses(absl::Milliseconds(301));
  gate_.CallParked();
  EXPECT_EQ(RefusedAs(late).refused.refusal, Refusal::kDeadlinePassed);
}

TEST_F(CartGateTest, AtAGateThatHasEndedNobodyWaits) {
  Give("tv", 1);
  WaitAtGate(absl::Seconds(1));
  gate_.ended = true;
  EXPECT_EQ(RefusedAs(SellCart({ClaimOf("tv")})).refused.refusal, Refusal::kDraining);
  EXPECT_EQ(Free("tv"), 1);
}

}  // namespace
}  // namespace tranche::quota
