// Claims that are refused for good, on the fake and on PostgreSQL: their id is decided, once and for everybody.
#include <limits>
#include <string>
#include <vector>

#include "storage/ledger/claim_refusal.h"
#include "tests/contract/lifecycle_fixture.h"
#include "tests/contract/race.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::ClaimsOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::Retrying;
using testing::RunThreads;

class RefuseClaimsContract : public LifecycleContractTest {
 protected:
  static std::vector<ClaimRefusal> Refusals(const std::vector<ReservationClaim>& claims, Refusal refusal) {
    std::vector<ClaimRefusal> batch;
    for (const ReservationClaim& claim : claims) batch.push_back({.claim = claim, .refusal = refusal});
    return batch;
  }
  std::vector<RefuseResult> Refuse(const std::vector<ReservationClaim>& claims, Refusal refusal = Refusal::kSoldOut) {
    const auto results = lifecycle().RefuseClaims(Refusals(claims, refusal));
    EXPECT_TRUE(results.ok()) << results.status();
    if (results.ok() && results->size() == claims.size()) return *results;
    ADD_FAILURE() << "not one result per refusal";
    return std::vector<RefuseResult>(claims.size());
  }
  RefuseResult Refuse(const ReservationClaim& claim, Refusal refusal = Refusal::kSoldOut) {
    return Refuse(std::vector{claim}, refusal).front();
  }
};
INSTANTIATE_TEST_SUITE_P(Both, RefuseClaimsContract, BothLedgers(), LedgerName);

class RefuseClaimsRaceContract : public RefuseClaimsContract {};
INSTANTIATE_TEST_SUITE_P(Both, RefuseClaimsRaceContract, BothLedgers(), LedgerName);

TEST_P(RefuseClaimsContract, ARefusalIsARowThatIsFinalFromItsBirth) {
  Create(SkuOf("tv", 10, /*per_user_limit=*/2));
  const IncarnationId node = HolderOf("tv", 6);
  const auto before = Remaining("tv");
  ReservationClaim claim = Claim("tv", "alice", 2);
  claim.order_reference = "A-1";
  const RefuseResult refused = Refuse(claim, Refusal::kUserLimitReached);
  EXPECT_EQ(refused.outcome, RefuseOutcome::kRefused);
  const Reservation row = Read(claim.reservation_id);
  ExpectSame(refused.reservation, row);
  EXPECT_TRUE(IsOf(row, claim));
  EXPECT_EQ(row.state, ReservationState::kCancelled);
  EXPECT_EQ(row.cancel_reason, "REFUSED USER_LIMIT_REACHED");
  EXPECT_EQ(row.revision, 1);
  EXPECT_EQ(row.amount_minor, 2 * 1999);
  EXPECT_EQ(row.currency, "EUR");
  EXPECT_EQ(row.finished_at, row.created_at);
  EXPECT_EQ(row.expires_at, row.created_at);
  EXPECT_EQ(RefusalOf(row), Refusal::kUserLimitReached);
  EXPECT_EQ(Remaining("tv"), before) << "no unit moves";
  EXPECT_FALSE(stock().GetSku("tv")->holds_may_lapse);
  EXPECT_THAT(Kinds(claim.reservation_id), IsEmpty());
  EXPECT_EQ(Expire().expired, 0);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice", 2)), CommitOutcome::kCreated) << "it does not count for the limit";
}

TEST_P(RefuseClaimsContract, EachClaimOfABatchHasItsOwnOutcome) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const ReservationClaim fresh = Claim("tv", "alice"), known = Claim("tv", "bob"), sold = Claim("tv", "carol"),
                         cancelled = Claim("tv", "dave"), nowhere = Claim("none", "erin");
  Refuse(known, Refusal::kSaleClosed);
  Commit(node, {sold, cancelled});
  // What a shop gives as its reason does not make it another kind of row.
  Cancel(std::vector{Cancellation{cancelled.reservation_id, "REFUSED SOLD_OUT"}});
  ReservationClaim another = Claim("tv", "frank");
  another.reservation_id = sold.reservation_id;
  const auto results = Refuse(std::vector{nowhere, cancelled, known, fresh, sold});
  EXPECT_EQ(results[0].outcome, RefuseOutcome::kSkuNotFound);
  EXPECT_EQ(results[1].outcome, RefuseOutcome::kSold) << "whatever became of it";
  EXPECT_FALSE(RefusalOf(results[1].reservation).has_value());
  EXPECT_EQ(results[2].outcome, RefuseOutcome::kReplayed);
  EXPECT_EQ(RefusalOf(results[2].reservation), Refusal::kSaleClosed) << "the first is kept";
  EXPECT_EQ(results[3].outcome, RefuseOutcome::kRefused);
  EXPECT_EQ(results[4].outcome, RefuseOutcome::kSold);
  EXPECT_EQ(results[4].reservation.state, ReservationState::kPending);
  const RefuseResult conflict = Refuse(another);
  EXPECT_EQ(conflict.outcome, RefuseOutcome::kConflict);
  EXPECT_EQ(conflict.reservation.user_id, "") << "whose it is, is not told";
  ReservationClaim other_order = fresh;
  other_order.order_reference = "B-2";
  EXPECT_EQ(Refuse(other_order).outcome, RefuseOutcome::kConflict);
  EXPECT_TRUE(absl::IsNotFound(reservations().FindReservation(nowhere.reservation_id).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(lifecycle().RefuseClaims(Refusals({fresh, fresh}, Refusal::kSoldOut)).status()));
  EXPECT_TRUE(lifecycle().RefuseClaims({})->empty());
}

TEST_P(RefuseClaimsContract, WhatIsRefusedIsNotSoldLater) {
  Create(SkuOf("tv", 10));
  Create(SkuOf("radio", 10));
  const IncarnationId node = HolderOf("tv", 10);
  Move("radio", {{node, 10}});
  const ReservationClaim claim = Claim("tv", "alice");
  const Reservation row = Refuse(claim).reservation;
  for (const LockMode mode : {LockMode::kWait, LockMode::kNoWait, LockMode::kSkipLocked}) {
    const CommitResult repeated = Commit(node, {claim}, mode).front();
    EXPECT_EQ(repeated.outcome, CommitOutcome::kReplayed);
    EXPECT_EQ(RefusalOf(repeated.reservation), Refusal::kSoldOut);
    ExpectSame(repeated.reservation, row);
  }
  EXPECT_EQ(Commit(Register(), {claim}).front().outcome, CommitOutcome::kReplayed) << "also without units";
  const std::vector<ReservationClaim> cart = {claim, Claim("radio", "alice")};
  const auto mixed = lifecycle().CommitCart(node, cart);
  ASSERT_TRUE(mixed.ok()) << mixed.status();
  EXPECT_FALSE(mixed->committed);
  Refuse(cart[1]);
  const auto refused = lifecycle().CommitCart(node, cart);
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_TRUE(refused->committed) << "all lines are known";
  for (const CommitResult& line : refused->lines) EXPECT_EQ(RefusalOf(line.reservation), Refusal::kSoldOut);
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 0), Pair(node, 10)));
}

TEST_P(RefuseClaimsContract, NothingIsChangedOfItAndAPaymentIsToBeRefunded) {
  Create(SkuOf("tv", 10));
  const Reservation row = Refuse(Claim("tv", "alice")).reservation;
  EXPECT_EQ(Cancel(row).outcome, ChangeOutcome::kReplayed);
  EXPECT_EQ(Extend(row, 1, absl::Seconds(1)).refusal, Refusal::kReservationState);
  EXPECT_EQ(Confirm(PaymentOf(row)).refusal, Refusal::kReservationState);
  ExpectSame(Read(row.reservation_id), row);
  const ChangeResult late = ConfirmLate(PaymentOf(row));
  EXPECT_EQ(late.refusal, Refusal::kReservationState);
  EXPECT_FALSE(late.rebooked.has_value());
  EXPECT_THAT(Kinds(row.reservation_id), ElementsAre("payment.refund_requested"));
  EXPECT_TRUE(ConfirmLate(PaymentOf(row)).replayed);
  EXPECT_EQ(RefusalOf(Read(row.reservation_id)), Refusal::kSoldOut) << "it says still what became of the claim";
}

TEST_P(RefuseClaimsContract, AQuantityThatHasNoAmountHoldsUpNoOther) {
  Sku sku = SkuOf("yacht", 1);
  sku.price_minor = 1'000'000'000'000;
  Create(sku);
  const auto results =
      Refuse(std::vector{Claim("yacht", "alice", std::numeric_limits<int32_t>::max()), Claim("yacht", "bob")},
             Refusal::kQuantityAboveUserLimit);
  for (const RefuseResult& result : results) EXPECT_EQ(result.outcome, RefuseOutcome::kRefused);
  EXPECT_EQ(results[1].reservation.amount_minor, sku.price_minor);
}

TEST_P(RefuseClaimsContract, ASaleThatIsOverHasItsRefusals) {
  Create(SkuOf("tv", 1));
  ASSERT_TRUE(stock().CloseSku("tv", "test").ok());
  EXPECT_EQ(Refuse(Claim("tv", "alice"), Refusal::kSaleClosed).outcome, RefuseOutcome::kRefused);
}

TEST_P(RefuseClaimsContract, BuyersSeeThemAmongWhatHasLapsed) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation hold = Hold(node, "tv", "alice");
  const Reservation refused = Refuse(Claim("tv", "alice")).reservation;
  ReservationFilter of_alice;
  of_alice.user_id = "alice";
  const auto page = lifecycle().ListReservations(of_alice, {}, 10);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->reservations.size(), 2u);
  EXPECT_EQ(page->reservations[0].reservation_id, hold.reservation_id);
  ExpectSame(page->reservations[1], refused);
}

TEST_P(RefuseClaimsContract, RetentionDropsThemAndTheBooksBalance) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const ReservationClaim claim = Claim("tv", "alice");
  Refuse(claim);
  const Reservation sold = Hold(node, "tv", "bob");
  Confirm(PaymentOf(sold));
  LetPass(kLeastRetention + absl::Hours(1));
  const auto retired = upkeep().RetireReservations(kLeastRetention, 10, Retired::kDrop);
  ASSERT_TRUE(retired.ok()) << retired.status();
  EXPECT_EQ(*retired, 1);
  EXPECT_TRUE(absl::IsNotFound(reservations().FindReservation(claim.reservation_id).status()));
  ExpectConserved();
}

// A consumer whose claim's answer was lost, and another one to which the claim was delivered again.
TEST_P(RefuseClaimsRaceContract, OfARefusalAndASaleOneDecides) {
  constexpr int kClaims = 200;
  constexpr size_t kBatch = 20;
  Create(SkuOf("tv", kClaims));
  const IncarnationId node = HolderOf("tv", kClaims);
  const std::vector<ReservationClaim> claims = ClaimsOf("tv", "u", kClaims);
  std::vector<CommitResult> sales(claims.size());
  std::vector<RefuseResult> refusals(claims.size());
  RunThreads(2, [&](int thread) {
    for (size_t start = 0; start < claims.size(); start += kBatch) {
      const std::vector<ReservationClaim> batch(claims.begin() + static_cast<int64_t>(start),
                                                claims.begin() + static_cast<int64_t>(start + kBatch));
      if (thread == 0) {
        const auto results = Retrying([&] { return reservations().CommitReservations(node, LockMode::kWait, batch); });
        ASSERT_TRUE(results.ok()) << results.status();
        for (size_t i = 0; i < kBatch; ++i) sales[start + i] = (*results)[i];
      } else {
        const auto results =
            Retrying([&] { return lifecycle().RefuseClaims(Refusals(batch, Refusal::kDeadlinePassed)); });
        ASSERT_TRUE(results.ok()) << results.status();
        for (size_t i = 0; i < kBatch; ++i) refusals[start + i] = (*results)[i];
      }
    }
  });
  int64_t sold = 0;
  for (size_t i = 0; i < claims.size(); ++i) {
    const Reservation row = Read(claims[i].reservation_id);
    if (sales[i].outcome == CommitOutcome::kCreated) {
      ++sold;
      EXPECT_EQ(refusals[i].outcome, RefuseOutcome::kSold);
      EXPECT_FALSE(RefusalOf(row).has_value());
    } else {
      EXPECT_EQ(sales[i].outcome, CommitOutcome::kReplayed);
      EXPECT_EQ(refusals[i].outcome, RefuseOutcome::kRefused);
      EXPECT_EQ(RefusalOf(sales[i].reservation), Refusal::kDeadlinePassed);
      EXPECT_EQ(RefusalOf(row), Refusal::kDeadlinePassed);
    }
    EXPECT_EQ(row.revision, 1);
  }
  EXPECT_EQ(stock().GetSku("tv")->unsold, kClaims - sold);
}

}  // namespace
}  // namespace tranche::storage
