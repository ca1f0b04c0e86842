// Situations in which users of similar systems lost units, money or patience, on the fake and on PostgreSQL.
// docs/field-situations.md lists all of them, also those that other tests cover or that cannot occur.
#include <algorithm>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "tests/contract/lifecycle_fixture.h"
#include "tests/contract/race.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::ClaimsOf;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::Retrying;
using testing::RunThreads;

class FieldSituations : public LifecycleContractTest {
 protected:
  CartResult CommitCart(IncarnationId node, const std::vector<ReservationClaim>& lines) {
    const auto result = lifecycle().CommitCart(node, lines);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(CartResult{});
  }

  int64_t Unsold(const std::string& sku_id) {
    const auto sku = stock().GetSku(sku_id);
    EXPECT_TRUE(sku.ok()) << sku.status();
    return sku.ok() ? sku->unsold : -1;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, FieldSituations, BothLedgers(), LedgerName);

class FieldSituationsRace : public FieldSituations {};
INSTANTIATE_TEST_SUITE_P(Both, FieldSituationsRace, BothLedgers(), LedgerName);

// Oversold.

TEST_P(FieldSituations, TwoLinesOfOneOrderShareStock) {
  Create(SkuOf("tv", 1, /*per_user_limit=*/5));
  const IncarnationId node = HolderOf("tv", 1);
  const CartResult cart = CommitCart(node, {Claim("tv", "alice"), Claim("tv", "alice")});
  EXPECT_FALSE(cart.committed);
  EXPECT_EQ(Unsold("tv"), 1);
  EXPECT_TRUE(CommitCart(node, {Claim("tv", "alice")}).committed);
}

TEST_P(FieldSituationsRace, DirectCallsMeetTheSameLockAsTheWorkflow) {
  // The lock is the slot's row, in the procedure that books: there is no other way to book.
  Create(SkuOf("tv", 100));
  const IncarnationId node = HolderOf("tv", 100);
  std::atomic<int> created{0};
  RunThreads(4, [&](int caller) {
    for (int i = 0; i < 50; ++i) {
      const auto claim = Claim("tv", absl::StrCat("u", caller, "-", i));
      const auto results = Retrying([&] { return reservations().CommitReservations(node, LockMode::kWait, {claim}); });
      ASSERT_TRUE(results.ok()) << results.status();
      if (results->front().outcome == CommitOutcome::kCreated) ++created;
    }
  });
  EXPECT_EQ(created, 100) << "checked and allocated in one transaction; no update was lost";
  EXPECT_EQ(Unsold("tv"), 0);
}

TEST_P(FieldSituations, EarlierUnpaidHoldsCount) {
  Create(SkuOf("tv", 2));
  const IncarnationId node = HolderOf("tv", 2);
  EXPECT_THAT(Outcomes(node, ClaimsOf("tv", "first", 2)), Each(CommitOutcome::kCreated));
  EXPECT_EQ(Outcome(node, Claim("tv", "late")), CommitOutcome::kShort);
}

TEST_P(FieldSituations, TheUnitAfterTheLastIsNotSold) {
  constexpr int kStock = 7;
  Create(SkuOf("tv", kStock));
  const IncarnationId node = HolderOf("tv", kStock);
  const std::vector<Answer> outcomes = Outcomes(node, ClaimsOf("tv", "u", kStock + 1));
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), CommitOutcome::kCreated), kStock);
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), CommitOutcome::kShort), 1);
}

// Undersold, stranded.

TEST_P(FieldSituations, TheUnitsOfADeadNodeAreSoldByOthers) {
  Create(SkuOf("tv", 3));
  const IncarnationId dead = HolderOf("tv", 3);
  ASSERT_TRUE(stock().ReclaimIncarnation(dead).ok());
  const IncarnationId other = HolderOf("tv", 3);
  EXPECT_THAT(Outcomes(other, ClaimsOf("tv", "u", 3)), Each(CommitOutcome::kCreated));
}

TEST_P(FieldSituations, AFailedOrderLeavesNothingBehind) {
  Create(SkuOf("tv", 1));
  Create(SkuOf("radio", 1));
  const IncarnationId node = HolderOf("tv", 1);
  Move("radio", {{node, 1}});
  ASSERT_EQ(Outcome(node, Claim("radio", "bob")), CommitOutcome::kCreated);
  EXPECT_FALSE(CommitCart(node, {Claim("tv", "alice"), Claim("radio", "alice")}).committed);
  EXPECT_EQ(Unsold("tv"), 1);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), CommitOutcome::kCreated) << "and does not block the buyer";
}

TEST_P(FieldSituations, RepeatedClicksBurnNoStock) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const ReservationClaim click = Claim("tv", "alice");
  EXPECT_EQ(Outcome(node, click), CommitOutcome::kCreated);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Outcome(node, click), CommitOutcome::kReplayed);
  EXPECT_THAT(Outcomes(node, {Claim("tv", "alice"), Claim("tv", "alice")}), Each(Refusal::kUserLimitReached));
  EXPECT_EQ(Unsold("tv"), 9);
}

TEST_P(FieldSituations, OneFailureIsNotSoldOutForEverybody) {
  Create(SkuOf("tv", 2, /*per_user_limit=*/5));
  const IncarnationId node = HolderOf("tv", 2);
  EXPECT_EQ(Outcome(node, Claim("tv", "greedy", 3)), CommitOutcome::kShort);
  EXPECT_THAT(Outcomes(node, ClaimsOf("tv", "u", 2)), Each(CommitOutcome::kCreated));
}

// Holds.

TEST_P(FieldSituations, UnpaidOrdersExpireAndTheirUnitsAreSoldAgain) {
  Create(SkuOf("tv", 1));
  const IncarnationId node = HolderOf("tv", 1);
  EXPECT_EQ(Expired(node, "tv", "alice").state, ReservationState::kExpired);
  EXPECT_EQ(Remaining("tv")[kPool], 1) << "in the pool, never in a guessed slot";
  Move("tv", {{node, 1}});
  EXPECT_EQ(Outcome(node, Claim("tv", "bob")), CommitOutcome::kCreated);
}

TEST_P(FieldSituations, AnAllocationIsReleasedOnce) {
  Create(SkuOf("tv", 2));
  const IncarnationId node = HolderOf("tv", 2);
  const Reservation given_up = Hold(node, "tv", "alice");
  EXPECT_EQ(Cancel(given_up).outcome, ChangeOutcome::kDone);
  EXPECT_EQ(Cancel(given_up).outcome, ChangeOutcome::kReplayed);
  const Reservation lapsed = Expired(node, "tv", "bob");
  EXPECT_EQ(Cancel(lapsed).refusal, Refusal::kReservationState);
  EXPECT_EQ(Expire().expired, 0);
  EXPECT_EQ(Unsold("tv"), 2);
}

TEST_P(FieldSituations, AShopperIsNotBlockedByHisOwnEarlierHold) {
  Create(SkuOf("tv", 3));
  const IncarnationId node = HolderOf("tv", 3);
  Expired(node, "tv", "alice");
  EXPECT_EQ(Cancel(Hold(node, "tv", "alice")).outcome, ChangeOutcome::kDone);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), CommitOutcome::kCreated);
}

TEST_P(FieldSituations, APaymentAfterTheHoldHasLapsedBooksAnotherUnit) {
  Create(SkuOf("tv", 1));
  const Reservation lapsed = Expired(HolderOf("tv", 1), "tv", "alice");
  EXPECT_EQ(Confirm(PaymentOf(lapsed)).refusal, Refusal::kReservationState);
  const ChangeResult late = ConfirmLate(PaymentOf(lapsed));
  ASSERT_EQ(late.outcome, ChangeOutcome::kRebooked);
  ASSERT_TRUE(late.rebooked.has_value());
  EXPECT_EQ(late.rebooked->state, ReservationState::kConfirmed);
  EXPECT_EQ(late.rebooked->user_id, "alice");
  EXPECT_EQ(late.rebooked->rebooked_from, lapsed.reservation_id);
  EXPECT_EQ(Unsold("tv"), 0);
}

TEST_P(FieldSituations, AHoldLastsWhileThePaymentPageIsOpenIfItIsExtended) {
  Create(SkuOf("tv", 1));
  const Reservation hold = Hold(HolderOf("tv", 1), "tv", "alice");
  EXPECT_EQ(Extend(hold, 1, absl::Minutes(10)).outcome, ChangeOutcome::kDone);
  EXPECT_EQ(Extend(hold, 1, absl::Minutes(10)).outcome, ChangeOutcome::kReplayed);
  LetPass(absl::Minutes(20));  // of 15 and once 10
  EXPECT_EQ(Expire().expired, 0);
  EXPECT_EQ(Confirm(PaymentOf(hold)).outcome, ChangeOutcome::kDone);
}

TEST_P(FieldSituations, NobodyIsChargedWithoutStockAndForgotten) {
  Create(SkuOf("tv", 1));
  const IncarnationId node = HolderOf("tv", 1);
  const Reservation lapsed = Expired(node, "tv", "alice");
  Move("tv", {{node, 1}});
  Hold(node, "tv", "bob");
  const ChangeResult late = ConfirmLate(PaymentOf(lapsed));
  EXPECT_EQ(late.outcome, ChangeOutcome::kPaidUnfulfilled);
  EXPECT_FALSE(late.replayed);
  EXPECT_TRUE(ConfirmLate(PaymentOf(lapsed)).replayed);
  EXPECT_THAT(Kinds(lapsed.reservation_id), ElementsAre("reservation.expired", "payment.refund_requested"))
      << "asked for once";
}

TEST_P(FieldSituations, AFailedPaymentFreesTheUnitAtOnce) {
  // A failed payment is not a separate state: a shop that hears of it cancels; otherwise the hold lapses.
  Create(SkuOf("tv", 1));
  const Reservation hold = Hold(HolderOf("tv", 1), "tv", "alice");
  ASSERT_EQ(Cancel(hold, "card declined").outcome, ChangeOutcome::kDone);
  EXPECT_EQ(Remaining("tv")[kPool], 1);
  EXPECT_EQ(ConfirmLate(PaymentOf(hold)).refusal, Refusal::kReservationState);
  EXPECT_THAT(Kinds(hold.reservation_id), ElementsAre("reservation.cancelled", "payment.refund_requested"))
      << "a payment that comes all the same is refunded, not turned into a sale";
}

// Queue, idempotency.

TEST_P(FieldSituations, AnOrderAndItsMessageAreThereTogether) {
  Create(SkuOf("tv", 1));
  const Reservation hold = Hold(HolderOf("tv", 1), "tv", "alice");
  EXPECT_TRUE(Kinds(hold.reservation_id).empty());
  ASSERT_EQ(Confirm(PaymentOf(hold)).outcome, ChangeOutcome::kDone);
  ASSERT_EQ(Confirm(PaymentOf(hold)).outcome, ChangeOutcome::kReplayed);
  EXPECT_THAT(Kinds(hold.reservation_id), ElementsAre("reservation.confirmed")) << "a repeat writes no second one";
}

TEST_P(FieldSituations, AnExpiredHoldIsShownAsExpired) {
  Create(SkuOf("tv", 1));
  const Reservation lapsed = Expired(HolderOf("tv", 1), "tv", "alice");
  EXPECT_EQ(Read(lapsed.reservation_id).state, ReservationState::kExpired);
  const auto page = lifecycle().ListReservations({"tv", "", {ReservationState::kPending}}, {}, 10);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_TRUE(page->reservations.empty());
}

}  // namespace
}  // namespace tranche::storage
