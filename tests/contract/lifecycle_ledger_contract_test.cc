// Payment, cancellation and extension, on the fake and on PostgreSQL.
#include "absl/time/clock.h"
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::NewId;

class LifecycleLedgerContract : public LifecycleContractTest {
 protected:
  using enum ChangeOutcome;
  using enum Refusal;
};
INSTANTIATE_TEST_SUITE_P(Both, LifecycleLedgerContract, BothLedgers(), LedgerName);

TEST_P(LifecycleLedgerContract, ConfirmsOnceAndReplays) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation hold = Hold(node, "tv", "alice");
  const ChangeResult done = Confirm(PaymentOf(hold));
  EXPECT_EQ(done.outcome, kDone);
  EXPECT_EQ(done.reservation.state, ReservationState::kConfirmed);
  EXPECT_EQ(done.reservation.payment_reference, "pay-1");
  EXPECT_EQ(done.reservation.revision, 2);
  ASSERT_TRUE(done.reservation.finished_at.has_value());
  EXPECT_LT(absl::AbsDuration(*done.reservation.finished_at - absl::Now()), absl::Minutes(1));
  EXPECT_EQ(done.reservation.expires_at, hold.expires_at);
  EXPECT_EQ(Remaining("tv")[node], 9) << "the unit stays with its buyer";

  const ChangeResult again = Confirm(PaymentOf(hold));
  EXPECT_EQ(again.outcome, kReplayed);
  ExpectSame(again.reservation, done.reservation);
  EXPECT_THAT(Kinds(hold.reservation_id), ElementsAre("reservation.confirmed")) << "a repeat is no change";
}

TEST_P(LifecycleLedgerContract, WhatEndedStaysAsItIs) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation paid = Hold(node, "tv", "alice");
  const Reservation given_up = Hold(node, "tv", "bob");
  const Reservation lapsed = Expired(node, "tv", "carol");
  ASSERT_EQ(lapsed.state, ReservationState::kExpired);
  // An hour has passed: these two were due as well, and have ended too.
  EXPECT_EQ(Read(paid.reservation_id).state, ReservationState::kExpired);
  const Reservation confirmed = Hold(node, "tv", "dora");
  const Reservation cancelled = Hold(node, "tv", "emil");
  ASSERT_EQ(Confirm(PaymentOf(confirmed)).outcome, kDone);
  ASSERT_EQ(Cancel(cancelled).outcome, kDone);

  const ChangeResult other_payment = Confirm(PaymentOf(confirmed, "pay-2"));
  EXPECT_EQ(other_payment.refusal, kReservationState);
  EXPECT_EQ(other_payment.reservation.state, ReservationState::kConfirmed);
  EXPECT_EQ(other_payment.reservation.payment_reference, "pay-1");
  EXPECT_EQ(Cancel(confirmed).refusal, kReservationState);
  EXPECT_EQ(Extend(confirmed, 1, absl::Seconds(1)).refusal, kReservationState);
  EXPECT_EQ(Confirm(PaymentOf(cancelled)).refusal, kReservationState);
  EXPECT_EQ(Extend(cancelled, 1, absl::Seconds(1)).refusal, kReservationState);
  for (const Reservation& expired : {given_up, lapsed}) {
    EXPECT_EQ(Confirm(PaymentOf(expired)).refusal, kReservationState);
    EXPECT_EQ(Cancel(expired).refusal, kReservationState);
    EXPECT_EQ(Extend(expired, 1, absl::Seconds(1)).refusal, kReservationState);
    EXPECT_EQ(Read(expired.reservation_id).state, ReservationState::kExpired);
  }
}

TEST_P(LifecycleLedgerContract, AnotherAmountOrCurrencyConfirmsNothing) {
  Create(SkuOf("tv", 10));
  const Reservation hold = Hold(HolderOf("tv", 10), "tv", "alice");
  Payment payment = PaymentOf(hold);
  payment.amount_minor -= 1;
  EXPECT_EQ(Confirm(payment).refusal, kPaymentMismatch);
  payment = PaymentOf(hold);
  payment.currency = "USD";
  const ChangeResult other_currency = Confirm(payment);
  EXPECT_EQ(other_currency.refusal, kPaymentMismatch);
  EXPECT_EQ(other_currency.reservation.state, ReservationState::kPending);
  EXPECT_EQ(Confirm(PaymentOf(hold)).outcome, kDone);
}

TEST_P(LifecycleLedgerContract, EachOfABatchIsAnsweredInItsPlace) {
  Create(SkuOf("tv", 10));
  Create(SkuOf("radio", 10));
  const IncarnationId node = HolderOf("tv", 10);
  Move("radio", {{node, 10}});
  const Reservation tv = Hold(node, "tv", "alice"), radio = Hold(node, "radio", "alice"),
                    more = Hold(node, "tv", "bob");
  Payment wrong = PaymentOf(tv, "pay-2");
  wrong.amount_minor += 1;
  const auto confirmed = Confirm({PaymentOf(radio), {NewId(), "pay-9", 1, "EUR"}, wrong, PaymentOf(more)});
  EXPECT_EQ(confirmed[0].outcome, kDone);
  EXPECT_EQ(confirmed[0].reservation.reservation_id, radio.reservation_id);
  EXPECT_EQ(confirmed[1].refusal, kReservationNotFound);
  EXPECT_EQ(confirmed[2].refusal, kPaymentMismatch);
  EXPECT_EQ(confirmed[3].outcome, kDone);
  EXPECT_EQ(confirmed[3].reservation.reservation_id, more.reservation_id);
  const auto cancelled = Cancel({{NewId(), "a"}, {tv.reservation_id, "b"}, {radio.reservation_id, "c"}});
  EXPECT_EQ(cancelled[0].refusal, kReservationNotFound);
  EXPECT_EQ(cancelled[1].outcome, kDone);
  EXPECT_EQ(cancelled[1].reservation.cancel_reason, "b");
  EXPECT_EQ(cancelled[2].refusal, kReservationState);
  EXPECT_EQ(Extend({{NewId(), 1, absl::Seconds(1)}})[0].refusal, kReservationNotFound);
  EXPECT_THAT(Confirm(std::vector<Payment>()), IsEmpty());
  EXPECT_THAT(Cancel(std::vector<Cancellation>()), IsEmpty());
  EXPECT_THAT(Extend(std::vector<Extension>()), IsEmpty());
}

TEST_P(LifecycleLedgerContract, RefusesABatchThatRepeatsAnId) {
  Create(SkuOf("tv", 10));
  const Reservation hold = Hold(HolderOf("tv", 10), "tv", "alice");
  const Uuid id = hold.reservation_id;
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(lifecycle().ConfirmReservations({PaymentOf(hold), PaymentOf(hold)}).status().code(), invalid);
  EXPECT_EQ(lifecycle().CancelReservations({{id, ""}, {id, ""}}).status().code(), invalid);
  const Extension extension{id, 1, absl::Seconds(1)};
  EXPECT_EQ(lifecycle().ExtendReservations({extension, extension}).status().code(), invalid);
  EXPECT_EQ(Read(id).state, ReservationState::kPending);
}

TEST_P(LifecycleLedgerContract, CancelledUnitsGoToThePool) {
  Create(SkuOf("tv", 10, /*per_user_limit=*/5, /*slots=*/2));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation three = Hold(node, "tv", "alice", 3), one = Hold(node, "tv", "bob");
  const ChangeResult done = Cancel(three, "too dear");
  EXPECT_EQ(done.outcome, kDone);
  EXPECT_EQ(done.reservation.state, ReservationState::kCancelled);
  EXPECT_EQ(done.reservation.cancel_reason, "too dear");
  EXPECT_TRUE(done.reservation.finished_at.has_value());
  EXPECT_THAT(Remaining("tv"), ElementsAre(std::pair(kPool, 3), std::pair(node, 6)));

  const ChangeResult again = Cancel(three, "another reason");
  EXPECT_EQ(again.outcome, kReplayed);
  ExpectSame(again.reservation, done.reservation);
  EXPECT_EQ(Remaining("tv")[kPool], 3) << "returned once";
  Cancel(one);
  EXPECT_EQ(Remaining("tv")[kPool], 4);
  EXPECT_EQ(stock().GetSku("tv")->unsold, 10);
}

TEST_P(LifecycleLedgerContract, UnitsOfAnEndedIncarnationReturnAsWell) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation hold = Hold(node, "tv", "alice");
  ASSERT_TRUE(stock().ReclaimIncarnation(node).ok());
  EXPECT_EQ(Cancel(hold).outcome, kDone);
  EXPECT_THAT(Remaining("tv"), ElementsAre(std::pair(kPool, 10)));
}

// The buyer's own hold that was cancelled or expired must never count against their limit.
TEST_P(LifecycleLedgerContract, TheBuyersOwnEndedHoldDoesNotBlockHisNextTry) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation cancelled = Hold(node, "tv", "alice");
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), Refusal::kUserLimitReached);
  ASSERT_EQ(Cancel(cancelled).outcome, kDone);
  const Reservation lapsed = Hold(node, "tv", "alice");
  LetPass(absl::Hours(1));
  ASSERT_EQ(Expire().expired, 1);
  const Reservation third = Hold(node, "tv", "alice");
  EXPECT_EQ(Confirm(PaymentOf(third)).outcome, kDone);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), Refusal::kUserLimitReached) << "and now they have one";
  EXPECT_EQ(Read(lapsed.reservation_id).state, ReservationState::kExpired);
}

TEST_P(LifecycleLedgerContract, LimitsAndQuantitiesAboveOneCountWhatIsLive) {
  Create(SkuOf("tv", 20, /*per_user_limit=*/5));
  const IncarnationId node = HolderOf("tv", 20);
  const Reservation two = Hold(node, "tv", "alice", 2), three = Hold(node, "tv", "alice", 3);
  EXPECT_EQ(two.amount_minor, 2 * 1999);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), Refusal::kUserLimitReached);
  ASSERT_EQ(Confirm(PaymentOf(two)).outcome, kDone);
  ASSERT_EQ(Cancel(three).outcome, kDone);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice", 4)), Refusal::kUserLimitReached);
  const Reservation one = Hold(node, "tv", "alice", 1), again_two = Hold(node, "tv", "alice", 2);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), Refusal::kUserLimitReached);
  ASSERT_EQ(Cancel(one).outcome, kDone);
  ASSERT_EQ(Confirm(PaymentOf(again_two)).outcome, kDone);
  Hold(node, "tv", "alice", 1);
  EXPECT_EQ(stock().GetSku("tv")->unsold, 20 - 5);
}

TEST_P(LifecycleLedgerContract, ARepeatedCreationTellsWhatBecameOfIt) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const ReservationClaim paid = Claim("tv", "alice"), given_up = Claim("tv", "bob");
  const auto holds = Commit(node, {paid, given_up});
  const Reservation confirmed = Confirm(PaymentOf(holds[0].reservation)).reservation;
  const Reservation cancelled = Cancel(holds[1].reservation).reservation;
  const auto replayed = Commit(node, {paid, given_up});
  EXPECT_EQ(replayed[0].outcome, CommitOutcome::kReplayed);
  ExpectSame(replayed[0].reservation, confirmed);
  EXPECT_EQ(replayed[1].outcome, CommitOutcome::kReplayed);
  ExpectSame(replayed[1].reservation, cancelled);
  const auto found = reservations().FindReservation(paid.reservation_id);
  ASSERT_TRUE(found.ok()) << found.status();
  ExpectSame(*found, confirmed);
  ExpectSame(Read(given_up.reservation_id), cancelled);
  EXPECT_THAT(*lifecycle().ReadReservations({NewId()}), IsEmpty());
}

TEST_P(LifecycleLedgerContract, ExtendsInOrderAndWithinTheSkusBounds) {
  Sku sku = SkuOf("tv", 10);
  sku.hold = absl::Seconds(100);
  sku.max_extensions = 2;
  sku.max_hold = absl::Seconds(250);
  Create(sku);
  EXPECT_EQ(stock().GetSku("tv")->max_extensions, 2);
  EXPECT_EQ(stock().GetSku("tv")->max_hold, absl::Seconds(250));
  const Reservation hold = Hold(HolderOf("tv", 10), "tv", "alice");
  EXPECT_EQ(Extend(hold, 2, absl::Seconds(10)).refusal, kExtensionOutOfOrder);
  const ChangeResult first = Extend(hold, 1, absl::Seconds(60));
  EXPECT_EQ(first.outcome, kDone);
  EXPECT_EQ(first.reservation.expires_at, hold.expires_at + absl::Seconds(60));
  EXPECT_EQ(first.reservation.extensions, 1);
  EXPECT_EQ(first.reservation.revision, 2);
  const ChangeResult again = Extend(hold, 1, absl::Seconds(60));
  EXPECT_EQ(again.outcome, kReplayed);
  ExpectSame(again.reservation, first.reservation);

  const ChangeResult too_long = Extend(hold, 2, absl::Seconds(91));
  EXPECT_EQ(too_long.refusal, kHoldTooLong);
  EXPECT_EQ(too_long.bound, 250);
  EXPECT_EQ(Extend(hold, 2, absl::Seconds(90)).outcome, kDone);
  const ChangeResult too_many = Extend(hold, 3, absl::Seconds(1));
  EXPECT_EQ(too_many.refusal, kTooManyExtensions);
  EXPECT_EQ(too_many.bound, 2);
  EXPECT_THAT(Kinds(hold.reservation_id), ElementsAre("reservation.extended", "reservation.extended"));
}

TEST_P(LifecycleLedgerContract, WithoutALongestHoldEachExtensionMayAddOneHold) {
  Sku sku = SkuOf("tv", 10);
  sku.hold = absl::Seconds(100);
  sku.max_extensions = 1;
  Create(sku);
  const Reservation hold = Hold(HolderOf("tv", 10), "tv", "alice");
  const ChangeResult too_long = Extend(hold, 1, absl::Seconds(101));
  EXPECT_EQ(too_long.refusal, kHoldTooLong);
  EXPECT_EQ(too_long.bound, 200);
  EXPECT_EQ(Extend(hold, 1, absl::Seconds(100)).outcome, kDone);
}

TEST_P(LifecycleLedgerContract, RefusesExtensionsThatAreNone) {
  Create(SkuOf("tv", 10));
  const Uuid id = Hold(HolderOf("tv", 10), "tv", "alice").reservation_id;
  for (const Extension& none : {Extension{id, 0, absl::Seconds(1)}, Extension{id, 1, absl::ZeroDuration()}}) {
    EXPECT_EQ(lifecycle().ExtendReservations({none}).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

// Its unit is still held: a payment that comes before the expiry gets it. An extension would depend on that chance.
TEST_P(LifecycleLedgerContract, AnOverdueHoldIsConfirmedAndNotExtended) {
  Create(SkuOf("tv", 10));
  const Reservation hold = Hold(HolderOf("tv", 10), "tv", "alice");
  LetPass(absl::Hours(1));
  EXPECT_EQ(Extend(hold, 1, absl::Hours(2)).refusal, kReservationState);
  EXPECT_EQ(Confirm(PaymentOf(hold)).outcome, kDone);
  EXPECT_EQ(Expire().expired, 0);
}

TEST_P(LifecycleLedgerContract, AnExtendedHoldIsNotDue) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation extended = Hold(node, "tv", "alice"), other = Hold(node, "tv", "bob");
  ASSERT_EQ(Extend(extended, 1, absl::Minutes(15)).outcome, kDone);
  LetPass(absl::Minutes(20));
  EXPECT_EQ(Expire().expired, 1);
  EXPECT_EQ(Read(extended.reservation_id).state, ReservationState::kPending);
  EXPECT_EQ(Read(other.reservation_id).state, ReservationState::kExpired);
}

TEST_P(LifecycleLedgerContract, SaysWhichSkusHaveUnitsAgainUntilThatIsAcknowledged) {
  Create(SkuOf("tv", 2));
  Create(SkuOf("radio", 5));
  const IncarnationId node = HolderOf("tv", 2);
  Move("radio", {{node, 3}});
  const Reservation first = Hold(node, "tv", "alice"), second = Hold(node, "tv", "bob");
  const Reservation radio = Hold(node, "radio", "alice");
  EXPECT_THAT(*stock().ListReturnedSkus("", 10), IsEmpty());
  const int64_t before = stock().GetSku("tv")->quota_version;
  Cancel({{first.reservation_id, ""}, {radio.reservation_id, ""}});
  EXPECT_THAT(*stock().ListReturnedSkus("", 10), ElementsAre("tv")) << "radio's pool had units all the time";
  const int64_t version = stock().GetSku("tv")->quota_version;
  EXPECT_EQ(version, before + 1);
  Cancel(second);
  EXPECT_EQ(stock().GetSku("tv")->quota_version, version) << "the pool is not empty any more";
  EXPECT_TRUE(stock().AckReturnedSkus({{"tv", before}, {"no-such-sku", 1}}).ok());
  EXPECT_THAT(*stock().ListReturnedSkus("", 10), ElementsAre("tv")) << "what was announced is older than the return";
  EXPECT_TRUE(stock().AckReturnedSkus({{"tv", version}}).ok());
  EXPECT_THAT(*stock().ListReturnedSkus("", 10), IsEmpty());
}

// What was announced as too few units for a buyer's wish must be announced anew when there are more.
TEST_P(LifecycleLedgerContract, AReturnIntoAScarcePoolIsANewVersion) {
  Create(SkuOf("tv", 4, /*per_user_limit=*/3));
  const IncarnationId node = HolderOf("tv", 4);
  std::vector<Reservation> holds;
  for (const char* user : {"a", "b", "c", "d"}) holds.push_back(Hold(node, "tv", user));
  const int64_t before = stock().GetSku("tv")->quota_version;
  for (int64_t returned = 0; returned < 4; ++returned) {
    Cancel(holds[static_cast<size_t>(returned)]);
    const int64_t version = stock().GetSku("tv")->quota_version;
    EXPECT_EQ(version, before + std::min<int64_t>(returned + 1, 3)) << returned + 1 << " units are back";
  }
  EXPECT_THAT(*stock().ListReturnedSkus("", 10), ElementsAre("tv"));
}

// The bound of ScarceBelow is in the procedure, too.
TEST_P(LifecycleLedgerContract, NoMoreThanSixteenUnitsAreScarce) {
  for (const int32_t limit : {15, 16, 17, 20}) {
    const std::string sku = absl::StrCat("limit-", limit);
    Create(SkuOf(sku, 20, limit));
    const IncarnationId node = HolderOf(sku, 20);
    std::vector<Reservation> holds;
    for (int i = 0; i < 20; ++i) holds.push_back(Hold(node, sku, absl::StrCat("u", i)));
    const int64_t before = stock().GetSku(sku)->quota_version;
    for (const Reservation& hold : holds) Cancel(hold);
    EXPECT_EQ(stock().GetSku(sku)->quota_version, before + ScarceBelow(limit)) << sku;
  }
}

}  // namespace
}  // namespace tranche::storage
