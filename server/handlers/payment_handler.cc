#include "server/handlers/payment_handler.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "server/proto_time.h"
#include "storage/base/log_trace.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

using storage::Uuid;

constexpr int kExportPage = 1000;
constexpr int kMaxLookUp = 1000;
constexpr int kMaxCorrections = 100;

absl::Status CheckReference(const std::string& reference, absl::string_view field) {
  if (IsUserId(reference)) return absl::OkStatus();  // the same shape
  return InvalidField(field, "must be 1 to 128 bytes of UTF-8 without control characters");
}

void SetMessage(const storage::LatePayment& late, v1::LatePayment* message) {
  message->set_payment_reference(late.payment_reference);
  message->set_amount_minor(late.amount_minor);
  message->set_currency(late.currency);
  *message->mutable_receive_time() = ToTimestamp(late.received_at);
  if (late.rebooked_as.has_value()) message->set_rebooked_as(late.rebooked_as->ToString());
  if (late.refunded_at.has_value()) *message->mutable_refund_time() = ToTimestamp(*late.refunded_at);
}

void SetMessage(const storage::PaymentEntry& entry, v1::PaymentEntry* message) {
  message->set_reservation_id(entry.reservation_id.ToString());
  message->set_state(entry.kept ? ToState(entry.state) : v1::RESERVATION_STATE_UNSPECIFIED);
  message->set_sku_id(entry.sku_id);
  message->set_quantity(entry.quantity);
  message->set_amount_minor(entry.amount_minor);
  message->set_currency(entry.currency);
  message->set_payment_reference(entry.payment_reference);
  if (entry.paid_at.has_value()) *message->mutable_pay_time() = ToTimestamp(*entry.paid_at);
  if (entry.rebooked_from.has_value()) message->set_rebooked_from(entry.rebooked_from->ToString());
  message->set_archived(entry.archived);
  message->set_order_reference(entry.order_reference);
  for (const storage::LatePayment& late : entry.late_payments) SetMessage(late, message->add_late_payments());
}

v1::CorrectionOutcome ToOutcome(storage::AppliedPayment::Outcome outcome) {
  using Outcome = storage::AppliedPayment::Outcome;
  switch (outcome) {
    case Outcome::kConfirmed:
      return v1::CORRECTION_OUTCOME_CONFIRMED;
    case Outcome::kRebooked:
      return v1::CORRECTION_OUTCOME_REBOOKED;
    case Outcome::kRefundRequested:
      return v1::CORRECTION_OUTCOME_REFUND_REQUESTED;
    case Outcome::kNotFound:
      return v1::CORRECTION_OUTCOME_NOT_FOUND;
    case Outcome::kMismatch:
      return v1::CORRECTION_OUTCOME_PAYMENT_MISMATCH;
    case Outcome::kMoving:
      return v1::CORRECTION_OUTCOME_SKU_MOVING;
  }
  return v1::CORRECTION_OUTCOME_UNSPECIFIED;
}

v1::CorrectionOutcome ToOutcome(storage::RefundMark mark) {
  switch (mark) {
    case storage::RefundMark::kDone:
    case storage::RefundMark::kReplayed:
      return v1::CORRECTION_OUTCOME_REFUND_NOTED;
    case storage::RefundMark::kNotFound:
      return v1::CORRECTION_OUTCOME_NOT_FOUND;
    case storage::RefundMark::kRebooked:
      return v1::CORRECTION_OUTCOME_NOT_TO_REFUND;
  }
  return v1::CORRECTION_OUTCOME_UNSPECIFIED;
}

absl::Status CheckCorrection(const v1::Correction& correction) {
  RETURN_IF_ERROR(CheckReservationId(correction.reservation_id(), "corrections.reservation_id").status());
  if (correction.has_mark_refunded()) {
    return CheckReference(correction.mark_refunded().payment_reference(), "corrections.payment_reference");
  }
  if (!correction.has_apply_payment()) return InvalidField("corrections.kind", "is missing");
  if (correction.apply_payment().amount_minor() < 0) {
    return InvalidField("corrections.amount_minor", "must not be negative");
  }
  if (!IsCurrency(correction.apply_payment().currency())) {
    return InvalidField("corrections.currency", "must be three capital letters, such as EUR");
  }
  return CheckReference(correction.apply_payment().payment_reference(), "corrections.payment_reference");
}

absl::StatusOr<absl::Time> CheckTime(bool given, const google::protobuf::Timestamp& timestamp,
                                     absl::string_view field) {
  const std::optional<absl::Time> time = FromTimestamp(timestamp);
  if (!given || !time.has_value()) return InvalidField(field, "must be a valid timestamp");
  return *time;
}

}  // namespace

absl::StatusOr<PaymentHandler::ExportCursor> PaymentHandler::StartExport(
    const v1::ExportPaymentsRequest& request) const {
  ASSIGN_OR_RETURN(const absl::Time from, CheckTime(request.has_from_time(), request.from_time(), "from_time"));
  ASSIGN_OR_RETURN(const absl::Time to, CheckTime(request.has_to_time(), request.to_time(), "to_time"));
  ExportCursor cursor{from, to};
  if (!request.after_reservation_id().empty()) {
    ASSIGN_OR_RETURN(const Uuid after, CheckReservationId(request.after_reservation_id(), "after_reservation_id"));
    cursor.after = after;
  }
  return cursor;
}

absl::StatusOr<v1::ExportPaymentsResponse> PaymentHandler::ReadExport(ExportCursor* cursor) const {
  const auto page = ledger_->ExportPayments(cursor->after, cursor->from, cursor->to, kExportPage);
  if (!page.ok()) return LedgerError(page.status(), "", Repeatable::kYes);
  v1::ExportPaymentsResponse response;
  for (const storage::PaymentEntry& entry : page->entries) SetMessage(entry, response.add_entries());
  if (page->next.has_value()) response.set_read_up_to(page->next->ToString());
  cursor->after = page->next;
  cursor->done = !page->next.has_value();
  return response;
}

absl::StatusOr<v1::LookUpPaymentsResponse> PaymentHandler::LookUp(const v1::LookUpPaymentsRequest& request) {
  if (request.reservation_ids().empty() || request.reservation_ids_size() > kMaxLookUp) {
    return InvalidField("reservation_ids", absl::StrCat("must be 1 to ", kMaxLookUp));
  }
  std::vector<Uuid> ids;
  for (const std::string& text : request.reservation_ids()) {
    ASSIGN_OR_RETURN(const Uuid id, CheckReservationId(text, "reservation_ids"));
    ids.push_back(id);
  }
  const auto entries = ledger_->LookUpPayments(ids);
  if (!entries.ok()) return LedgerError(entries.status(), "", Repeatable::kYes);
  v1::LookUpPaymentsResponse response;
  for (const storage::PaymentEntry& entry : *entries) SetMessage(entry, response.add_entries());
  return response;
}

absl::StatusOr<v1::ApplyCorrectionsResponse> PaymentHandler::Apply(const v1::ApplyCorrectionsRequest& request,
                                                                   const storage::Actor& actor) {
  if (request.corrections().empty() || request.corrections_size() > kMaxCorrections) {
    return InvalidField("corrections", absl::StrCat("must be 1 to ", kMaxCorrections));
  }
  for (const v1::Correction& correction : request.corrections()) {
    RETURN_IF_ERROR(CheckCorrection(correction));
  }
  v1::ApplyCorrectionsResponse response;
  for (const v1::Correction& correction : request.corrections()) {
    ASSIGN_OR_RETURN(v1::ApplyCorrectionsResponse::Result result, ApplyOne(correction, actor));
    *response.add_results() = std::move(result);
  }
  return response;
}

absl::StatusOr<v1::ApplyCorrectionsResponse::Result> PaymentHandler::ApplyOne(const v1::Correction& correction,
                                                                              const storage::Actor& actor) {
  const Uuid id = *Uuid::Parse(correction.reservation_id());
  v1::ApplyCorrectionsResponse::Result result;
  if (correction.has_mark_refunded()) {
    const std::pair<Uuid, std::string> payment(id, correction.mark_refunded().payment_reference());
    const auto marks = ledger_->MarkRefunded({&payment, 1}, actor);
    if (!marks.ok()) return LedgerError(marks.status(), "", Repeatable::kYes);
    result.set_outcome(ToOutcome(marks->front()));
    result.set_replayed(marks->front() == storage::RefundMark::kReplayed);
    return result;
  }
  const v1::Correction::ApplyPayment& payment = correction.apply_payment();
  const auto applied = ledger_->ApplyPayment(
      {id, payment.payment_reference(), payment.amount_minor(), payment.currency(), CurrentTrace()}, actor);
  if (!applied.ok()) return LedgerError(applied.status(), "", Repeatable::kYes);
  result.set_outcome(ToOutcome(applied->outcome));
  result.set_replayed(applied->replayed);
  if (applied->rebooked_as.has_value()) result.set_rebooked_as(applied->rebooked_as->ToString());
  return result;
}

}  // namespace tranche::server
