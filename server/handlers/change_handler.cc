#include "server/handlers/change_handler.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/handlers/change_errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

using storage::ChangeOutcome;
using storage::ChangeResult;
using storage::Refusal;

constexpr size_t kMaxReferenceBytes = 128;
constexpr size_t kMaxReasonBytes = 256;
constexpr absl::Duration kMaxExtension = absl::Hours(30 * 24);

// Checks the two fields that every change has.
absl::StatusOr<storage::Uuid> CheckTarget(const std::string& reservation_id, const std::string& sku_id) {
  absl::StatusOr<storage::Uuid> id = CheckReservationId(reservation_id);
  if (!id.ok() || sku_id.empty()) return id;
  RETURN_IF_ERROR(CheckSkuId(sku_id));
  return id;
}

absl::StatusOr<storage::Payment> Check(const v1::ConfirmReservationRequest& request) {
  ASSIGN_OR_RETURN(const storage::Uuid id, CheckTarget(request.reservation_id(), request.sku_id()));
  const std::string& reference = request.payment_reference();
  if (reference.empty() || reference.size() > kMaxReferenceBytes || !IsPlainUtf8(reference)) {
    return InvalidField("payment_reference", absl::StrCat("must be 1 to ", kMaxReferenceBytes,
                                                          " bytes of UTF-8 without control characters"));
  }
  if (request.amount_minor() < 0) return InvalidField("amount_minor", "must not be negative");
  if (!IsCurrency(request.currency())) return InvalidField("currency", "must be three capital letters, such as EUR");
  return storage::Payment{id, reference, request.amount_minor(), request.currency()};
}

absl::StatusOr<storage::Cancellation> Check(const v1::CancelReservationRequest& request) {
  ASSIGN_OR_RETURN(const storage::Uuid id, CheckTarget(request.reservation_id(), request.sku_id()));
  if (request.reason().size() > kMaxReasonBytes || !IsPlainUtf8(request.reason())) {
    return InvalidField(
        "reason", absl::StrCat("must be at most ", kMaxReasonBytes, " bytes of UTF-8 without control characters"));
  }
  return storage::Cancellation{id, request.reason()};
}

absl::StatusOr<storage::Extension> Check(const v1::ExtendReservationRequest& request) {
  ASSIGN_OR_RETURN(const storage::Uuid id, CheckTarget(request.reservation_id(), request.sku_id()));
  if (request.extension() < 1)
    return InvalidField("extension", "must be at least 1: which extension of the hold this is");
  const std::optional<absl::Duration> by = FromDuration(request.extend_by());
  // The ledger keeps whole seconds.
  if (!by.has_value() || *by < absl::Seconds(1) || *by > kMaxExtension || request.extend_by().nanos() != 0) {
    return InvalidField("extend_by", "must be 1 s to 30 days in whole seconds");
  }
  return storage::Extension{id, request.extension(), *by};
}

}  // namespace

absl::Status ChangeHandler::Admit() const {
  if (accepting_.load(std::memory_order_relaxed)) return absl::OkStatus();
  return RefusalError({.refusal = Refusal::kDraining});
}

void ChangeHandler::Confirm(const v1::ConfirmReservationRequest& request, absl::Time deadline,
                            Done<v1::ConfirmReservationResponse> done) {
  const absl::StatusOr<storage::Payment> payment = Check(request);
  if (!payment.ok()) return done(payment.status());
  if (absl::Status admitted = Admit(); !admitted.ok()) return done(admitted);
  Apply(request.sku_id(), *payment, deadline,
        [this, payment = *payment, sku_id = request.sku_id(), deadline,
         done = std::move(done)](absl::StatusOr<ChangeResult> result) mutable {
          if (!result.ok()) return done(LedgerError(result.status(), "", Repeatable::kYes));
          // A reservation that is not found may have been retired: its payment must not be lost.
          const bool maybe_late =
              result->refusal == Refusal::kReservationState || result->refusal == Refusal::kReservationNotFound;
          if (!maybe_late) return done(Confirmed(*result, /*late=*/false));
          if (result->refusal == Refusal::kReservationState) sku_id = result->reservation.sku_id;
          ConfirmLate(std::move(payment), deadline, sku_id, std::move(done));
        });
}

void ChangeHandler::Apply(const std::string& sku_id, storage::Change change, absl::Time deadline,
                          storage::ChangeDone done) {
  books_->Apply(slices_->ShardOf(sku_id), std::move(change), deadline, std::move(done));
}

void ChangeHandler::ConfirmLate(storage::Payment payment, absl::Time deadline, const std::string& sku_id,
                                Done<v1::ConfirmReservationResponse> done) {
  books_->ConfirmLate(std::move(payment), deadline,
                      [this, sku_id, done = std::move(done)](absl::StatusOr<ChangeResult> result) mutable {
                        if (!result.ok()) return done(LedgerError(result.status(), sku_id, Repeatable::kYes));
                        done(Confirmed(*result, /*late=*/true));
                      });
}

absl::StatusOr<v1::ConfirmReservationResponse> ChangeHandler::Confirmed(const ChangeResult& result, bool late) const {
  v1::ConfirmReservationResponse response;
  switch (result.outcome) {
    case ChangeOutcome::kDone:
    case ChangeOutcome::kReplayed:
      response.set_outcome(v1::CONFIRM_OUTCOME_CONFIRMED);
      response.set_replayed(result.outcome == ChangeOutcome::kReplayed);
      break;
    case ChangeOutcome::kRebooked:
      response.set_outcome(v1::CONFIRM_OUTCOME_REBOOKED);
      response.set_replayed(result.replayed);
      break;
    case ChangeOutcome::kPaidUnfulfilled:
      response.set_outcome(v1::CONFIRM_OUTCOME_PAID_UNFULFILLED);
      response.set_replayed(result.replayed);
      break;
    case ChangeOutcome::kRefused:
      return ChangeError(result, /*refund_requested=*/late);
    case ChangeOutcome::kBusy:  // the pipeline keeps it back
      return LedgerError(storage::BusyError("locked"), result.reservation.sku_id, Repeatable::kYes);
  }
  // Has no id if retention has dropped the reservation and only the payment's record is left.
  if (!(result.reservation.reservation_id == storage::Uuid{})) {
    Fill(result.reservation, clock_->Now(), response.mutable_reservation());
  }
  if (result.rebooked.has_value()) Fill(*result.rebooked, clock_->Now(), response.mutable_rebooked());
  return response;
}

void ChangeHandler::Cancel(const v1::CancelReservationRequest& request, absl::Time deadline,
                           Done<v1::CancelReservationResponse> done) {
  const absl::StatusOr<storage::Cancellation> cancellation = Check(request);
  if (!cancellation.ok()) return done(cancellation.status());
  if (absl::Status admitted = Admit(); !admitted.ok()) return done(admitted);
  Apply(request.sku_id(), *cancellation, deadline,
        [this, done = std::move(done)](absl::StatusOr<ChangeResult> result) mutable {
          done(Changed<v1::CancelReservationResponse>(result));
        });
}

void ChangeHandler::Extend(const v1::ExtendReservationRequest& request, absl::Time deadline,
                           Done<v1::ExtendReservationResponse> done) {
  const absl::StatusOr<storage::Extension> extension = Check(request);
  if (!extension.ok()) return done(extension.status());
  if (absl::Status admitted = Admit(); !admitted.ok()) return done(admitted);
  Apply(request.sku_id(), *extension, deadline,
        [this, done = std::move(done)](absl::StatusOr<ChangeResult> result) mutable {
          done(Changed<v1::ExtendReservationResponse>(result));
        });
}

template <typename Response>
absl::StatusOr<Response> ChangeHandler::Changed(const absl::StatusOr<ChangeResult>& result) const {
  if (!result.ok()) return LedgerError(result.status(), "", Repeatable::kYes);
  if (result->outcome == ChangeOutcome::kRefused) return ChangeError(*result, /*refund_requested=*/false);
  Response response;
  Fill(result->reservation, clock_->Now(), response.mutable_reservation());
  response.set_replayed(result->outcome == ChangeOutcome::kReplayed);
  return response;
}

}  // namespace tranche::server
