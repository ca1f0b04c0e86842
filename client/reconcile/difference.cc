#include "client/reconcile/difference.h"

namespace tranche::reconcile {

absl::string_view NameOf(DifferenceClass kind) {
  switch (kind) {
    case DifferenceClass::kMissingHere:
      return "MISSING_HERE";
    case DifferenceClass::kMissingThere:
      return "MISSING_THERE";
    case DifferenceClass::kConfirmedButUnpaid:
      return "CONFIRMED_BUT_UNPAID";
    case DifferenceClass::kPaidButPending:
      return "PAID_BUT_PENDING";
    case DifferenceClass::kPaidButCancelled:
      return "PAID_BUT_CANCELLED";
    case DifferenceClass::kPaidButExpired:
      return "PAID_BUT_EXPIRED";
    case DifferenceClass::kAmountDiffers:
      return "AMOUNT_DIFFERS";
    case DifferenceClass::kCurrencyDiffers:
      return "CURRENCY_DIFFERS";
    case DifferenceClass::kReferenceDiffers:
      return "REFERENCE_DIFFERS";
    case DifferenceClass::kDuplicateCharge:
      return "DUPLICATE_CHARGE";
    case DifferenceClass::kRefundedButLive:
      return "REFUNDED_BUT_LIVE";
    case DifferenceClass::kUnfulfilledNotRefunded:
      return "UNFULFILLED_NOT_REFUNDED";
    case DifferenceClass::kRefundNotRecorded:
      return "REFUND_NOT_RECORDED";
    case DifferenceClass::kRefundWithoutCharge:
      return "REFUND_WITHOUT_CHARGE";
    case DifferenceClass::kCount:
      break;
  }
  return "";
}

absl::string_view NameOf(Correction correction) {
  switch (correction) {
    case Correction::kNeedsPerson:
      return "NEEDS_PERSON";
    case Correction::kApplyPayment:
      return "APPLY_PAYMENT";
    case Correction::kMarkRefunded:
      return "MARK_REFUNDED";
  }
  return "";
}

}  // namespace tranche::reconcile
