// Previews of changes of reservations, on the fake and on PostgreSQL: they say what the change then does, and change
// nothing themselves.
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using testing::NewId;

class PreviewContract : public LifecycleContractTest {
 protected:
  using enum ChangeOutcome;
  using enum Refusal;

  ChangeResult Preview(const Change& change) {
    const auto result = lifecycle().PreviewChange(change);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(ChangeResult{});
  }
  // What a payment gets, as a node asks for it.
  ChangeResult Pay(const Payment& payment) {
    const ChangeResult result = Confirm(payment);
    const bool late = result.refusal == kReservationState || result.refusal == kReservationNotFound;
    return late ? ConfirmLate(payment) : result;
  }
  // All that a change of this reservation could touch.
  std::string Books(const Uuid& id) {
    const auto found = lifecycle().ReadReservations(absl::MakeConstSpan(&id, 1));
    EXPECT_TRUE(found.ok());
    std::string books = ::testing::PrintToString(Remaining("tv")) + ::testing::PrintToString(Kinds(id));
    for (const Reservation& one : *found) {
      books += absl::StrCat(" ", static_cast<int>(one.state), " ", one.revision, " ", one.extensions, " ",
                            one.payment_reference, one.cancel_reason, " ", absl::ToUnixMicros(one.expires_at));
    }
    return books;
  }
  // The preview, once it is made sure of that it changed nothing, and that the change answers the same.
  ChangeResult PreviewAndDo(const Payment& payment) {
    return Compared(payment, [&] { return Pay(payment); });
  }
  ChangeResult PreviewAndDo(const Cancellation& cancellation) {
    return Compared(cancellation, [&] { return Cancel(std::vector{cancellation}).front(); });
  }
  ChangeResult PreviewAndDo(const Extension& extension) {
    return Compared(extension, [&] { return Extend(std::vector{extension}).front(); });
  }

 private:
  template <typename One, typename Do>
  ChangeResult Compared(const One& change, const Do& make) {
    const std::string before = Books(change.reservation_id);
    const ChangeResult preview = Preview(change);
    EXPECT_EQ(Books(change.reservation_id), before) << "a preview changes nothing";
    const ChangeResult done = make();
    EXPECT_EQ(preview.outcome, done.outcome);
    EXPECT_EQ(preview.refusal, done.refusal);
    EXPECT_EQ(preview.bound, done.bound);
    EXPECT_EQ(preview.replayed, done.replayed);
    // Each is ended at its own time.
    ExpectAlike(preview.reservation, done.reservation);
    EXPECT_EQ(preview.rebooked.has_value(), done.rebooked.has_value());
    if (preview.rebooked.has_value() && done.rebooked.has_value()) ExpectAlike(*preview.rebooked, *done.rebooked);
    return preview;
  }
  static void ExpectAlike(Reservation preview, const Reservation& done) {
    EXPECT_EQ(preview.finished_at.has_value(), done.finished_at.has_value());
    preview.finished_at = done.finished_at;
    if (preview.reservation_id == Uuid{}) {  // to be booked
      preview.reservation_id = done.reservation_id;
      preview.created_at = done.created_at;
      preview.expires_at = done.expires_at;
    }
    ExpectSame(preview, done);
  }
};
INSTANTIATE_TEST_SUITE_P(Both, PreviewContract, BothLedgers(), LedgerName);

TEST_P(PreviewContract, OfAPaymentInTimeAndAgain) {
  Create(SkuOf("tv", 10));
  const Reservation hold = Hold(HolderOf("tv", 5), "tv", "alice");
  const ChangeResult first = PreviewAndDo(PaymentOf(hold));
  EXPECT_EQ(first.outcome, kDone);
  EXPECT_EQ(first.reservation.state, ReservationState::kConfirmed);
  EXPECT_EQ(PreviewAndDo(PaymentOf(hold)).outcome, kReplayed);
}

TEST_P(PreviewContract, OfAWrongAmount) {
  Create(SkuOf("tv", 10));
  const Reservation hold = Hold(HolderOf("tv", 5), "tv", "alice");
  Payment wrong = PaymentOf(hold);
  ++wrong.amount_minor;
  EXPECT_EQ(PreviewAndDo(wrong).refusal, kPaymentMismatch);
  wrong.reservation_id = NewId();
  EXPECT_EQ(PreviewAndDo(wrong).refusal, kReservationNotFound);
}

TEST_P(PreviewContract, OfASecondPaymentWhichIsToBeRefunded) {
  Create(SkuOf("tv", 10));
  const Reservation hold = Hold(HolderOf("tv", 5), "tv", "alice");
  EXPECT_EQ(Confirm(PaymentOf(hold)).outcome, kDone);
  EXPECT_EQ(PreviewAndDo(PaymentOf(hold, "pay-2")).refusal, kReservationState);
  EXPECT_TRUE(PreviewAndDo(PaymentOf(hold, "pay-2")).replayed) << "it was recorded";
}

TEST_P(PreviewContract, OfALatePaymentForWhichAnotherUnitIsLeft) {
  Create(SkuOf("tv", 10));
  const Reservation lapsed = Expired(HolderOf("tv", 5), "tv", "alice");
  const ChangeResult preview = PreviewAndDo(PaymentOf(lapsed));
  EXPECT_EQ(preview.outcome, kRebooked);
  EXPECT_EQ(preview.rebooked->reservation_id, Uuid{}) << "nothing of this name will exist";
  const ChangeResult again = PreviewAndDo(PaymentOf(lapsed));
  EXPECT_TRUE(again.replayed);
  EXPECT_NE(again.rebooked->reservation_id, Uuid{});
}

TEST_P(PreviewContract, OfALatePaymentForWhichNothingIsLeft) {
  Create(SkuOf("tv", 1));
  const Reservation lapsed = Expired(HolderOf("tv", 1), "tv", "alice");
  ASSERT_TRUE(stock().CloseSku("tv", "test").ok());
  EXPECT_EQ(PreviewAndDo(PaymentOf(lapsed)).outcome, kPaidUnfulfilled);
  EXPECT_TRUE(PreviewAndDo(PaymentOf(lapsed)).replayed);
}

TEST_P(PreviewContract, OfCancellations) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 5);
  const Reservation hold = Hold(node, "tv", "alice");
  EXPECT_EQ(PreviewAndDo(Cancellation{hold.reservation_id, "called"}).reservation.cancel_reason, "called");
  EXPECT_EQ(PreviewAndDo(Cancellation{hold.reservation_id, "again"}).outcome, kReplayed);
  const Reservation paid = Hold(node, "tv", "bob");
  Confirm(PaymentOf(paid));
  EXPECT_EQ(PreviewAndDo(Cancellation{paid.reservation_id, ""}).refusal, kReservationState);
}

TEST_P(PreviewContract, OfExtensionsAndTheirBounds) {
  Sku sku = SkuOf("tv", 10);
  sku.max_extensions = 1;
  Create(sku);
  const Reservation hold = Hold(HolderOf("tv", 5), "tv", "alice");
  const Uuid id = hold.reservation_id;
  EXPECT_EQ(PreviewAndDo(Extension{id, 2, absl::Minutes(1)}).refusal, kExtensionOutOfOrder);
  EXPECT_EQ(PreviewAndDo(Extension{id, 1, absl::Hours(24 * 30)}).refusal, kHoldTooLong);
  EXPECT_EQ(PreviewAndDo(Extension{id, 1, absl::Minutes(1)}).reservation.expires_at,
            hold.expires_at + absl::Minutes(1));
  EXPECT_EQ(PreviewAndDo(Extension{id, 1, absl::Minutes(1)}).outcome, kReplayed);
  EXPECT_EQ(PreviewAndDo(Extension{id, 2, absl::Minutes(1)}).refusal, kTooManyExtensions);
}

}  // namespace
}  // namespace tranche::storage
