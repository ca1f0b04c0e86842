// Payments for reservations that are no longer pending, on the fake and on PostgreSQL: the buyer always gets another
// unit or a refund.
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using testing::NewId;

class LatePaymentContract : public LifecycleContractTest {
 protected:
  using enum ChangeOutcome;
  using enum Refusal;
};
INSTANTIATE_TEST_SUITE_P(Both, LatePaymentContract, BothLedgers(), LedgerName);

TEST_P(LatePaymentContract, OfAnExpiredHoldBooksAnotherUnit) {
  Create(SkuOf("tv", 10, /*per_user_limit=*/2));
  const IncarnationId node = HolderOf("tv", 8);
  const Reservation lapsed = Expired(node, "tv", "alice", 2);
  const ChangeResult result = ConfirmLate(PaymentOf(lapsed));
  EXPECT_EQ(result.outcome, kRebooked);
  EXPECT_FALSE(result.replayed);
  EXPECT_EQ(result.reservation.reservation_id, lapsed.reservation_id);
  EXPECT_EQ(result.reservation.state, ReservationState::kExpired);
  ASSERT_TRUE(result.rebooked.has_value());
  const Reservation& rebooked = *result.rebooked;
  EXPECT_EQ(rebooked.state, ReservationState::kConfirmed);
  EXPECT_EQ(rebooked.rebooked_from, lapsed.reservation_id);
  EXPECT_EQ(rebooked.payment_reference, "pay-1");
  EXPECT_EQ(rebooked.sku_id, "tv");
  EXPECT_EQ(rebooked.user_id, "alice");
  EXPECT_EQ(rebooked.quantity, 2);
  EXPECT_EQ(rebooked.amount_minor, lapsed.amount_minor);
  EXPECT_EQ(rebooked.currency, "EUR");
  EXPECT_EQ(rebooked.revision, 2);
  ExpectSame(Read(rebooked.reservation_id), rebooked);
  EXPECT_THAT(Remaining("tv"), ElementsAre(std::pair(kPool, 2), std::pair(node, 6))) << "2 and 2 back and 2 taken";
  EXPECT_THAT(Kinds(rebooked.reservation_id), ElementsAre("reservation.rebooked"));

  const ChangeResult again = ConfirmLate(PaymentOf(lapsed));
  EXPECT_EQ(again.outcome, kRebooked);
  EXPECT_TRUE(again.replayed);
  ASSERT_TRUE(again.rebooked.has_value());
  ExpectSame(*again.rebooked, rebooked);
  EXPECT_EQ(stock().GetSku("tv")->unsold, 8) << "booked once";
  EXPECT_EQ(Confirm(PaymentOf(lapsed)).refusal, kReservationState);
}

TEST_P(LatePaymentContract, WhatIsBookedInsteadIsOfTheSameOrder) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 8);
  ReservationClaim claim = testing::Claim("tv", "alice");
  claim.order_reference = "A-1017";
  const Reservation hold = Commit(node, {claim}).front().reservation;
  LetPass(absl::Hours(1));
  EXPECT_GE(Expire().expired, 1);
  const ChangeResult result = ConfirmLate(PaymentOf(hold));
  ASSERT_EQ(result.outcome, kRebooked);
  EXPECT_EQ(result.reservation.order_reference, "A-1017");
  EXPECT_EQ(result.rebooked->order_reference, "A-1017");
}

TEST_P(LatePaymentContract, TakesTheUnitFromTheFullestSliceWhenThePoolIsEmpty) {
  Create(SkuOf("tv", 9, /*per_user_limit=*/3));
  const IncarnationId node = HolderOf("tv", 3), other = HolderOf("tv", 6);
  const Reservation lapsed = Expired(node, "tv", "alice", 3);
  Move("tv", {{node, 3}});
  ASSERT_THAT(Remaining("tv"), ElementsAre(std::pair(kPool, 0), std::pair(node, 3), std::pair(other, 6)));
  ASSERT_TRUE(stock().AckReturnedSkus({{"tv", stock().GetSku("tv")->quota_version}}).ok());
  const auto before = *stock().ReadQuota("tv");
  EXPECT_EQ(ConfirmLate(PaymentOf(lapsed)).outcome, kRebooked);
  EXPECT_THAT(Remaining("tv"), ElementsAre(std::pair(kPool, 0), std::pair(node, 3), std::pair(other, 3)));
  const auto after = *stock().ReadQuota("tv");
  EXPECT_EQ(after.quota_version, before.quota_version + 1);
  EXPECT_EQ(after.slices[2].allotted, before.slices[2].allotted - 3);
  EXPECT_EQ(after.slices[2].version, after.quota_version) << "its node must hear of it";
  EXPECT_EQ(after.slices[1].version, before.slices[1].version);
  EXPECT_THAT(*stock().ListReturnedSkus("", 10), ElementsAre("tv")) << "to be announced";
}

TEST_P(LatePaymentContract, WithoutAUnitIsToBeRefunded) {
  Create(SkuOf("tv", 1));
  const IncarnationId node = HolderOf("tv", 1);
  const Reservation lapsed = Expired(node, "tv", "alice");
  Move("tv", {{node, 1}});
  Hold(node, "tv", "bob");
  const ChangeResult result = ConfirmLate(PaymentOf(lapsed));
  EXPECT_EQ(result.outcome, kPaidUnfulfilled);
  EXPECT_FALSE(result.replayed);
  EXPECT_FALSE(result.rebooked.has_value());
  EXPECT_EQ(result.reservation.state, ReservationState::kExpired);
  EXPECT_EQ(result.reservation.revision, lapsed.revision + 1);
  EXPECT_THAT(Kinds(lapsed.reservation_id), ElementsAre("reservation.expired", "payment.refund_requested"));

  const ChangeResult again = ConfirmLate(PaymentOf(lapsed));
  EXPECT_EQ(again.outcome, kPaidUnfulfilled);
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.reservation.revision, result.reservation.revision);
  EXPECT_EQ(Kinds(lapsed.reservation_id).size(), 2u) << "the refund is asked for once";
}

TEST_P(LatePaymentContract, OfAClosedSkuOrBeyondTheBuyersLimitIsToBeRefunded) {
  Create(SkuOf("tv", 10));
  Create(SkuOf("radio", 10));
  const IncarnationId node = HolderOf("tv", 10);
  Move("radio", {{node, 10}});
  const Reservation radio = Hold(node, "radio", "alice");
  const Reservation tv = Expired(node, "tv", "alice");
  Hold(node, "tv", "alice");
  EXPECT_EQ(ConfirmLate(PaymentOf(tv)).outcome, kPaidUnfulfilled) << "they have another one by now";
  ASSERT_TRUE(stock().CloseSku("radio", "test").ok());
  EXPECT_EQ(ConfirmLate(PaymentOf(radio)).outcome, kPaidUnfulfilled);
}

TEST_P(LatePaymentContract, OfACancelledOrOtherwisePaidReservationIsToBeRefunded) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation cancelled = Cancel(Hold(node, "tv", "alice")).reservation;
  const Reservation paid = Confirm(PaymentOf(Hold(node, "tv", "bob"))).reservation;
  for (const Reservation& ended : {cancelled, paid}) {
    const ChangeResult result = ConfirmLate(PaymentOf(ended, "pay-2"));
    EXPECT_EQ(result.refusal, kReservationState);
    EXPECT_FALSE(result.replayed);
    EXPECT_EQ(result.reservation.state, ended.state);
    EXPECT_EQ(result.reservation.payment_reference, ended.payment_reference);
    EXPECT_EQ(Kinds(ended.reservation_id).back(), "payment.refund_requested");
    const ChangeResult again = ConfirmLate(PaymentOf(ended, "pay-2"));
    EXPECT_EQ(again.refusal, kReservationState);
    EXPECT_TRUE(again.replayed);
    EXPECT_EQ(Kinds(ended.reservation_id).size(), 2u);
  }
  EXPECT_EQ(ConfirmLate(PaymentOf(paid)).outcome, kReplayed) << "the payment that counts";
  EXPECT_EQ(Kinds(paid.reservation_id).size(), 2u);
}

TEST_P(LatePaymentContract, TwoPaymentsForOneHoldBuyOneUnit) {
  Create(SkuOf("tv", 10, /*per_user_limit=*/5));
  const Reservation lapsed = Expired(HolderOf("tv", 10), "tv", "alice");
  const ChangeResult first = ConfirmLate(PaymentOf(lapsed, "pay-1"));
  EXPECT_EQ(first.outcome, kRebooked);
  for (const bool replayed : {false, true}) {
    const ChangeResult second = ConfirmLate(PaymentOf(lapsed, "pay-2"));
    EXPECT_EQ(second.outcome, kPaidUnfulfilled);
    EXPECT_EQ(second.replayed, replayed);
    ASSERT_TRUE(second.rebooked.has_value()) << "the buyer has the unit";
    ExpectSame(*second.rebooked, *first.rebooked);
  }
  EXPECT_EQ(stock().GetSku("tv")->unsold, 9);
}

TEST_P(LatePaymentContract, WithNothingLateAboutItIsAConfirmation) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation hold = Hold(node, "tv", "alice");
  EXPECT_EQ(ConfirmLate({NewId(), "pay-1", 1, "EUR"}).refusal, kReservationNotFound);
  Payment wrong = PaymentOf(hold);
  wrong.amount_minor += 1;
  EXPECT_EQ(ConfirmLate(wrong).refusal, kPaymentMismatch);
  EXPECT_EQ(ConfirmLate(PaymentOf(hold)).outcome, kDone);
  EXPECT_EQ(ConfirmLate(PaymentOf(hold)).outcome, kReplayed);
}

TEST_P(LatePaymentContract, OfAnotherAmountIsRecordedByNobody) {
  Create(SkuOf("tv", 10));
  const Reservation lapsed = Expired(HolderOf("tv", 10), "tv", "alice");
  Payment wrong = PaymentOf(lapsed);
  wrong.currency = "USD";
  EXPECT_EQ(ConfirmLate(wrong).refusal, kPaymentMismatch);
  EXPECT_THAT(Kinds(lapsed.reservation_id), ElementsAre("reservation.expired"));
  EXPECT_EQ(ConfirmLate(PaymentOf(lapsed)).outcome, kRebooked) << "the right one still counts";
}

}  // namespace
}  // namespace tranche::storage
