#include "server/handlers/preview_handler.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "storage/ledger/ledger_error.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

using storage::ChangeOutcome;
using storage::ChangeResult;
using storage::Refusal;

constexpr char kPreviewedId[] = "01890a5d-ac96-774b-bcce-b302099a8057";

// A handler whose ledger answers as told.
class PreviewHandlerTest : public ::testing::Test {
 protected:
  PreviewHandlerTest() {
    reservation_.reservation_id = *storage::Uuid::Parse(kPreviewedId);
    reservation_.sku_id = "tv";
    reservation_.amount_minor = 49900;
    reservation_.currency = "EUR";
    reservation_.state = storage::ReservationState::kConfirmed;
  }

  static v1::PreviewReservationChangeRequest Confirm() {
    v1::PreviewReservationChangeRequest request;
    request.mutable_confirm()->set_reservation_id(kPreviewedId);
    request.mutable_confirm()->set_payment_reference("pay-1");
    request.mutable_confirm()->set_amount_minor(49900);
    request.mutable_confirm()->set_currency("EUR");
    return request;
  }
  static v1::PreviewReservationChangeRequest Cancel() {
    v1::PreviewReservationChangeRequest request;
    request.mutable_cancel()->set_reservation_id(kPreviewedId);
    return request;
  }
  v1::PreviewReservationChangeResponse Preview(const v1::PreviewReservationChangeRequest& request) {
    const auto response = handler_.Change(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::PreviewReservationChangeResponse());
  }

  storage::FakeClock clock_;
  storage::Reservation reservation_;
  absl::StatusOr<ChangeResult> answer_ = absl::InternalError("not told");
  storage::Change asked_;
  PreviewHandler handler_{[this](const storage::Change& change) {
                            asked_ = change;
                            return answer_;
                          },
                          &clock_};
};

TEST_F(PreviewHandlerTest, TellsWhatTheChangeWouldMake) {
  answer_ = ChangeResult{.outcome = ChangeOutcome::kDone, .reservation = reservation_};
  const auto confirm = Preview(Confirm());
  EXPECT_EQ(std::get<storage::Payment>(asked_).payment_reference, "pay-1");
  EXPECT_EQ(confirm.reservation().reservation_id(), kPreviewedId);
  EXPECT_EQ(confirm.outcome(), v1::CONFIRM_OUTCOME_CONFIRMED);
  EXPECT_FALSE(confirm.replayed() || confirm.refund_requested());

  answer_ = ChangeResult{.outcome = ChangeOutcome::kReplayed, .reservation = reservation_};
  const auto cancel = Preview(Cancel());
  EXPECT_TRUE(std::holds_alternative<storage::Cancellation>(asked_));
  EXPECT_EQ(cancel.outcome(), v1::CONFIRM_OUTCOME_UNSPECIFIED);
  EXPECT_TRUE(cancel.replayed());
}

TEST_F(PreviewHandlerTest, APaymentOfAGroupsMemberWouldWaitOrBeRefunded) {
  reservation_.state = storage::ReservationState::kPending;
  answer_ = ChangeResult{.outcome = ChangeOutcome::kDone, .reservation = reservation_};
  EXPECT_EQ(Preview(Confirm()).outcome(), v1::CONFIRM_OUTCOME_GROUP_WAITING);
  answer_ = storage::RefusedChange(Refusal::kGroupOver, reservation_);
  const auto over = Preview(Confirm());
  EXPECT_EQ(over.outcome(), v1::CONFIRM_OUTCOME_PAID_UNFULFILLED);
  EXPECT_TRUE(over.refund_requested());
}

TEST_F(PreviewHandlerTest, WhatIsNotBookedYetHasNoId) {
  answer_ = ChangeResult{.outcome = ChangeOutcome::kRebooked, .reservation = reservation_, .rebooked = reservation_};
  answer_->rebooked->reservation_id = {};
  const auto preview = Preview(Confirm());
  EXPECT_EQ(preview.outcome(), v1::CONFIRM_OUTCOME_REBOOKED);
  ASSERT_TRUE(preview.has_rebooked());
  EXPECT_EQ(preview.rebooked().reservation_id(), "");
}

TEST_F(PreviewHandlerTest, APaymentThatIsRefusedForARefundIsNoError) {
  answer_ = storage::RefusedChange(Refusal::kReservationState, reservation_);
  const auto preview = Preview(Confirm());
  EXPECT_TRUE(preview.refund_requested());
  EXPECT_EQ(preview.outcome(), v1::CONFIRM_OUTCOME_UNSPECIFIED);
  answer_->replayed = true;
  EXPECT_TRUE(Preview(Confirm()).replayed());
  answer_ = ChangeResult{.outcome = ChangeOutcome::kPaidUnfulfilled, .reservation = reservation_};
  EXPECT_TRUE(Preview(Confirm()).refund_requested());
}

TEST_F(PreviewHandlerTest, WhatWouldBeRefusedFailsInTheSameWay) {
  answer_ = storage::RefusedChange(Refusal::kReservationState, reservation_);
  EXPECT_EQ(ReasonOf(handler_.Change(Cancel()).status()), "RESERVATION_STATE");
  answer_ = storage::RefusedChange(Refusal::kPaymentMismatch, reservation_);
  EXPECT_EQ(MetadataOf(handler_.Change(Confirm()).status(), "amount_minor"), "49900");
  answer_ = storage::RefusedChange(Refusal::kReservationNotFound);
  EXPECT_EQ(ReasonOf(handler_.Change(Confirm()).status()), "RESERVATION_NOT_FOUND");
  answer_ = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(handler_.Change(Confirm()).status()), "LEDGER_UNAVAILABLE");
}

TEST_F(PreviewHandlerTest, ChecksFieldsLikeTheChange) {
  v1::PreviewReservationChangeRequest request = Confirm();
  request.mutable_confirm()->clear_payment_reference();
  EXPECT_EQ(MetadataOf(handler_.Change(request).status(), "field"), "payment_reference");
  EXPECT_EQ(MetadataOf(handler_.Change({}).status(), "field"), "change");
}

}  // namespace
}  // namespace tranche::server
