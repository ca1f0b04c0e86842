#include "server/handlers/change_handler.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "server/errors.h"
#include "server/handlers/change_checks.h"
#include "server/handlers/change_errors.h"
#include "server/handlers/reservation_messages.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

using storage::ChangeOutcome;
using storage::ChangeResult;
using storage::Refusal;

// The ledger refuses it as a payment in time: what becomes of the money is ConfirmLate's to decide. A reservation that
// is not found may have been retired: its payment must not be lost.
bool MayBeLate(Refusal refusal) {
  return refusal == Refusal::kReservationState || refusal == Refusal::kReservationNotFound ||
         refusal == Refusal::kGroupOver;
}

bool HasSeat(const storage::GroupWithMembers& group, const storage::Uuid& reservation_id) {
  return std::any_of(group.members.begin(), group.members.end(), [&](const storage::GroupMember& member) {
    return member.reservation_id == reservation_id && member.seat > 0;
  });
}

}  // namespace

absl::Status ChangeHandler::Admit() const {
  if (shared_->accepting.load(std::memory_order_relaxed)) return absl::OkStatus();
  return RefusalError({.refusal = Refusal::kDraining});
}

absl::Status ChangeHandler::AdmitChange() const {
  RETURN_IF_ERROR(Admit());
  if (door_ == nullptr) return absl::OkStatus();
  const std::optional<quota::Refused> limited = door_->RefusesChanges();
  return limited.has_value() ? RefusalError(*limited) : absl::OkStatus();
}

ChangeHandler::Outcome ChangeHandler::OutcomeOf(const v1::ConfirmReservationResponse& response) {
  if (response.replayed()) return kReplayed;
  switch (response.outcome()) {
    case v1::CONFIRM_OUTCOME_REBOOKED:
      return kRebooked;
    case v1::CONFIRM_OUTCOME_PAID_UNFULFILLED:
      return kPaidUnfulfilled;
    case v1::CONFIRM_OUTCOME_GROUP_WAITING:
      return kGroupWaiting;
    default:
      return kDone;
  }
}

template <typename Response>
ChangeHandler::Done<Response> ChangeHandler::Counting(OutcomeCounts* outcomes, Done<Response> done) {
  return [outcomes, done = std::move(done)](absl::StatusOr<Response> answer) mutable {
    if (answer.ok()) {
      outcomes->Done(OutcomeOf(*answer));
    } else {
      outcomes->Refused(answer.status());
    }
    done(std::move(answer));
  };
}

void ChangeHandler::Confirm(const v1::ConfirmReservationRequest& request, absl::Time deadline,
                            Done<v1::ConfirmReservationResponse> done) {
  done = Counting(&shared_->confirmed, std::move(done));
  absl::StatusOr<storage::Payment> payment = ToChange(request);
  if (!payment.ok()) return done(payment.status());
  if (absl::Status admitted = Admit(); !admitted.ok()) return done(admitted);
  if (door_ != nullptr) {
    if (std::optional<quota::Refused> limited = door_->RefusesChanges()) {
      return ConfirmUnlessPending(request.sku_id(), *std::move(payment), deadline, *std::move(limited),
                                  std::move(done));
    }
  }
  ConfirmNow(request.sku_id(), *std::move(payment), deadline, std::move(done));
}

// A payment that is repeated, or comes late, changes nothing that somebody could still pay for, and must be answered,
// or noted. So it takes a look to tell; what becomes of the reservation after it is the ledger's to say, as ever.
void ChangeHandler::ConfirmUnlessPending(const std::string& sku_id, storage::Payment payment, absl::Time deadline,
                                         quota::Refused limited, Done<v1::ConfirmReservationResponse> done) {
  const storage::Uuid id = payment.reservation_id;
  books_->Find(id, storage::Assurance::kCommitted, deadline,
               [this, sku_id, payment = std::move(payment), deadline, limited = std::move(limited),
                done = std::move(done)](absl::StatusOr<storage::Reservation> found) mutable {
                 if (!found.ok() && !absl::IsNotFound(found.status())) {
                   return done(LedgerError(found.status(), sku_id, Repeatable::kYes));
                 }
                 if (found.ok() && found->state == storage::ReservationState::kPending) {
                   return ConfirmIfSeated(*found, std::move(payment), deadline, std::move(limited), std::move(done));
                 }
                 ConfirmNow(sku_id, std::move(payment), deadline, std::move(done));
               });
}

void ChangeHandler::ConfirmIfSeated(const storage::Reservation& pending, storage::Payment payment, absl::Time deadline,
                                    quota::Refused limited, Done<v1::ConfirmReservationResponse> done) {
  if (!pending.group_id.has_value() || !read_group_) return done(RefusalError(limited));
  const storage::GroupLookup lookup = {
      .sku_id = pending.sku_id, .members = storage::GroupLookup::Members::kOne, .user_id = pending.user_id};
  read_group_(*pending.group_id, lookup, deadline,
              [this, sku_id = pending.sku_id, payment = std::move(payment), deadline, limited = std::move(limited),
               done = std::move(done)](const absl::StatusOr<storage::GroupWithMembers>& read) mutable {
                if (!read.ok() && !absl::IsNotFound(read.status())) {
                  return done(LedgerError(read.status(), sku_id, Repeatable::kYes));
                }
                const bool seated = read.ok() && HasSeat(*read, payment.reservation_id);
                if (!seated) return done(RefusalError(limited));
                ConfirmNow(sku_id, std::move(payment), deadline, std::move(done));
              });
}

void ChangeHandler::ConfirmNow(const std::string& sku_id, storage::Payment payment, absl::Time deadline,
                               Done<v1::ConfirmReservationResponse> done) {
  storage::Change change = payment;
  Apply(sku_id, std::move(change), deadline,
        [this, payment = std::move(payment), deadline,
         done = std::move(done)](absl::StatusOr<ChangeResult> result) mutable {
          if (!result.ok()) return done(LedgerError(result.status(), "", Repeatable::kYes));
          CountIfFilled(*result);
          if (!MayBeLate(result->refusal)) return done(Confirmed(payment.reservation_id, *result, /*late=*/false));
          const bool known = result->refusal != Refusal::kReservationNotFound;
          ConfirmLate(std::move(payment), deadline, known ? result->reservation.sku_id : "", std::move(done));
        });
}

void ChangeHandler::CountIfFilled(const ChangeResult& paid) {
  const storage::Reservation& member = paid.reservation;
  const bool sold = paid.outcome == ChangeOutcome::kDone && member.state == storage::ReservationState::kConfirmed;
  if (sold && member.group_id.has_value()) shared_->filled.Note(*member.group_id);
}

void ChangeHandler::Apply(const std::string& sku_id, storage::Change change, absl::Time deadline,
                          storage::ChangeDone done) {
  books_->Apply(slices_->ShardOf(sku_id), std::move(change), deadline, std::move(done));
}

void ChangeHandler::ConfirmLate(storage::Payment payment, absl::Time deadline, const std::string& sku_id,
                                Done<v1::ConfirmReservationResponse> done) {
  const storage::Uuid id = payment.reservation_id;
  books_->ConfirmLate(std::move(payment), sku_id, deadline,
                      [this, id, sku_id, done = std::move(done)](absl::StatusOr<ChangeResult> result) mutable {
                        if (!result.ok()) return done(LedgerError(result.status(), sku_id, Repeatable::kYes));
                        // A seat may have become free since the payment was refused.
                        CountIfFilled(*result);
                        done(Confirmed(id, *result, /*late=*/true));
                      });
}

absl::StatusOr<v1::ConfirmReservationResponse> ChangeHandler::Confirmed(const storage::Uuid& id,
                                                                        const ChangeResult& result, bool late) const {
  v1::ConfirmReservationResponse response;
  switch (result.outcome) {
    case ChangeOutcome::kDone:
    case ChangeOutcome::kReplayed:
      response.set_outcome(OutcomeOfPaid(result.reservation));
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
      return ChangeError(id, result, /*refund_requested=*/late);
    case ChangeOutcome::kBusy:  // the pipeline keeps these back
    case ChangeOutcome::kInDoubt:
      return LedgerError(storage::BusyError("locked"), result.reservation.sku_id, Repeatable::kYes);
  }
  // Has no id if retention has dropped the reservation and only the payment's record is left.
  if (!result.reservation.reservation_id.is_nil()) {
    Fill(result.reservation, clock_->Now(), response.mutable_reservation());
  }
  if (result.rebooked.has_value()) Fill(*result.rebooked, clock_->Now(), response.mutable_rebooked());
  return response;
}

void ChangeHandler::Cancel(const v1::CancelReservationRequest& request, absl::Time deadline,
                           Done<v1::CancelReservationResponse> done) {
  done = Counting(&shared_->cancelled, std::move(done));
  absl::StatusOr<storage::Cancellation> cancellation = ToChange(request);
  if (!cancellation.ok()) return done(cancellation.status());
  if (absl::Status admitted = AdmitChange(); !admitted.ok()) return done(admitted);
  CancelNow(request.sku_id(), *std::move(cancellation), deadline, std::move(done));
}

// A look is enough: for which group a reservation was made never changes.
void ChangeHandler::Leave(const v1::CancelReservationRequest& request, absl::Time deadline,
                          Done<v1::CancelReservationResponse> done) {
  done = Counting(&shared_->cancelled, std::move(done));
  absl::StatusOr<storage::Cancellation> cancellation = ToChange(request);
  if (!cancellation.ok()) return done(cancellation.status());
  if (absl::Status admitted = AdmitChange(); !admitted.ok()) return done(admitted);
  const storage::Uuid id = cancellation->reservation_id;
  shared_->leaving.Get(id, deadline,
                       [this, id, sku_id = request.sku_id(), cancellation = *std::move(cancellation), deadline,
                        done = std::move(done)](const absl::StatusOr<storage::Reservation>& found) mutable {
                         if (!found.ok() && !absl::IsNotFound(found.status())) {
                           return done(LedgerError(found.status(), sku_id, Repeatable::kYes));
                         }
                         if (found.ok() && !found->group_id.has_value()) return done(NotInGroup(id));
                         CancelNow(sku_id, std::move(cancellation), deadline, std::move(done));
                       });
}

void ChangeHandler::CancelNow(const std::string& sku_id, storage::Cancellation cancellation, absl::Time deadline,
                              Done<v1::CancelReservationResponse> done) {
  const storage::Uuid id = cancellation.reservation_id;
  Apply(sku_id, std::move(cancellation), deadline,
        [this, id, done = std::move(done)](absl::StatusOr<ChangeResult> result) mutable {
          done(Changed<v1::CancelReservationResponse>(id, result));
        });
}

void ChangeHandler::Extend(const v1::ExtendReservationRequest& request, absl::Time deadline,
                           Done<v1::ExtendReservationResponse> done) {
  done = Counting(&shared_->extended, std::move(done));
  const absl::StatusOr<storage::Extension> extension = ToChange(request);
  if (!extension.ok()) return done(extension.status());
  if (absl::Status admitted = AdmitChange(); !admitted.ok()) return done(admitted);
  Apply(request.sku_id(), *extension, deadline,
        [this, id = extension->reservation_id, done = std::move(done)](absl::StatusOr<ChangeResult> result) mutable {
          done(Changed<v1::ExtendReservationResponse>(id, result));
        });
}

template <typename Response>
absl::StatusOr<Response> ChangeHandler::Changed(const storage::Uuid& id,
                                                const absl::StatusOr<ChangeResult>& result) const {
  if (!result.ok()) return LedgerError(result.status(), "", Repeatable::kYes);
  if (result->outcome == ChangeOutcome::kRefused) return ChangeError(id, *result, /*refund_requested=*/false);
  Response response;
  Fill(result->reservation, clock_->Now(), response.mutable_reservation());
  response.set_replayed(result->outcome == ChangeOutcome::kReplayed);
  return response;
}

}  // namespace tranche::server
