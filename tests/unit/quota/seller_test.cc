#include "quota/sale/seller.h"

#include <optional>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "storage/bounded_executor.h"
#include "storage/fake/fake_ledger.h"
#include "tests/support/one_shard.h"

namespace tranche::quota {
namespace {

using storage::FakeClock;
using storage::FakeLedger;
using storage::IncarnationId;
using storage::QuotaDelta;
using storage::ReservationClaim;

const absl::Time kNoHurry = absl::InfiniteFuture();

// A node's selling side on the fake ledger; the test does the agent's part.
class SellerTest : public ::testing::Test {
 protected:
  SellerTest() {
    EXPECT_TRUE(
        ledger_.CreateSku({.sku_id = "tv", .title = "", .price_minor = 100, .currency = "EUR", .stock = 10}, "test")
            .ok());
    incarnation_ = *ledger_.RegisterIncarnation("node", "host:1");
    slices_.Begin(incarnation_);
  }

  // Moves units in the ledger, without telling the node.
  void Move(int64_t units) {
    ASSERT_TRUE(ledger_.MoveUnits("tv", {QuotaDelta{incarnation_, units}}, std::nullopt, "test").ok());
  }
  // Tells the node what the ledger says.
  void Announce() {
    const auto slices = *ledger_.ListSlices(incarnation_);
    const std::shared_ptr<Slice> slice = slices_.FindOrAdd("tv");
    slice->SetTerms(TermsOf(*ledger_.GetSku("tv")));
    if (!slices.empty()) slice->counter().Apply(slices[0].second.allotted, slices[0].second.version);
  }

  ReservationClaim ClaimOf(const std::string& user, int32_t quantity = 1) {
    ReservationClaim claim{.reservation_id = {}, .sku_id = "tv", .user_id = user, .quantity = quantity};
    claim.reservation_id.bytes[15] = next_id_++;
    return claim;
  }

  SaleResult Sell(ReservationClaim claim, bool may_exist = false) {
    absl::Notification answered;
    std::optional<SaleResult> answer;
    seller_.Sell(std::move(claim), kNoHurry, may_exist, [&](SaleResult result) {
      answer = std::move(result);
      answered.Notify();
    });
    EXPECT_TRUE(answered.WaitForNotificationWithTimeout(absl::Seconds(10)));
    return *answer;
  }
  // kInternal stands for "sold" where a refusal is expected.
  static Refusal RefusalOf(const SaleResult& result) {
    const auto* refused = std::get_if<Refused>(&result);
    EXPECT_NE(refused, nullptr) << "sold";
    return refused == nullptr ? Refusal::kInternal : refused->refusal;
  }
  static bool IsSold(const SaleResult& result) { return std::holds_alternative<Sold>(result); }
  int64_t Free() { return slices_.Find("tv")->counter().free(); }

  static WaitingOptions NoWaiting() {
    WaitingOptions options;
    options.exhausted_wait = absl::ZeroDuration();
    return options;
  }

  FakeClock clock_;
  FakeLedger ledger_{&clock_};
  SliceTable slices_;
  storage::BoundedExecutor executor_{1, 10};
  tranche::testing::OneShard shard_{&ledger_, &executor_, &clock_, [] {
                                      storage::PipelineOptions options;
                                      options.lanes = 1;
                                      options.retry_interval = absl::Milliseconds(1);
                                      return options;
                                    }()};
  SkuDirectory directory_{shard_.books(), &clock_};
  WaitingRoom room_{&slices_, &clock_, NoWaiting()};
  Seller seller_{&slices_, &directory_, shard_.books(), &clock_, &room_};
  IncarnationId incarnation_ = storage::kPool;
  uint8_t next_id_ = 1;
};

TEST_F(SellerTest, SellsItsSliceAndNoMore) {
  Move(2);
  Announce();
  EXPECT_TRUE(IsSold(Sell(ClaimOf("a"))));
  EXPECT_TRUE(IsSold(Sell(ClaimOf("b"))));
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("c"))), Refusal::kExhaustedHere) << "eight units wait in the pool";
}

TEST_F(SellerTest, SoldOutIsSaidOnlyWhenTheLedgerHasNoUnitLeft) {
  Move(10);
  Announce();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(IsSold(Sell(ClaimOf(std::string(1, static_cast<char>('a' + i))))));
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("z"))), Refusal::kExhaustedHere) << "nobody has said so yet";
  Announce();
  const SaleResult result = Sell(ClaimOf("z"));
  EXPECT_EQ(RefusalOf(result), Refusal::kSoldOut);
  EXPECT_TRUE(std::get<Refused>(result).holds_may_lapse);
}

TEST_F(SellerTest, WhatIsAskedForAfterSellOutIsCountedApartFromDemand) {
  ASSERT_TRUE(ledger_.ReduceStock("tv", 9, std::nullopt, "test").ok());
  Move(1);
  Announce();
  EXPECT_TRUE(IsSold(Sell(ClaimOf("a"))));
  Announce();
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("b"))), Refusal::kSoldOut);
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("c"))), Refusal::kSoldOut);
  const auto slice = slices_.Find("tv");
  EXPECT_EQ(slice->refused(), 2);
  EXPECT_EQ(slice->denied(), 0) << "the balancer cannot help";
  EXPECT_EQ(slice->wanted(), 0);
}

TEST_F(SellerTest, WhatTheLedgerRefusesIsGivenBack) {
  Move(3);
  Announce();
  const ReservationClaim first = ClaimOf("alice");
  EXPECT_TRUE(IsSold(Sell(first)));
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("alice"))), Refusal::kUserLimitReached);
  ReservationClaim conflict = first;
  conflict.user_id = "bob";
  EXPECT_EQ(RefusalOf(Sell(conflict)), Refusal::kReservationIdReused);
  const SaleResult replay = Sell(first);
  ASSERT_TRUE(IsSold(replay));
  EXPECT_TRUE(std::get<Sold>(replay).replayed);
  EXPECT_EQ(Free(), 2);
}

// A withdrawal whose announcement overtakes the ledger's answer must not be counted twice: that would strand units.
TEST_F(SellerTest, AWithdrawalThatOvertakesTheAnswerIsCountedOnce) {
  Move(2);
  Announce();
  Move(-2);
  const storage::HeldSlice withdrawn = ledger_.ListSlices(incarnation_)->front().second;
  ledger_.BlockCalls();
  absl::Notification answered;
  std::optional<SaleResult> answer;
  seller_.Sell(ClaimOf("a"), kNoHurry, false, [&](SaleResult result) {
    answer = std::move(result);
    answered.Notify();
  });
  ledger_.AwaitBlocked(1);
  slices_.Find("tv")->counter().Apply(withdrawn.allotted, withdrawn.version);
  EXPECT_EQ(Free(), -1) << "one unit is in flight";
  ledger_.ReleaseCalls();
  answered.WaitForNotification();
  EXPECT_EQ(RefusalOf(*answer), Refusal::kExhaustedHere);
  EXPECT_EQ(Free(), 0);
}

TEST_F(SellerTest, ShortAfterAWithdrawalGivesBackAndShortWithoutOneDoesNot) {
  Move(2);
  Announce();
  Move(-2);  // not announced: the node still counts two units
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("a"))), Refusal::kExhaustedHere);
  EXPECT_EQ(Free(), 2) << "given back: the announcement will take them";
  Announce();
  EXPECT_EQ(Free(), 0);

  Move(1);
  Announce();
  slices_.Find("tv")->counter().GiveBack(1);  // counted too high, as after a lost answer that was committed after all
  EXPECT_TRUE(IsSold(Sell(ClaimOf("b"))));
  EXPECT_EQ(Free(), 1);
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("c"))), Refusal::kExhaustedHere);
  EXPECT_EQ(Free(), 0) << "the unit that never was there stays spent";
}

// What was announced by hand, and has gone from the tree since: nobody else knows of it.
TEST_F(SellerTest, ANodeThatGoesByAFalseAnnouncementReportsIt) {
  Move(1);
  Announce();
  int exhausted = 0;
  slices_.SetListener({.exhausted = [&] { ++exhausted; }, .incarnation_ended = {}});
  const std::shared_ptr<Slice> slice = slices_.Find("tv");
  slice->counter().Apply(1000, slice->counter().version() + 100);
  EXPECT_TRUE(IsSold(Sell(ClaimOf("a"))));
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("b"))), Refusal::kExhaustedHere);
  EXPECT_EQ(slice->wanted(), 1) << "although it seems to have plenty";
  EXPECT_EQ(exhausted, 1);
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("c"))), Refusal::kExhaustedHere);
  EXPECT_EQ(exhausted, 1) << "once";
}

TEST_F(SellerTest, ARefusalAsShortMendsOneUnitAndStrandsNone) {
  ASSERT_TRUE(
      ledger_
          .CreateSku(
              {.sku_id = "four", .title = "", .price_minor = 100, .currency = "EUR", .stock = 3, .per_user_limit = 4},
              "test")
          .ok());
  const auto moved = ledger_.MoveUnits("four", {QuotaDelta{incarnation_, 3}}, std::nullopt, "test");
  const std::shared_ptr<Slice> slice = slices_.FindOrAdd("four");
  slice->SetTerms(TermsOf(*ledger_.GetSku("four")));
  slice->counter().Apply(3, moved->quota_version);
  slice->counter().GiveBack(1);  // counted too high, as after a lost answer that was committed after all
  const auto claim = [&](const std::string& user, int32_t quantity) {
    ReservationClaim claim = ClaimOf(user, quantity);
    claim.sku_id = "four";
    return claim;
  };
  EXPECT_EQ(RefusalOf(Sell(claim("a", 4))), Refusal::kExhaustedHere);
  EXPECT_EQ(slice->counter().free(), 3) << "three are there";
  EXPECT_TRUE(IsSold(Sell(claim("b", 3))));
}

// A SKU of which the node holds nothing was closed by hand, with a version that the ledger never reaches.
TEST_F(SellerTest, TheLedgerOverrulesWhatWasAnnouncedBeforeItWasAsked) {
  const std::shared_ptr<Slice> slice = slices_.FindOrAdd("tv");
  slice->SetTerms(SkuTerms{.closed = true, .read_at = clock_.Now()});
  clock_.AdvanceBy(absl::Milliseconds(1));
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("a"))), Refusal::kExhaustedHere);
  EXPECT_FALSE(slice->terms()->closed) << "else nobody would report the demand";

  clock_.AdvanceBy(absl::Milliseconds(1));
  slice->SetTerms(SkuTerms{.closed = true, .read_at = clock_.Now()});
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("b"))), Refusal::kSaleClosed) << "announced after the last look";
}

TEST_F(SellerTest, AReclaimedIncarnationIsToldSo) {
  Move(2);
  Announce();
  absl::Notification ended;
  slices_.SetListener({.exhausted = {}, .incarnation_ended = [&](IncarnationId id) {
                         EXPECT_EQ(id, incarnation_);
                         ended.Notify();
                       }});
  ASSERT_TRUE(ledger_.ReclaimIncarnation(incarnation_).ok());
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("a"))), Refusal::kExhaustedHere);
  EXPECT_TRUE(ended.HasBeenNotified());
}

TEST_F(SellerTest, SkusThatAreNotHeldAreLookedUp) {
  ASSERT_TRUE(ledger_
                  .CreateSku({.sku_id = "soon",
                              .title = "",
                              .price_minor = 1,
                              .currency = "EUR",
                              .stock = 1,
                              .opens_at = clock_.Now() + absl::Hours(1)},
                             "test")
                  .ok());
  ASSERT_TRUE(
      ledger_.CreateSku({.sku_id = "over", .title = "", .price_minor = 1, .currency = "EUR", .stock = 1}, "test").ok());
  ASSERT_TRUE(
      ledger_.CreateSku({.sku_id = "none", .title = "", .price_minor = 1, .currency = "EUR", .stock = 0}, "test").ok());
  ASSERT_TRUE(ledger_.CloseSku("over", "test").ok());
  const auto refusal_for = [&](const std::string& sku) {
    ReservationClaim claim = ClaimOf("a");
    claim.sku_id = sku;
    return RefusalOf(Sell(claim));
  };
  EXPECT_EQ(refusal_for("unknown"), Refusal::kSkuNotFound);
  EXPECT_EQ(refusal_for("soon"), Refusal::kSaleNotOpen);
  EXPECT_EQ(refusal_for("over"), Refusal::kSaleClosed);
  EXPECT_EQ(refusal_for("none"), Refusal::kSoldOut);
  EXPECT_EQ(refusal_for("tv"), Refusal::kExhaustedHere) << "all in the pool: units are on their way";
}

TEST_F(SellerTest, TermsRefuseBeforeAUnitIsTaken) {
  Move(5);
  Announce();
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("a", 2))), Refusal::kQuantityAboveUserLimit);
  ASSERT_TRUE(ledger_.CloseSku("tv", "test").ok());
  Announce();
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("a"))), Refusal::kSaleClosed);
  EXPECT_EQ(Free(), 5);
}

TEST_F(SellerTest, ARetryIsLookedUpBeforeItIsRefusedFromMemory) {
  Move(1);
  Announce();
  const ReservationClaim first = ClaimOf("alice");
  EXPECT_TRUE(IsSold(Sell(first)));
  EXPECT_EQ(RefusalOf(Sell(first)), Refusal::kExhaustedHere) << "without may_exist the node does not look";
  const SaleResult retry = Sell(first, /*may_exist=*/true);
  ASSERT_TRUE(IsSold(retry));
  EXPECT_TRUE(std::get<Sold>(retry).replayed);
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("bob"), /*may_exist=*/true)), Refusal::kExhaustedHere);
  ReservationClaim conflict = first;
  conflict.quantity = 7;
  EXPECT_EQ(RefusalOf(Sell(conflict, /*may_exist=*/true)), Refusal::kReservationIdReused);
}

TEST_F(SellerTest, APausedSaleIsRefusedFromMemoryAndByTheLedger) {
  Move(2);
  Announce();
  const ReservationClaim first = ClaimOf("a");
  EXPECT_TRUE(IsSold(Sell(first)));
  ASSERT_TRUE(ledger_.SetSkuPaused("tv", true, "a break", "test").ok());
  const SaleResult not_heard_yet = Sell(ClaimOf("b"));
  EXPECT_EQ(RefusalOf(not_heard_yet), Refusal::kSalePaused);
  EXPECT_EQ(std::get<Refused>(not_heard_yet).pause_reason, "a break") << "as the ledger says";
  EXPECT_EQ(Free(), 1) << "its unit is given back";
  Announce();
  const int calls = ledger_.commit_calls();
  const SaleResult heard = Sell(ClaimOf("b"));
  EXPECT_EQ(RefusalOf(heard), Refusal::kSalePaused);
  EXPECT_EQ(std::get<Refused>(heard).pause_reason, "a break");
  EXPECT_EQ(ledger_.commit_calls(), calls);
  EXPECT_TRUE(IsSold(Sell(first, /*may_exist=*/true))) << "who has a reservation hears of it";
  ASSERT_TRUE(ledger_.SetSkuPaused("tv", false, "", "test").ok());
  Announce();
  EXPECT_TRUE(IsSold(Sell(ClaimOf("b"))));
}

TEST_F(SellerTest, ANodeWithoutTheAnnouncementLearnsOfAPauseFromTheLedger) {
  ASSERT_TRUE(ledger_.SetSkuPaused("tv", true, "a break", "test").ok());
  const SaleResult result = Sell(ClaimOf("a"));
  EXPECT_EQ(RefusalOf(result), Refusal::kSalePaused);
  EXPECT_EQ(std::get<Refused>(result).pause_reason, "a break");
}

TEST_F(SellerTest, ALostAnswerIsFoundAgainAndStrandsNothing) {
  Move(2);
  Announce();
  ledger_.LoseNextCommit(/*performed=*/true);
  EXPECT_TRUE(IsSold(Sell(ClaimOf("a"))));
  ledger_.LoseNextCommit(/*performed=*/false);
  EXPECT_TRUE(IsSold(Sell(ClaimOf("b"))));
  EXPECT_EQ(ledger_.ReadQuota("tv")->slices[1].remaining, 0);
  EXPECT_EQ(Free(), 1) << "too high rather than too low: whose replay it was cannot be told";
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("c"))), Refusal::kExhaustedHere);
  EXPECT_EQ(Free(), 0) << "mended by the ledger's answer";
}

TEST_F(SellerTest, ADrainingNodeAcceptsNothing) {
  Move(2);
  Announce();
  seller_.SetAccepting(false);
  EXPECT_EQ(RefusalOf(Sell(ClaimOf("a"))), Refusal::kDraining);
  EXPECT_EQ(Free(), 2);
}

}  // namespace
}  // namespace tranche::quota
