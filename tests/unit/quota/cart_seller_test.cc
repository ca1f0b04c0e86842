#include "quota/sale/cart_seller.h"

#include <optional>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "storage/bounded_executor.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/ledger_error.h"
#include "tests/support/one_shard.h"

namespace tranche::quota {
namespace {

using storage::FakeClock;
using storage::IncarnationId;
using storage::QuotaDelta;
using storage::ReservationClaim;

// Loses the answers of carts.
class FlakyLedger : public storage::FakeLedger {
 public:
  using FakeLedger::FakeLedger;

  absl::StatusOr<storage::CartResult> CommitCart(IncarnationId incarnation, storage::LockMode mode,
                                                 absl::Span<const ReservationClaim> lines) override {
    ++carts;
    if (deadlocks > 0) {
      --deadlocks;
      return storage::RetryTransactionError("deadlock");
    }
    if (lost > 0) {
      --lost;
      if (performed) FakeLedger::CommitCart(incarnation, mode, lines).IgnoreError();
      return storage::UnknownCommitError("lost");
    }
    return FakeLedger::CommitCart(incarnation, mode, lines);
  }

  int carts = 0;
  int lost = 0;
  bool performed = false;
  int deadlocks = 0;
};

// A node that holds slices of two SKUs, "tv" and "cable"; the test does the agent's part. Nobody waits here:
// cart_waiting_test.cc.
class CartSellerTest : public ::testing::Test {
 protected:
  CartSellerTest() {
    for (const char* sku : {"tv", "cable"}) {
      EXPECT_TRUE(
          ledger_
              .CreateSku(
                  {.sku_id = sku, .title = "", .price_minor = 100, .currency = "EUR", .stock = 10, .per_user_limit = 4},
                  "test")
              .ok());
    }
    incarnation_ = *ledger_.RegisterIncarnation("node", "host:1");
    slices_.Begin(incarnation_);
    slices_.SetListener({.exhausted = [this] { ++exhausted_; }, .incarnation_ended = {}});
  }

  // Gives the node units of the SKU and tells it so.
  void Hold(const std::string& sku_id, int64_t units) {
    ASSERT_TRUE(ledger_.MoveUnits(sku_id, {QuotaDelta{incarnation_, units}}, std::nullopt, "test").ok());
    Announce(sku_id);
  }
  void Announce(const std::string& sku_id) {
    const std::shared_ptr<Slice> slice = slices_.FindOrAdd(sku_id);
    slice->SetTerms(TermsOf(*ledger_.GetSku(sku_id)));
    const auto held = *ledger_.ListSlices(incarnation_);
    for (const auto& [id, now] : held) {
      if (id == sku_id) slice->counter().Apply(now.allotted, now.version);
    }
  }

  ReservationClaim Line(const std::string& sku_id, int32_t quantity, const std::string& user = "alice") {
    ReservationClaim line{.reservation_id = {}, .sku_id = sku_id, .user_id = user, .quantity = quantity};
    line.reservation_id.bytes[15] = next_id_++;
    return line;
  }

  CartSale Sell(std::vector<ReservationClaim> lines, bool may_exist = false,
                absl::Time deadline = absl::InfiniteFuture()) {
    absl::Notification answered;
    std::optional<CartSale> answer;
    seller_.Sell(std::move(lines), deadline, may_exist, [&](CartSale sale) {
      EXPECT_FALSE(answer.has_value()) << "answered twice";
      answer = std::move(sale);
      answered.Notify();
    });
    EXPECT_TRUE(answered.WaitForNotificationWithTimeout(absl::Seconds(10)));
    EXPECT_TRUE(seller_.AwaitAnswered(absl::Seconds(10)));
    return *answer;
  }
  static CartRefused Refused(const CartSale& sale) {
    const auto* refused = std::get_if<CartRefused>(&sale);
    EXPECT_NE(refused, nullptr) << "sold";
    return refused == nullptr ? CartRefused{} : *refused;
  }
  static const CartSold* Sold(const CartSale& sale) { return std::get_if<CartSold>(&sale); }

  int64_t Free(const std::string& sku_id) { return slices_.Find(sku_id)->counter().free(); }
  int64_t InFlight(const std::string& sku_id) { return slices_.Find(sku_id)->in_flight(); }
  int64_t LeftInLedger(const std::string& sku_id) { return ledger_.ReadQuota(sku_id)->slices.at(1).remaining; }

  FakeClock clock_;
  FlakyLedger ledger_{&clock_};
  SliceTable slices_;
  int exhausted_ = 0;
  storage::BoundedExecutor executor_{1, 10};
  tranche::testing::OneShard shard_{&ledger_, &executor_, &clock_};
  SkuDirectory directory_{shard_.books(), &clock_};
  WaitingRoom room_{&slices_, &clock_, {.exhausted_wait = absl::ZeroDuration(), .max_waiting = 10}};
  CartSeller seller_{&slices_, &directory_, shard_.books(), &clock_, &room_};
  IncarnationId incarnation_ = storage::kPool;
  uint8_t next_id_ = 1;
};

TEST_F(CartSellerTest, SellsAllLinesInTheirOrder) {
  Hold("tv", 3);
  Hold("cable", 3);
  const CartSale sale = Sell({Line("tv", 1), Line("cable", 2)});
  const CartSold* sold = Sold(sale);
  ASSERT_NE(sold, nullptr);
  ASSERT_EQ(sold->reservations.size(), 2u);
  EXPECT_EQ(sold->reservations[0].sku_id, "tv");
  EXPECT_EQ(sold->reservations[1].sku_id, "cable");
  EXPECT_EQ(sold->reservations[1].amount_minor, 200);
  EXPECT_FALSE(sold->replayed);
  EXPECT_EQ(Free("tv"), 2);
  EXPECT_EQ(Free("cable"), 1);
  EXPECT_EQ(InFlight("tv"), 0);
  EXPECT_EQ(LeftInLedger("cable"), 1);
}

TEST_F(CartSellerTest, TakesNothingWhenOneSkuIsDryAndMakesItDemand) {
  Hold("tv", 3);
  Hold("cable", 1);
  const CartRefused refused = Refused(Sell({Line("tv", 1), Line("cable", 2)}));
  EXPECT_EQ(refused.refused.refusal, Refusal::kExhaustedHere);
  EXPECT_EQ(refused.sku_id, "cable");
  EXPECT_EQ(Free("tv"), 3);
  EXPECT_EQ(Free("cable"), 1);
  EXPECT_EQ(InFlight("tv"), 0);
  EXPECT_EQ(slices_.Find("cable")->wanted(), 2) << "that is what the balancer must bring";
  EXPECT_EQ(slices_.Find("tv")->wanted(), 0);
  EXPECT_EQ(exhausted_, 1);
  EXPECT_EQ(ledger_.carts, 0) << "the ledger was not asked";
}

TEST_F(CartSellerTest, EverySkuThatIsDryIsDemand) {
  Hold("tv", 1);
  Hold("cable", 1);
  EXPECT_EQ(Refused(Sell({Line("tv", 2), Line("cable", 3)})).refused.refusal, Refusal::kExhaustedHere);
  EXPECT_EQ(slices_.Find("tv")->wanted(), 2);
  EXPECT_EQ(slices_.Find("cable")->wanted(), 3);
}

TEST_F(CartSellerTest, SoldOutIsSaidOfTheOneThatIs) {
  Hold("tv", 1);
  ASSERT_TRUE(ledger_.ReduceStock("cable", 10, std::nullopt, "test").ok());
  Announce("cable");
  const CartRefused refused = Refused(Sell({Line("tv", 2), Line("cable", 1)}));
  EXPECT_EQ(refused.refused.refusal, Refusal::kSoldOut);
  EXPECT_EQ(refused.sku_id, "cable");
  EXPECT_EQ(slices_.Find("tv")->wanted(), 0) << "a cart that cannot be sold wants nothing else either";
  EXPECT_EQ(slices_.Find("cable")->refused(), 1);
  EXPECT_EQ(slices_.Find("cable")->denied(), 0);
}

TEST_F(CartSellerTest, TooFewUnitsAnywhereAreSaidOfTheSkuThatHasThem) {
  ASSERT_TRUE(ledger_.ReduceStock("cable", 9, std::nullopt, "test").ok());
  Announce("cable");
  const CartRefused refused = Refused(Sell({Line("tv", 2), Line("cable", 1), Line("cable", 1)}));
  EXPECT_EQ(refused.refused.refusal, Refusal::kInsufficientUnits);
  EXPECT_EQ(refused.refused.available, 1);
  EXPECT_EQ(refused.sku_id, "cable");
  EXPECT_EQ(slices_.Find("cable")->wanted(), 0) << "what cannot be met is no demand";
}

TEST_F(CartSellerTest, LinesOfOneSkuCountTogetherAgainstStockAndLimit) {
  Hold("tv", 4);
  const CartRefused above = Refused(Sell({Line("tv", 3), Line("tv", 2)}));
  EXPECT_EQ(above.refused.refusal, Refusal::kQuantityAboveUserLimit);
  EXPECT_EQ(above.refused.per_user_limit, 4);
  EXPECT_EQ(Free("tv"), 4);
  ASSERT_NE(Sold(Sell({Line("tv", 1), Line("tv", 2)})), nullptr);
  EXPECT_EQ(Free("tv"), 1);
  EXPECT_EQ(Refused(Sell({Line("tv", 1, "bob"), Line("tv", 1, "bob")})).refused.refusal, Refusal::kExhaustedHere);
  EXPECT_EQ(Free("tv"), 1);
}

TEST_F(CartSellerTest, ALimitThatContradictsTheLedgerIsNotTold) {
  Hold("tv", 4);
  storage::Sku terms = *ledger_.GetSku("tv");
  terms.per_user_limit = 1;
  ASSERT_TRUE(ledger_.UpdateSku(terms, "test").ok());
  const CartRefused above = Refused(Sell({Line("tv", 2)}));
  EXPECT_EQ(above.refused.refusal, Refusal::kQuantityAboveUserLimit);
  EXPECT_EQ(above.refused.per_user_limit, 0) << "the node has not heard of the new one";
  Announce("tv");
  EXPECT_EQ(Refused(Sell({Line("tv", 2)})).refused.per_user_limit, 1);
}

TEST_F(CartSellerTest, WhatTheLedgerRefusesIsGivenBackOfEverySku) {
  Hold("tv", 5);
  Hold("cable", 5);
  ASSERT_NE(Sold(Sell({Line("tv", 3)})), nullptr);
  const CartRefused refused = Refused(Sell({Line("cable", 1), Line("tv", 2)}));
  EXPECT_EQ(refused.refused.refusal, Refusal::kUserLimitReached);
  EXPECT_EQ(refused.sku_id, "tv");
  EXPECT_EQ(refused.refused.per_user_limit, 4);
  EXPECT_EQ(Free("tv"), 2);
  EXPECT_EQ(Free("cable"), 5);
  EXPECT_EQ(LeftInLedger("cable"), 5);
}

TEST_F(CartSellerTest, ARepeatedCartIsAnsweredTheSameAndTakesNothing) {
  Hold("tv", 3);
  Hold("cable", 3);
  const std::vector<ReservationClaim> lines = {Line("tv", 1), Line("cable", 1)};
  const CartSale first = Sell(lines);
  const CartSale again = Sell(lines);
  ASSERT_NE(Sold(again), nullptr);
  EXPECT_TRUE(Sold(again)->replayed);
  EXPECT_EQ(Sold(again)->reservations[1].reservation_id, Sold(first)->reservations[1].reservation_id);
  EXPECT_EQ(Free("tv"), 2);
  EXPECT_EQ(Free("cable"), 2);

  // One of its lines is in another cart: neither a replay nor a new one.
  const CartRefused mixed = Refused(Sell({Line("cable", 1), lines[0]}));
  EXPECT_EQ(mixed.refused.refusal, Refusal::kReservationIdReused);
  EXPECT_EQ(mixed.reservation_id, lines[0].reservation_id);
  EXPECT_EQ(Free("cable"), 2);
}

TEST_F(CartSellerTest, ALostAnswerIsAskedForAgainUnderTheSameIds) {
  Hold("tv", 3);
  Hold("cable", 3);
  ledger_.lost = 1;
  ledger_.performed = true;
  const CartSale sale = Sell({Line("tv", 1), Line("cable", 1)});
  ASSERT_NE(Sold(sale), nullptr);
  EXPECT_EQ(ledger_.carts, 2);
  EXPECT_EQ(LeftInLedger("tv"), 2) << "committed once";
}

TEST_F(CartSellerTest, WhatStaysUnknownIsSaidSoAndFoundWithMayExist) {
  Hold("tv", 1);
  Hold("cable", 1);
  ledger_.lost = 100;
  ledger_.performed = true;
  const std::vector<ReservationClaim> lines = {Line("tv", 1), Line("cable", 1)};
  EXPECT_EQ(Refused(Sell(lines)).refused.refusal, Refusal::kCommitUnknown);
  EXPECT_LE(ledger_.carts, 5) << "a lost ledger is not asked for ever";
  ledger_.lost = 0;
  // The counters are too high now; refusals from memory come once they are corrected.
  slices_.Find("tv")->counter().GiveBack(-1);
  EXPECT_EQ(Refused(Sell(lines)).refused.refusal, Refusal::kExhaustedHere)
      << "without may_exist the node does not look";
  const CartSale found = Sell(lines, /*may_exist=*/true);
  ASSERT_NE(Sold(found), nullptr);
  EXPECT_TRUE(Sold(found)->replayed);
  EXPECT_EQ(Sold(found)->reservations[1].sku_id, "cable");
  EXPECT_EQ(Refused(Sell({Line("tv", 1)}, /*may_exist=*/true)).refused.refusal, Refusal::kExhaustedHere);
  std::vector<ReservationClaim> other = lines;
  other[0].user_id = other[1].user_id = "bob";
  const CartRefused of_another = Refused(Sell(other, /*may_exist=*/true));
  EXPECT_EQ(of_another.refused.refusal, Refusal::kReservationIdReused);
  EXPECT_EQ(of_another.reservation_id, lines[0].reservation_id);
}

TEST_F(CartSellerTest, DeadlocksAreTriedAgain) {
  Hold("tv", 1);
  ledger_.deadlocks = 3;
  EXPECT_NE(Sold(Sell({Line("tv", 1)})), nullptr);
}

TEST_F(CartSellerTest, AShortSliceIsMendedByOneUnit) {
  Hold("tv", 2);
  Hold("cable", 2);
  slices_.Find("tv")->counter().GiveBack(1);  // counted too high, as after a lost answer that was committed after all
  EXPECT_EQ(Refused(Sell({Line("tv", 3), Line("cable", 1)})).refused.refusal, Refusal::kExhaustedHere);
  EXPECT_EQ(Free("tv"), 2);
  EXPECT_EQ(Free("cable"), 2);
}

TEST_F(CartSellerTest, ADeadlinePassedSpendsNothing) {
  Hold("tv", 2);
  EXPECT_EQ(Refused(Sell({Line("tv", 1)}, false, clock_.Now())).refused.refusal, Refusal::kDeadlinePassed);
  EXPECT_EQ(Refused(Sell({Line("tv", 1)}, /*may_exist=*/true, clock_.Now())).refused.refusal, Refusal::kCommitUnknown)
      << "an earlier try may have been committed";
  EXPECT_EQ(ledger_.carts, 0);
  EXPECT_EQ(Free("tv"), 2);
}

TEST_F(CartSellerTest, UnknownSkusAreLookedUp) {
  Hold("tv", 2);
  const CartRefused unknown = Refused(Sell({Line("tv", 1), Line("nothing", 1)}));
  EXPECT_EQ(unknown.refused.refusal, Refusal::kSkuNotFound);
  EXPECT_EQ(unknown.sku_id, "nothing");
  EXPECT_EQ(Refused(Sell({Line("tv", 1), Line("cable", 1)})).refused.refusal, Refusal::kExhaustedHere)
      << "all of it is in the pool";
  EXPECT_EQ(slices_.Find("cable")->wanted(), 1);
}

TEST_F(CartSellerTest, RefusesWhileTheNodeDrains) {
  Hold("tv", 2);
  seller_.SetAccepting(false);
  EXPECT_EQ(Refused(Sell({Line("tv", 1)})).refused.refusal, Refusal::kDraining);
  seller_.SetAccepting(true);
  EXPECT_NE(Sold(Sell({Line("tv", 1)})), nullptr);
}

TEST_F(CartSellerTest, AReclaimedIncarnationIsToldSo) {
  Hold("tv", 2);
  IncarnationId ended = storage::kPool;
  slices_.SetListener({.exhausted = {}, .incarnation_ended = [&](IncarnationId id) { ended = id; }});
  ASSERT_TRUE(ledger_.ReclaimIncarnation(incarnation_).ok());
  EXPECT_EQ(Refused(Sell({Line("tv", 1)})).refused.refusal, Refusal::kExhaustedHere);
  EXPECT_EQ(ended, incarnation_);
}

}  // namespace
}  // namespace tranche::quota
