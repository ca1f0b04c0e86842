// What happens to requests that find the slice dry.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "quota/sale/seller.h"
#include "storage/fake/fake_ledger.h"
#include "storage/pipeline/commit_lane.h"
#include "tests/support/inline_executor.h"
#include "tests/support/one_shard.h"

namespace tranche::quota {
namespace {

using storage::CommitLane;
using storage::IncarnationId;
using storage::QuotaDelta;
using storage::ReservationClaim;

// A node's selling side without threads: the ledger decides when the lane is stepped, units come when Give says so.
class SellerWaitingTest : public ::testing::Test {
 protected:
  // The answer to one request: none while it waits or is being committed.
  using Answer = std::shared_ptr<std::optional<SaleResult>>;

  SellerWaitingTest() {
    EXPECT_TRUE(
        ledger_
            .CreateSku(
                {.sku_id = "tv", .title = "", .price_minor = 100, .currency = "EUR", .stock = 20, .per_user_limit = 5},
                "test")
            .ok());
    incarnation_ = *ledger_.RegisterIncarnation("node", "host:1");
    slices_.Begin(incarnation_);
    slices_.SetListener({.exhausted = [this] { ++exhausted_; }, .incarnation_ended = {}});
  }

  static WaitingOptions Options() {
    WaitingOptions options;
    options.exhausted_wait = absl::Milliseconds(100);
    options.max_waiting = 3;
    return options;
  }

  // The agent reads what the ledger says.
  void Announce() {
    const std::shared_ptr<Slice> slice = slices_.FindOrAdd("tv");
    slice->SetTerms(TermsOf(*ledger_.GetSku("tv")));
    const auto slices = *ledger_.ListSlices(incarnation_);
    for (const auto& [sku_id, held] : slices) {
      slice->counter().Apply(held.allotted, held.version);
      slice->ClearWantedIfMet();
    }
    slices_.NoteChanged("tv");
  }
  void Give(int64_t units) {
    ASSERT_TRUE(ledger_.MoveUnits("tv", {QuotaDelta{incarnation_, units}}, std::nullopt, "test").ok());
    Announce();
  }
  // The node holds a slice, and it is dry.
  void HoldADrySlice() {
    Give(1);
    const Answer answer = Ask("first");
    Commit();
    ASSERT_TRUE(IsSold(answer));
  }
  void Commit() {
    while (lane_.Step() == CommitLane::Next::kStep) {
    }
  }

  ReservationClaim ClaimOf(const std::string& user, int32_t quantity = 1) {
    ReservationClaim claim{.reservation_id = {}, .sku_id = "tv", .user_id = user, .quantity = quantity};
    claim.reservation_id.bytes[15] = next_id_++;
    return claim;
  }
  Answer Sell(const ReservationClaim& claim, bool may_exist = false, absl::Time deadline = absl::InfiniteFuture()) {
    Answer answer = std::make_shared<std::optional<SaleResult>>();
    seller_->Sell(claim, deadline, may_exist, [answer](SaleResult result) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = std::move(result);
    });
    return answer;
  }
  Answer Ask(const std::string& user, int32_t quantity = 1) { return Sell(ClaimOf(user, quantity)); }

  static bool IsSold(const Answer& answer) { return answer->has_value() && std::holds_alternative<Sold>(**answer); }
  static std::optional<Refusal> RefusalOf(const Answer& answer) {
    if (!answer->has_value() || IsSold(answer)) return std::nullopt;
    return std::get<Refused>(**answer).refusal;
  }
  void TimePasses(absl::Duration duration) {
    clock_.AdvanceBy(duration);
    room_.AnswerOverdue();
  }
  void SetAccepting(bool accepting) {
    seller_->SetAccepting(accepting);
    room_.SetOpen(accepting);
  }
  Slice& slice() { return *slices_.Find("tv"); }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  SliceTable slices_;
  tranche::testing::InlineExecutor executor_;
  tranche::testing::OneShard shard_{&ledger_, &executor_, &clock_};
  SkuDirectory directory_{shard_.books(), &clock_};
  CommitLane lane_{&shard_.claims()};
  const WaitingOptions options_ = Options();
  WaitingRoom room_{&slices_, &clock_, options_};
  std::unique_ptr<Seller> seller_ = std::make_unique<Seller>(&slices_, &directory_, shard_.books(), &clock_, &room_);
  IncarnationId incarnation_ = storage::kPool;
  int exhausted_ = 0;
  uint8_t next_id_ = 1;
};

TEST_F(SellerWaitingTest, WhoFindsTheSliceDryIsServedWhenUnitsCome) {
  HoldADrySlice();
  const Answer answer = Ask("a");
  EXPECT_FALSE(answer->has_value());
  EXPECT_EQ(room_.waiting("tv"), 1u);
  EXPECT_EQ(slice().wanted(), 1);
  EXPECT_EQ(slice().denied(), 1) << "that is demand";
  EXPECT_EQ(exhausted_, 1) << "said at once";
  Give(1);
  EXPECT_EQ(room_.waiting("tv"), 0u);
  Commit();
  EXPECT_TRUE(IsSold(answer));
  EXPECT_EQ(slice().wanted(), 0);
  EXPECT_EQ(slice().counter().free(), 0);
  EXPECT_EQ(slice().in_flight(), 0);
}

TEST_F(SellerWaitingTest, FirstComeFirstServed) {
  HoldADrySlice();
  const Answer a = Ask("a"), b = Ask("b"), c = Ask("c");
  Give(1);
  Commit();
  EXPECT_TRUE(IsSold(a));
  EXPECT_EQ(room_.waiting("tv"), 2u);
  EXPECT_EQ(slice().wanted(), 1) << "who still waits is still demand";
  EXPECT_EQ(exhausted_, 2);
  Give(2);
  Commit();
  EXPECT_TRUE(IsSold(b) && IsSold(c));
}

TEST_F(SellerWaitingTest, WhoWantsMuchDoesNotHoldUpWhoWantsLittle) {
  HoldADrySlice();
  const Answer much = Ask("much", 4), little = Ask("little", 1);
  Give(2);
  Commit();
  EXPECT_TRUE(IsSold(little));
  EXPECT_FALSE(much->has_value());
  EXPECT_EQ(slice().wanted(), 4);
  const Answer newcomer = Ask("newcomer", 1);
  Commit();
  EXPECT_TRUE(IsSold(newcomer)) << "the unit that is there is of no use to those who wait";
  Give(4);
  Commit();
  EXPECT_TRUE(IsSold(much));
}

TEST_F(SellerWaitingTest, WhoHasWaitedLongEnoughIsToldToTryElsewhere) {
  HoldADrySlice();
  const Answer answer = Ask("a");
  const Answer hasty = Sell(ClaimOf("b"), false, clock_.Now() + absl::Milliseconds(30));
  TimePasses(absl::Milliseconds(29));
  EXPECT_FALSE(hasty->has_value());
  TimePasses(absl::Milliseconds(1));
  EXPECT_EQ(RefusalOf(hasty), Refusal::kExhaustedHere) << "its deadline has come";
  TimePasses(options_.exhausted_wait - absl::Milliseconds(31));
  EXPECT_FALSE(answer->has_value());
  TimePasses(absl::Milliseconds(1));
  EXPECT_EQ(RefusalOf(answer), Refusal::kExhaustedHere);
  EXPECT_EQ(room_.waiting("tv"), 0u);
  Give(2);
  EXPECT_EQ(slice().counter().free(), 2) << "nobody takes units for who has gone";
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("c", 5), false, clock_.Now())), Refusal::kExhaustedHere) << "no time to wait";
}

TEST_F(SellerWaitingTest, ADrainingNodeSendsThemAway) {
  HoldADrySlice();
  const Answer a = Ask("a"), b = Ask("b");
  SetAccepting(false);
  EXPECT_EQ(RefusalOf(a), Refusal::kDraining);
  EXPECT_EQ(RefusalOf(b), Refusal::kDraining);
  EXPECT_EQ(RefusalOf(Ask("c")), Refusal::kDraining);
  SetAccepting(true);
  Give(1);
  const Answer d = Ask("d");
  Commit();
  EXPECT_TRUE(IsSold(d));
}

TEST_F(SellerWaitingTest, TheEndOfTheSaleIsToldAtOnce) {
  HoldADrySlice();
  const Answer sold_out = Ask("a");
  ASSERT_TRUE(ledger_.ReduceStock("tv", 19, std::nullopt, "test").ok());
  Announce();
  EXPECT_EQ(RefusalOf(sold_out), Refusal::kSoldOut);
  EXPECT_TRUE(std::get<Refused>(**sold_out).holds_may_lapse);
  EXPECT_EQ(RefusalOf(Ask("b")), Refusal::kSoldOut) << "nobody waits for what does not exist";
  EXPECT_EQ(slice().denied(), 1) << "nor is that demand";

  ASSERT_TRUE(ledger_.AddStock("tv", 5, std::nullopt, "test").ok());
  Announce();
  const Answer closed = Ask("c");
  EXPECT_FALSE(closed->has_value());
  ASSERT_TRUE(ledger_.CloseSku("tv", "test").ok());
  Announce();
  EXPECT_EQ(RefusalOf(closed), Refusal::kSaleClosed);
}

TEST_F(SellerWaitingTest, APauseIsToldAtOnce) {
  HoldADrySlice();
  const Answer waiting = Ask("a");
  EXPECT_FALSE(waiting->has_value());
  ASSERT_TRUE(ledger_.SetSkuPaused("tv", true, "a break", std::nullopt, "test").ok());
  Announce();
  EXPECT_EQ(RefusalOf(waiting), Refusal::kSalePaused);
  EXPECT_EQ(std::get<Refused>(**waiting).pause_reason, "a break");
  EXPECT_EQ(RefusalOf(Ask("b")), Refusal::kSalePaused) << "nobody waits any more";
}

// Field: two were wanted, one was left: the caller was sent from node to node for as long as they liked.
TEST_F(SellerWaitingTest, TooFewUnitsAnywhereAreToldAtOnce) {
  HoldADrySlice();
  const Answer two = Ask("a", 2), one = Ask("b", 1);
  ASSERT_TRUE(ledger_.ReduceStock("tv", 18, std::nullopt, "test").ok());
  ASSERT_EQ(ledger_.GetSku("tv")->unsold, 1);
  Announce();
  EXPECT_EQ(RefusalOf(two), Refusal::kInsufficientUnits);
  EXPECT_EQ(std::get<Refused>(**two).available, 1);
  EXPECT_TRUE(std::get<Refused>(**two).holds_may_lapse);
  EXPECT_FALSE(one->has_value()) << "one unit exists, and may come";
  const int64_t denied = slice().denied();
  EXPECT_EQ(RefusalOf(Ask("c", 3)), Refusal::kInsufficientUnits);
  EXPECT_EQ(slice().denied(), denied) << "what cannot be met is no demand";

  ASSERT_TRUE(ledger_.AddStock("tv", 2, std::nullopt, "test").ok());
  Announce();
  EXPECT_FALSE(Ask("d", 3)->has_value()) << "now three exist";
}

TEST_F(SellerWaitingTest, OnlySoManyWait) {
  HoldADrySlice();
  const std::vector<Answer> waiting = {Ask("a"), Ask("b"), Ask("c")};
  EXPECT_EQ(RefusalOf(Ask("d")), Refusal::kExhaustedHere);
  EXPECT_EQ(slice().denied(), 4) << "demand all the same";
  Give(3);
  Commit();
  for (const Answer& answer : waiting) EXPECT_TRUE(IsSold(answer));
}

TEST_F(SellerWaitingTest, WhoMayHaveAReservationIsLookedUpBeforeItIsSentAway) {
  Give(1);
  const ReservationClaim first = ClaimOf("alice");
  const Answer sold = Sell(first);
  Commit();
  ASSERT_TRUE(IsSold(sold));
  const Answer retry = Sell(first, /*may_exist=*/true), other = Sell(ClaimOf("bob"), /*may_exist=*/true);
  EXPECT_FALSE(retry->has_value());
  TimePasses(options_.exhausted_wait);
  ASSERT_TRUE(IsSold(retry));
  EXPECT_TRUE(std::get<Sold>(**retry).replayed);
  EXPECT_EQ(RefusalOf(other), Refusal::kExhaustedHere);
}

// The ledger is not asked for somebody who has gone, and "exhausted" would say that nothing exists.
TEST_F(SellerWaitingTest, WhoMayHaveAReservationStaysInDoubtAtTheDeadline) {
  Give(1);
  const ReservationClaim first = ClaimOf("alice");
  const Answer sold = Sell(first);
  Commit();
  ASSERT_TRUE(IsSold(sold));
  const Answer retry = Sell(first, /*may_exist=*/true, clock_.Now() + absl::Milliseconds(30));
  TimePasses(absl::Milliseconds(30));
  EXPECT_EQ(RefusalOf(retry), Refusal::kCommitUnknown);
}

TEST_F(SellerWaitingTest, UnitsThatAreGivenBackWakeWhoWaits) {
  Give(5);
  const Answer sold = Ask("greedy", 4);
  Commit();
  ASSERT_TRUE(IsSold(sold));
  // Above its limit of five, which only the ledger knows: it takes the last units for a moment.
  Give(1);
  const Answer too_much = Ask("greedy", 2);
  const Answer waiting = Ask("b");
  EXPECT_FALSE(waiting->has_value());
  Commit();
  EXPECT_EQ(RefusalOf(too_much), Refusal::kUserLimitReached);
  EXPECT_TRUE(IsSold(waiting));
  EXPECT_EQ(slice().counter().free(), 1);
}

TEST_F(SellerWaitingTest, AnErrorOfTheLedgerDoesNotSendTheWholeLineIntoIt) {
  Give(1);
  const Answer in_flight = Ask("a"), waiting = Ask("b");
  ledger_.FailNext(1);
  lane_.Step();
  EXPECT_EQ(RefusalOf(in_flight), Refusal::kLedgerUnavailable);
  EXPECT_FALSE(waiting->has_value());
  EXPECT_EQ(slice().counter().free(), 1) << "given back";
  Commit();  // the ledger is back
  TimePasses(options_.exhausted_wait);
  Commit();
  EXPECT_TRUE(IsSold(waiting)) << "at its end it finds the unit";
}

TEST_F(SellerWaitingTest, ASkuOfWhichNothingIsHeldMakesDemandAndIsServed) {
  const Answer answer = Ask("a", 2);
  EXPECT_FALSE(answer->has_value());
  ASSERT_NE(slices_.Find("tv"), nullptr);
  EXPECT_EQ(slice().counter().version(), 0);
  EXPECT_EQ(slice().wanted(), 2);
  EXPECT_EQ(slice().terms()->per_user_limit, 5) << "as the ledger says";
  EXPECT_EQ(exhausted_, 1);
  const Answer second = Ask("b", 1);
  EXPECT_FALSE(second->has_value());
  EXPECT_EQ(slice().wanted(), 1);
  Give(3);
  Commit();
  EXPECT_TRUE(IsSold(answer) && IsSold(second));
}

TEST_F(SellerWaitingTest, WhatIsKnownNotToBeForSaleMakesNoDemand) {
  ASSERT_TRUE(ledger_.ReduceStock("tv", 20, std::nullopt, "test").ok());
  EXPECT_EQ(RefusalOf(Ask("a")), Refusal::kSoldOut);
  ReservationClaim unknown = ClaimOf("a");
  unknown.sku_id = "unknown";
  EXPECT_EQ(RefusalOf(Sell(unknown)), Refusal::kSkuNotFound);
  EXPECT_EQ(slices_.Find("unknown"), nullptr) << "invented ids cost no memory";
  EXPECT_EQ(exhausted_, 0);
}

// The slices are forgotten while requests wait for them.
TEST_F(SellerWaitingTest, ANewIncarnationServesWhoWaited) {
  HoldADrySlice();
  const Answer answer = Ask("a"), other = Ask("b");
  ASSERT_TRUE(ledger_.ReclaimIncarnation(incarnation_).ok());
  slices_.Begin(storage::kPool);
  incarnation_ = *ledger_.RegisterIncarnation("node", "host:1");
  slices_.Begin(incarnation_);
  Give(1);
  Commit();
  EXPECT_TRUE(IsSold(answer));
  slices_.Begin(storage::kPool);
  TimePasses(options_.exhausted_wait);
  EXPECT_EQ(RefusalOf(other), Refusal::kExhaustedHere);
}

TEST_F(SellerWaitingTest, ItsEndAnswersEverybody) {
  HoldADrySlice();
  const Answer answer = Ask("a");
  seller_.reset();
  EXPECT_EQ(RefusalOf(answer), Refusal::kDraining);
}

}  // namespace
}  // namespace tranche::quota
