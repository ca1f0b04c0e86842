// What happens to carts that find units of a SKU missing.
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "quota/sale/cart_seller.h"
#include "quota/sale/seller.h"
#include "storage/fake/fake_ledger.h"
#include "storage/pipeline/commit_lane.h"
#include "tests/support/one_shard.h"

namespace tranche::quota {
namespace {

using storage::CommitLane;
using storage::IncarnationId;
using storage::QuotaDelta;
using storage::ReservationClaim;

// Runs tasks when it is told to.
class HeldExecutor : public storage::Executor {
 public:
  bool TryRun(absl::AnyInvocable<void()>& task) override {
    tasks_.push_back(std::move(task));
    return true;
  }
  bool RunOne() {
    if (tasks_.empty()) return false;
    absl::AnyInvocable<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    return true;
  }

 private:
  std::deque<absl::AnyInvocable<void()>> tasks_;
};

// A node that sells "cable" and "tv", without threads: the ledger decides when Work says so, units come when Give does.
class CartWaitingTest : public ::testing::Test {
 protected:
  // The answer to one request: none while it waits or is being committed.
  using CartAnswer = std::shared_ptr<std::optional<CartSale>>;
  using ClaimAnswer = std::shared_ptr<std::optional<SaleResult>>;

  CartWaitingTest() {
    for (const char* sku : {"cable", "tv"}) {
      EXPECT_TRUE(
          ledger_
              .CreateSku(
                  {.sku_id = sku, .title = "", .price_minor = 100, .currency = "EUR", .stock = 20, .per_user_limit = 5},
                  "test")
              .ok());
    }
    incarnation_ = *ledger_.RegisterIncarnation("node", "host:1");
    slices_.Begin(incarnation_);
    slices_.SetListener({.exhausted = [this] { ++exhausted_; }, .incarnation_ended = {}});
  }

  // The agent reads what the ledger says.
  void Announce(const std::string& sku_id) {
    const std::shared_ptr<Slice> slice = slices_.FindOrAdd(sku_id);
    slice->SetTerms(TermsOf(*ledger_.GetSku(sku_id)));
    const auto held = *ledger_.ListSlices(incarnation_);
    for (const auto& [id, now] : held) {
      if (id == sku_id) slice->counter().Apply(now.allotted, now.version);
    }
    slice->ClearWantedIfMet();
    slices_.NoteChanged(sku_id);
  }
  void Give(const std::string& sku_id, int64_t units) {
    ASSERT_TRUE(ledger_.MoveUnits(sku_id, {QuotaDelta{incarnation_, units}}, std::nullopt, "test").ok());
    Announce(sku_id);
  }
  // All but `units` of it are gone, everywhere.
  void LeaveUnsold(const std::string& sku_id, int64_t units) {
    ASSERT_TRUE(ledger_.ReduceStock(sku_id, ledger_.GetSku(sku_id)->unsold - units, std::nullopt, "test").ok());
    Announce(sku_id);
  }
  // The node holds slices of both SKUs, and they are dry.
  void HoldDrySlices() {
    for (const char* sku_id : {"cable", "tv"}) {
      Give(sku_id, 1);
      ASSERT_TRUE(IsSold(Ask("first", {Line(sku_id, 1)})));
    }
  }
  // The ledger decides everything that was sent to it.
  void Work() {
    while (executor_.RunOne() || lane_.Step() == CommitLane::Next::kStep) {
    }
  }

  ReservationClaim Line(const std::string& sku_id, int32_t quantity) {
    ReservationClaim line{.reservation_id = {}, .sku_id = sku_id, .user_id = "", .quantity = quantity};
    line.reservation_id.bytes[15] = next_id_++;
    return line;
  }
  CartAnswer Send(std::vector<ReservationClaim> lines, bool may_exist = false,
                  absl::Time deadline = absl::InfiniteFuture()) {
    CartAnswer answer = std::make_shared<std::optional<CartSale>>();
    carts_->Sell(std::move(lines), deadline, may_exist, [answer](CartSale sale) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = std::move(sale);
    });
    return answer;
  }
  CartAnswer Ask(const std::string& user, std::vector<ReservationClaim> lines,
                 absl::Time deadline = absl::InfiniteFuture()) {
    for (ReservationClaim& line : lines) line.user_id = user;
    CartAnswer answer = Send(std::move(lines), /*may_exist=*/false, deadline);
    Work();
    return answer;
  }
  ClaimAnswer AskForOne(const std::string& user, const std::string& sku_id, int32_t quantity = 1) {
    ReservationClaim claim = Line(sku_id, quantity);
    claim.user_id = user;
    ClaimAnswer answer = std::make_shared<std::optional<SaleResult>>();
    seller_->Sell(claim, absl::InfiniteFuture(), false, [answer](SaleResult result) { *answer = std::move(result); });
    Work();
    return answer;
  }

  static bool IsSold(const CartAnswer& answer) {
    return answer->has_value() && std::holds_alternative<CartSold>(**answer);
  }
  static bool IsSold(const ClaimAnswer& answer) {
    return answer->has_value() && std::holds_alternative<Sold>(**answer);
  }
  // kInternal stands for "not refused".
  static CartRefused RefusedAs(const CartAnswer& answer) {
    const auto* refused = answer->has_value() ? std::get_if<CartRefused>(&**answer) : nullptr;
    return refused == nullptr ? CartRefused{} : *refused;
  }
  void TimePasses(absl::Duration duration) {
    clock_.AdvanceBy(duration);
    room_.AnswerOverdue();
    Work();
  }
  Slice& slice(const std::string& sku_id) { return *slices_.Find(sku_id); }
  int64_t Free(const std::string& sku_id) { return slice(sku_id).counter().free(); }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  SliceTable slices_;
  HeldExecutor executor_;
  tranche::testing::OneShard shard_{&ledger_, &executor_, &clock_};
  SkuDirectory directory_{shard_.books(), &clock_};
  CommitLane lane_{&shard_.claims()};
  const WaitingOptions options_{.exhausted_wait = absl::Milliseconds(100), .max_waiting = 3};
  WaitingRoom room_{&slices_, &clock_, options_};
  std::unique_ptr<Seller> seller_ = std::make_unique<Seller>(&slices_, &directory_, shard_.books(), &clock_, &room_);
  std::unique_ptr<CartSeller> carts_ =
      std::make_unique<CartSeller>(&slices_, &directory_, shard_.books(), &clock_, &room_);
  IncarnationId incarnation_ = storage::kPool;
  int exhausted_ = 0;
  uint8_t next_id_ = 1;
};

// Field: a cart of the first unit of a SKU that nobody has asked for yet was sent from node to node.
TEST_F(CartWaitingTest, ACartOfAFreshSkuIsServedWhenItsUnitsCome) {
  const CartAnswer answer = Ask("a", {Line("tv", 1), Line("tv", 2)});
  EXPECT_FALSE(answer->has_value());
  EXPECT_EQ(room_.waiting("tv"), 1u);
  EXPECT_EQ(slice("tv").wanted(), 3) << "over all lines";
  EXPECT_EQ(slice("tv").denied(), 3);
  EXPECT_EQ(exhausted_, 1) << "said at once";
  Give("tv", 2);
  EXPECT_FALSE(answer->has_value());
  Give("tv", 1);
  EXPECT_EQ(room_.waiting("tv"), 0u);
  Work();
  ASSERT_TRUE(IsSold(answer));
  EXPECT_EQ(std::get<CartSold>(**answer).reservations.size(), 2u);
  EXPECT_EQ(Free("tv"), 0);
  EXPECT_EQ(slice("tv").in_flight(), 0);
  EXPECT_EQ(slice("tv").wanted(), 0);
  EXPECT_EQ(slice("tv").denied(), 3) << "counted once";
}

TEST_F(CartWaitingTest, WhileItWaitsItHoldsNothing) {
  HoldDrySlices();
  Give("cable", 2);
  const CartAnswer cart = Ask("a", {Line("cable", 2), Line("tv", 1)});
  EXPECT_EQ(room_.waiting("tv"), 1u);
  EXPECT_EQ(Free("cable"), 2);
  EXPECT_EQ(slice("cable").in_flight(), 0);
  EXPECT_EQ(carts_->unanswered(), 0);
  EXPECT_TRUE(IsSold(AskForOne("b", "cable"))) << "who comes may have them";
  // The tv comes, and now a cable is missing.
  Give("tv", 1);
  Work();
  EXPECT_FALSE(cart->has_value());
  EXPECT_EQ(room_.waiting("tv"), 0u);
  EXPECT_EQ(room_.waiting("cable"), 1u);
  EXPECT_EQ(slice("cable").wanted(), 2);
  EXPECT_EQ(Free("tv"), 1);
  EXPECT_EQ(Free("cable"), 1);
  EXPECT_EQ(slice("tv").in_flight(), 0);
  Give("cable", 1);
  Work();
  EXPECT_TRUE(IsSold(cart));
  EXPECT_EQ(Free("tv"), 0);
  EXPECT_EQ(Free("cable"), 0);
}

TEST_F(CartWaitingTest, AllThatItMissesIsDemandAtOnce) {
  HoldDrySlices();
  const CartAnswer cart = Ask("a", {Line("tv", 2), Line("cable", 3)});
  EXPECT_EQ(slice("tv").wanted(), 2);
  EXPECT_EQ(slice("cable").wanted(), 3);
  EXPECT_EQ(room_.waiting("cable") + room_.waiting("tv"), 1u);
  Give("tv", 2);
  EXPECT_FALSE(cart->has_value());
  Give("cable", 3);
  Work();
  EXPECT_TRUE(IsSold(cart));
}

TEST_F(CartWaitingTest, TwoCartsThatCrossDoNotBlockEachOther) {
  HoldDrySlices();
  const CartAnswer a = Ask("a", {Line("cable", 1), Line("tv", 1)});
  const CartAnswer b = Ask("b", {Line("tv", 1), Line("cable", 1)});
  // One of each comes: whoever has one of them would wait for the other for ever.
  Give("cable", 1);
  EXPECT_EQ(room_.waiting("tv"), 2u) << "both saw the cable, and neither has it";
  Give("tv", 1);
  Work();
  EXPECT_TRUE(IsSold(a)) << "it came first";
  EXPECT_FALSE(b->has_value());
  EXPECT_EQ(slice("tv").wanted(), 1) << "who still waits is still demand";
  Give("tv", 1);
  EXPECT_EQ(room_.waiting("cable"), 1u);
  EXPECT_EQ(slice("cable").wanted(), 1);
  EXPECT_EQ(Free("tv"), 1);
  Give("cable", 1);
  Work();
  EXPECT_TRUE(IsSold(b));
}

TEST_F(CartWaitingTest, CartsAndClaimsAreServedInTheOrderInWhichTheyCame) {
  HoldDrySlices();
  const CartAnswer cart = Ask("a", {Line("cable", 1), Line("tv", 1)});
  const ClaimAnswer claim = AskForOne("b", "tv");
  const CartAnswer late = Ask("c", {Line("tv", 1)});
  Give("cable", 1);
  Give("tv", 1);
  Work();
  EXPECT_TRUE(IsSold(cart)) << "it came before the others, to another line";
  Give("tv", 1);
  Work();
  EXPECT_TRUE(IsSold(claim));
  EXPECT_FALSE(late->has_value());
  Give("tv", 1);
  Work();
  EXPECT_TRUE(IsSold(late));
}

TEST_F(CartWaitingTest, ACartForMuchDoesNotHoldUpWhoWantsLittle) {
  HoldDrySlices();
  const CartAnswer much = Ask("much", {Line("tv", 4)});
  const ClaimAnswer little = AskForOne("little", "tv");
  Give("tv", 3);
  Work();
  EXPECT_TRUE(IsSold(little));
  EXPECT_FALSE(much->has_value());
  EXPECT_EQ(slice("tv").wanted(), 4);
}

TEST_F(CartWaitingTest, WhoHasWaitedLongEnoughIsToldWhichSkuIsMissing) {
  HoldDrySlices();
  Give("cable", 1);
  const CartAnswer cart = Ask("a", {Line("cable", 1), Line("tv", 1)});
  const CartAnswer hasty = Ask("b", {Line("tv", 1)}, clock_.Now() + absl::Milliseconds(30));
  TimePasses(absl::Milliseconds(30));
  EXPECT_EQ(RefusedAs(hasty).refused.refusal, Refusal::kExhaustedHere) << "its deadline has come";
  TimePasses(options_.exhausted_wait - absl::Milliseconds(31));
  EXPECT_FALSE(cart->has_value());
  TimePasses(absl::Milliseconds(1));
  EXPECT_EQ(RefusedAs(cart).refused.refusal, Refusal::kExhaustedHere);
  EXPECT_EQ(RefusedAs(cart).sku_id, "tv");
  Give("tv", 1);
  Work();
  EXPECT_EQ(Free("tv"), 1) << "nobody takes units for who has gone";
  EXPECT_EQ(Free("cable"), 1);
  EXPECT_EQ(RefusedAs(Ask("c", {Line("tv", 5)}, clock_.Now())).refused.refusal, Refusal::kExhaustedHere)
      << "no time to wait";
}

// The bound is for the whole wait, however often it goes on waiting for another SKU.
TEST_F(CartWaitingTest, WaitingForAnotherSkuTakesNoLonger) {
  HoldDrySlices();
  const CartAnswer cart = Ask("a", {Line("cable", 1), Line("tv", 1)});
  TimePasses(options_.exhausted_wait - absl::Milliseconds(1));
  Give("cable", 1);
  EXPECT_EQ(room_.waiting("tv"), 1u);
  TimePasses(absl::Milliseconds(1));
  EXPECT_EQ(RefusedAs(cart).refused.refusal, Refusal::kExhaustedHere);
  EXPECT_EQ(Free("cable"), 1);
}

TEST_F(CartWaitingTest, AtItsEndItFindsUnitsThatWokeNobody) {
  HoldDrySlices();
  const CartAnswer cart = Ask("a", {Line("cable", 1), Line("tv", 1)});
  slice("cable").counter().GiveBack(1);  // as after an error of the ledger
  slice("tv").counter().GiveBack(1);
  ledger_.MoveUnits("cable", {QuotaDelta{incarnation_, 1}}, std::nullopt, "test").value();
  ledger_.MoveUnits("tv", {QuotaDelta{incarnation_, 1}}, std::nullopt, "test").value();
  TimePasses(options_.exhausted_wait);
  EXPECT_TRUE(IsSold(cart));
}

TEST_F(CartWaitingTest, AHopelessCartLeavesAtOnceAndIsNoDemand) {
  HoldDrySlices();
  LeaveUnsold("tv", 1);
  const CartAnswer cart = Ask("a", {Line("cable", 1), Line("tv", 2)});
  EXPECT_EQ(RefusedAs(cart).refused.refusal, Refusal::kInsufficientUnits);
  EXPECT_EQ(RefusedAs(cart).refused.available, 1);
  EXPECT_EQ(RefusedAs(cart).sku_id, "tv");
  EXPECT_EQ(slice("cable").wanted(), 0) << "nobody needs its cable";
  EXPECT_EQ(slice("cable").denied(), 0);
  EXPECT_EQ(exhausted_, 0);
}

TEST_F(CartWaitingTest, TheEndOfTheSaleIsToldWhoWaits) {
  HoldDrySlices();
  const CartAnswer two = Ask("a", {Line("tv", 2)});
  const CartAnswer both = Ask("b", {Line("cable", 1), Line("tv", 1)});
  const CartAnswer one = Ask("c", {Line("tv", 1)});
  LeaveUnsold("tv", 1);
  EXPECT_EQ(RefusedAs(two).refused.refusal, Refusal::kInsufficientUnits);
  EXPECT_FALSE(one->has_value()) << "one unit exists, and may come";
  LeaveUnsold("tv", 0);
  EXPECT_EQ(RefusedAs(one).refused.refusal, Refusal::kSoldOut);
  // It waits for a cable, and hears of the tv when its wait ends, or the cable comes.
  TimePasses(options_.exhausted_wait);
  EXPECT_EQ(RefusedAs(both).refused.refusal, Refusal::kSoldOut);
  EXPECT_EQ(RefusedAs(both).sku_id, "tv");

  const CartAnswer closed = Ask("d", {Line("cable", 1)});
  EXPECT_FALSE(closed->has_value());
  ASSERT_TRUE(ledger_.CloseSku("cable", "test").ok());
  Announce("cable");
  EXPECT_EQ(RefusedAs(closed).refused.refusal, Refusal::kSaleClosed);
}

TEST_F(CartWaitingTest, APauseOfWhatItWaitsForIsToldAtOnce) {
  HoldDrySlices();
  const CartAnswer waiting = Ask("a", {Line("cable", 1), Line("tv", 1)});
  EXPECT_FALSE(waiting->has_value());
  ASSERT_TRUE(ledger_.SetSkuPaused("cable", true, "a break", std::nullopt, "test").ok());
  Announce("cable");
  EXPECT_EQ(RefusedAs(waiting).refused.refusal, Refusal::kSalePaused);
  EXPECT_EQ(RefusedAs(waiting).refused.pause_reason, "a break");
  EXPECT_EQ(RefusedAs(waiting).sku_id, "cable");
}

TEST_F(CartWaitingTest, OnlySoManyWaitCartsAndClaimsTogether) {
  HoldDrySlices();
  const CartAnswer a = Ask("a", {Line("cable", 1), Line("tv", 1)});
  const CartAnswer b = Ask("b", {Line("tv", 1)});
  const ClaimAnswer c = AskForOne("c", "tv");
  EXPECT_EQ(RefusedAs(Ask("d", {Line("tv", 1)})).refused.refusal, Refusal::kExhaustedHere);
  const ClaimAnswer e = AskForOne("e", "tv");
  ASSERT_TRUE(e->has_value());
  EXPECT_EQ(std::get<Refused>(**e).refusal, Refusal::kExhaustedHere);
  EXPECT_EQ(slice("tv").denied(), 5) << "demand all the same";
  Give("cable", 1);
  Give("tv", 3);
  Work();
  EXPECT_TRUE(IsSold(a) && IsSold(b) && IsSold(c));
}

TEST_F(CartWaitingTest, ADrainingNodeSendsThemAway) {
  HoldDrySlices();
  const CartAnswer a = Ask("a", {Line("tv", 1)});
  carts_->SetAccepting(false);
  room_.SetOpen(false);
  EXPECT_EQ(RefusedAs(a).refused.refusal, Refusal::kDraining);
  EXPECT_EQ(RefusedAs(Ask("b", {Line("tv", 1)})).refused.refusal, Refusal::kDraining);
}

TEST_F(CartWaitingTest, ItsEndAnswersEverybody) {
  HoldDrySlices();
  const CartAnswer a = Ask("a", {Line("tv", 1)});
  carts_.reset();
  EXPECT_EQ(RefusedAs(a).refused.refusal, Refusal::kDraining);
}

TEST_F(CartWaitingTest, WhoMayHaveACartIsLookedUpBeforeItIsSentAway) {
  Give("tv", 1);
  std::vector<ReservationClaim> lines = {Line("tv", 1)};
  lines[0].user_id = "a";
  const CartAnswer sold = Send(lines);
  Work();
  ASSERT_TRUE(IsSold(sold));
  const CartAnswer retry = Send(lines, /*may_exist=*/true);
  EXPECT_FALSE(retry->has_value());
  TimePasses(options_.exhausted_wait);
  ASSERT_TRUE(IsSold(retry));
  EXPECT_TRUE(std::get<CartSold>(**retry).replayed);
}

TEST_F(CartWaitingTest, WhoMayHaveACartStaysInDoubtAtTheDeadline) {
  Give("tv", 1);
  std::vector<ReservationClaim> lines = {Line("tv", 1)};
  lines[0].user_id = "a";
  const CartAnswer sold = Send(lines);
  Work();
  ASSERT_TRUE(IsSold(sold));
  const CartAnswer retry = Send(lines, /*may_exist=*/true, clock_.Now() + absl::Milliseconds(30));
  TimePasses(absl::Milliseconds(30));
  EXPECT_EQ(RefusedAs(retry).refused.refusal, Refusal::kCommitUnknown);
}

TEST_F(CartWaitingTest, UnitsThatARefusedCartGivesBackWakeWhoWaits) {
  Give("tv", 5);
  ASSERT_TRUE(IsSold(Ask("greedy", {Line("tv", 4)})));
  Give("tv", 1);
  // Above its limit of five, which only the ledger knows: it takes the last units for a moment.
  std::vector<ReservationClaim> more = {Line("tv", 2)};
  more[0].user_id = "greedy";
  const CartAnswer too_much = Send(more);
  std::vector<ReservationClaim> other = {Line("tv", 1)};
  other[0].user_id = "b";
  const CartAnswer waits = Send(other);
  EXPECT_EQ(room_.waiting("tv"), 1u);
  Work();
  EXPECT_EQ(RefusedAs(too_much).refused.refusal, Refusal::kUserLimitReached);
  EXPECT_TRUE(IsSold(waits));
  EXPECT_EQ(Free("tv"), 1);
}

// The slices are forgotten while carts wait for them.
TEST_F(CartWaitingTest, ANewIncarnationServesWhoWaited) {
  HoldDrySlices();
  Give("cable", 1);
  const CartAnswer cart = Ask("a", {Line("cable", 1), Line("tv", 1)});
  ASSERT_TRUE(ledger_.ReclaimIncarnation(incarnation_).ok());
  slices_.Begin(storage::kPool);
  incarnation_ = *ledger_.RegisterIncarnation("node", "host:1");
  slices_.Begin(incarnation_);
  Give("tv", 1);
  EXPECT_EQ(room_.waiting("cable"), 1u) << "the old slice is of no use";
  ASSERT_NE(slices_.Find("cable"), nullptr);
  EXPECT_EQ(slice("cable").wanted(), 1) << "demand of the new incarnation";
  Give("cable", 1);
  Work();
  EXPECT_TRUE(IsSold(cart));
}

}  // namespace
}  // namespace tranche::quota
