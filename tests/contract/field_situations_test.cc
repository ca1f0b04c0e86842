// Situations in which users of systems that do this job lost units, money or patience, on the fake and on PostgreSQL.
// docs/field-situations.md lists them all, with those that other tests show or that cannot arise.
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/ledger_error.h"
#include "tests/contract/ledger_fixture.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::ClaimsOf;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::NewId;

class FieldSituations : public LedgerContractTest {
 protected:
  static Confirmation PaymentFor(const Uuid& id, const std::string& reference = "pay-1", int64_t amount = 1999) {
    return {id, reference, amount, "EUR"};
  }

  ChangeResult Confirm(const Confirmation& payment) {
    const auto results = lifecycle().ConfirmReservations(absl::MakeConstSpan(&payment, 1));
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->front() : ChangeResult{};
  }

  ChangeResult PayLate(const Confirmation& payment) {
    const auto result = lifecycle().ConfirmLate(payment);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(ChangeResult{});
  }

  ChangeResult Cancel(const Uuid& id) {
    const Cancellation cancellation{id, "changed my mind"};
    const auto results = lifecycle().CancelReservations(absl::MakeConstSpan(&cancellation, 1));
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->front() : ChangeResult{};
  }

  CartResult CommitCart(IncarnationId node, const std::vector<ReservationClaim>& lines) {
    const auto result = lifecycle().CommitCart(node, lines);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(CartResult{});
  }

  // Expires what is due until the reservation is; the hold's own second is waited for by asking.
  void AwaitExpiry(const Uuid& id) {
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    while (absl::Now() < give_up) {
      const auto expired = upkeep().ExpireDue(100);
      ASSERT_TRUE(expired.ok()) << expired.status();
      if (StateOf(id) == ReservationState::kExpired) return;
      absl::SleepFor(std::min(expired->until_next, absl::Milliseconds(100)));
    }
    FAIL() << "the hold does not expire";
  }

  ReservationState StateOf(const Uuid& id) {
    const auto found = reservations().FindReservation(id);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? found->reservation.state : ReservationState::kPending;
  }

  int64_t Unsold(const std::string& sku_id) {
    const auto sku = stock().GetSku(sku_id);
    EXPECT_TRUE(sku.ok()) << sku.status();
    return sku.ok() ? sku->unsold : -1;
  }

  static Sku ShortHold(const std::string& sku_id, int64_t units) {
    Sku sku = SkuOf(sku_id, units);
    sku.hold = absl::Seconds(1);
    return sku;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, FieldSituations, BothLedgers(), LedgerName);

// Oversold.

TEST_P(FieldSituations, TwoLinesOfOneOrderShareStock) {
  Create(SkuOf("tv", 1, /*per_user_limit=*/5));
  const IncarnationId node = HolderOf("tv", 1);
  const CartResult cart = CommitCart(node, {Claim("tv", "alice"), Claim("tv", "alice")});
  EXPECT_FALSE(cart.committed);
  EXPECT_EQ(Unsold("tv"), 1);
  EXPECT_TRUE(CommitCart(node, {Claim("tv", "alice")}).committed);
}

TEST_P(FieldSituations, DirectCallsMeetTheSameLockAsTheWorkflow) {
  // The lock is the slot's row, in the procedure that books: there is no way in beside it.
  Create(SkuOf("tv", 100));
  const IncarnationId node = HolderOf("tv", 100);
  std::atomic<int> created{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 50; ++i) {
        const auto claim = Claim("tv", absl::StrCat("u", caller, "-", i));
        absl::StatusOr<std::vector<CommitResult>> results;
        do {
          results = reservations().CommitReservations(node, LockMode::kWait, {claim});
        } while (!results.ok() && IsRetryTransaction(results.status()));
        ASSERT_TRUE(results.ok()) << results.status();
        if (results->front().outcome == CommitOutcome::kCreated) ++created;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
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
  const std::vector<CommitOutcome> outcomes = Outcomes(node, ClaimsOf("tv", "u", kStock + 1));
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
  EXPECT_THAT(Outcomes(node, {Claim("tv", "alice"), Claim("tv", "alice")}), Each(CommitOutcome::kUserLimitReached));
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
  Create(ShortHold("tv", 1));
  const IncarnationId node = HolderOf("tv", 1);
  const ReservationClaim unpaid = Claim("tv", "alice");
  ASSERT_EQ(Outcome(node, unpaid), CommitOutcome::kCreated);
  AwaitExpiry(unpaid.reservation_id);
  EXPECT_EQ(Remaining("tv")[kPool], 1) << "in the pool, never in a guessed slot";
  Move("tv", {{node, 1}});
  EXPECT_EQ(Outcome(node, Claim("tv", "bob")), CommitOutcome::kCreated);
}

TEST_P(FieldSituations, AnAllocationIsReleasedOnce) {
  Create(ShortHold("tv", 2));
  const IncarnationId node = HolderOf("tv", 2);
  const ReservationClaim claim = Claim("tv", "alice");
  ASSERT_EQ(Outcome(node, claim), CommitOutcome::kCreated);
  EXPECT_EQ(Cancel(claim.reservation_id).outcome, ChangeOutcome::kDone);
  EXPECT_EQ(Cancel(claim.reservation_id).outcome, ChangeOutcome::kReplayed);
  const ReservationClaim lapses = Claim("tv", "bob");
  ASSERT_EQ(Outcome(node, lapses), CommitOutcome::kCreated);
  AwaitExpiry(lapses.reservation_id);
  EXPECT_EQ(Cancel(lapses.reservation_id).outcome, ChangeOutcome::kStateForbids);
  EXPECT_EQ(Unsold("tv"), 2);
}

TEST_P(FieldSituations, AShopperIsNotBlockedByHisOwnEarlierHold) {
  Create(ShortHold("tv", 2));
  const IncarnationId node = HolderOf("tv", 2);
  const ReservationClaim lapses = Claim("tv", "alice");
  ASSERT_EQ(Outcome(node, lapses), CommitOutcome::kCreated);
  AwaitExpiry(lapses.reservation_id);
  const ReservationClaim cancelled = Claim("tv", "alice");
  ASSERT_EQ(Outcome(node, cancelled), CommitOutcome::kCreated);
  ASSERT_EQ(Cancel(cancelled.reservation_id).outcome, ChangeOutcome::kDone);
  Move("tv", {{node, 1}});
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), CommitOutcome::kCreated);
}

TEST_P(FieldSituations, APaymentAfterTheHoldHasLapsedBooksAnotherUnit) {
  Create(ShortHold("tv", 1));
  const IncarnationId node = HolderOf("tv", 1);
  const ReservationClaim claim = Claim("tv", "alice");
  ASSERT_EQ(Outcome(node, claim), CommitOutcome::kCreated);
  AwaitExpiry(claim.reservation_id);
  EXPECT_EQ(Confirm(PaymentFor(claim.reservation_id)).outcome, ChangeOutcome::kStateForbids);
  const ChangeResult late = PayLate(PaymentFor(claim.reservation_id));
  ASSERT_EQ(late.outcome, ChangeOutcome::kRebooked);
  ASSERT_TRUE(late.rebooked.has_value());
  EXPECT_EQ(late.rebooked->state, ReservationState::kConfirmed);
  EXPECT_EQ(late.rebooked->user_id, "alice");
  EXPECT_EQ(late.rebooked->rebooked_from, claim.reservation_id);
  const ChangeResult again = PayLate(PaymentFor(claim.reservation_id));
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.rebooked->reservation_id, late.rebooked->reservation_id);
  EXPECT_EQ(Unsold("tv"), 0);
}

TEST_P(FieldSituations, AHoldLastsWhileThePaymentPageIsOpenIfItIsExtended) {
  Create(ShortHold("tv", 1));
  const IncarnationId node = HolderOf("tv", 1);
  const ReservationClaim claim = Claim("tv", "alice");
  ASSERT_EQ(Outcome(node, claim), CommitOutcome::kCreated);
  const Extension extension{claim.reservation_id, 1, absl::Seconds(1)};
  const auto extended = lifecycle().ExtendReservations(absl::MakeConstSpan(&extension, 1));
  ASSERT_TRUE(extended.ok()) << extended.status();
  // On a slow machine the second may be over before the extension comes: then it must be refused, not granted late.
  if (extended->front().outcome != ChangeOutcome::kDone) {
    EXPECT_EQ(extended->front().outcome, ChangeOutcome::kStateForbids);
    return;
  }
  EXPECT_EQ(extended->front().reservation.extensions, 1);
  EXPECT_EQ(extended->front().reservation.expires_at - extended->front().reservation.created_at, absl::Seconds(2));
}

TEST_P(FieldSituations, NobodyIsChargedWithoutStockAndForgotten) {
  Create(ShortHold("tv", 1));
  const IncarnationId node = HolderOf("tv", 1);
  const ReservationClaim claim = Claim("tv", "alice");
  ASSERT_EQ(Outcome(node, claim), CommitOutcome::kCreated);
  AwaitExpiry(claim.reservation_id);
  Move("tv", {{node, 1}});
  ASSERT_EQ(Outcome(node, Claim("tv", "bob")), CommitOutcome::kCreated);
  const ChangeResult late = PayLate(PaymentFor(claim.reservation_id));
  EXPECT_EQ(late.outcome, ChangeOutcome::kPaidUnfulfilled);
  EXPECT_FALSE(late.replayed);
  EXPECT_TRUE(PayLate(PaymentFor(claim.reservation_id)).replayed);
  // The refund is asked for through the outbox, once.
  int refunds = 0;
  for (const OutboxMessage& message : Messages()) refunds += message.kind == "payment.refund_requested" ? 1 : 0;
  EXPECT_EQ(refunds, 1);
}

TEST_P(FieldSituations, AFailedPaymentFreesTheUnitAtOnce) {
  // A failed payment is no state of its own: who hears of it cancels, and who does not lets the hold lapse.
  Create(SkuOf("tv", 1));
  const IncarnationId node = HolderOf("tv", 1);
  const ReservationClaim claim = Claim("tv", "alice");
  ASSERT_EQ(Outcome(node, claim), CommitOutcome::kCreated);
  ASSERT_EQ(Cancel(claim.reservation_id).outcome, ChangeOutcome::kDone);
  EXPECT_EQ(Remaining("tv")[kPool], 1);
  EXPECT_EQ(PayLate(PaymentFor(claim.reservation_id)).outcome, ChangeOutcome::kStateForbids)
      << "and a payment that comes all the same is refunded, not turned into a sale";
}

// Queue, idempotency.

TEST_P(FieldSituations, AnOrderAndItsMessageAreThereTogether) {
  Create(SkuOf("tv", 1));
  const IncarnationId node = HolderOf("tv", 1);
  const ReservationClaim claim = Claim("tv", "alice");
  ASSERT_EQ(Outcome(node, claim), CommitOutcome::kCreated);
  EXPECT_TRUE(Messages().empty());
  ASSERT_EQ(Confirm(PaymentFor(claim.reservation_id)).outcome, ChangeOutcome::kDone);
  const std::vector<OutboxMessage> messages = Messages();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].kind, "reservation.confirmed");
  EXPECT_EQ(messages[0].key.reservation_id, claim.reservation_id);
  ASSERT_EQ(Confirm(PaymentFor(claim.reservation_id)).outcome, ChangeOutcome::kReplayed);
  EXPECT_EQ(Messages().size(), 1u) << "a repeated call writes no second one";
}

TEST_P(FieldSituations, AnExpiredHoldIsShownAsExpired) {
  Create(ShortHold("tv", 1));
  const IncarnationId node = HolderOf("tv", 1);
  const ReservationClaim claim = Claim("tv", "alice");
  ASSERT_EQ(Outcome(node, claim), CommitOutcome::kCreated);
  AwaitExpiry(claim.reservation_id);
  EXPECT_EQ(StateOf(claim.reservation_id), ReservationState::kExpired);
  const auto page = lifecycle().ListReservations({.sku_id = "tv", .states = {ReservationState::kPending}}, {}, 10);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_TRUE(page->reservations.empty());
}

}  // namespace
}  // namespace tranche::storage
