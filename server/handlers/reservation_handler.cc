#include "server/handlers/reservation_handler.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "server/errors.h"
#include "server/handlers/claim_checks.h"
#include "server/handlers/join_refused.h"
#include "server/handlers/reservation_messages.h"
#include "storage/ledger/claim_refusal.h"

namespace tranche::server {

ReservationHandler::ReservationHandler(Sell sell, storage::Books* books, storage::Clock* clock)
    : sell_(std::move(sell)), books_(books), clock_(clock) {}

void ReservationHandler::Create(const v1::CreateReservationRequest& request, absl::Time deadline, CreateDone done,
                                std::string buyer_address) {
  Claim(CheckClaim(request), deadline, request.may_exist(),
        {.address = std::move(buyer_address),
         .purchase_token = request.purchase_token(),
         .accept_queued = request.accept_queued()},
        std::move(done));
}

void ReservationHandler::Claim(absl::StatusOr<storage::ReservationClaim> claim, absl::Time deadline, bool may_exist,
                               quota::Visitor visitor, CreateDone done) {
  if (!claim.ok()) {
    outcomes_.Refused(claim.status());
    return done(claim.status());
  }
  if (!serving_.load(std::memory_order_acquire)) {
    outcomes_.Refused(storage::Refusal::kExhaustedHere);
    return done(RefusalError({.refusal = storage::Refusal::kExhaustedHere}, claim->sku_id));
  }
  Claimed claimed{claim->reservation_id, claim->sku_id, claim->group};
  sell_(
      *std::move(claim), deadline, may_exist,
      [this, claimed = std::move(claimed), done = std::move(done)](quota::SaleResult result) mutable {
        done(AnswerOf(std::move(result), claimed));
      },
      std::move(visitor));
}

absl::Status ReservationHandler::ErrorOf(const quota::Refused& refused, const Claimed& claimed) {
  absl::Status error = claimed.group == nullptr ? RefusalError(refused, claimed.sku_id)
                                                : JoinRefused(refused, claimed.sku_id, *claimed.group);
  const bool reused = refused.refusal == storage::Refusal::kReservationIdReused;
  return reused ? WithReservationId(error, claimed.id) : std::move(error);
}

absl::StatusOr<Accepted> ReservationHandler::AnswerOf(quota::SaleResult result, const Claimed& claimed) {
  if (const auto* refused = std::get_if<quota::Refused>(&result)) {
    outcomes_.Refused(refused->refusal);
    return ErrorOf(*refused, claimed);
  }
  if (auto* queued = std::get_if<quota::Queued>(&result)) {
    outcomes_.Done(kQueued);
    return Accepted(std::move(*queued));
  }
  auto& sold = std::get<quota::Sold>(result);
  if (const auto refusal = sold.replayed ? storage::RefusalOf(sold.reservation) : std::nullopt; refusal.has_value()) {
    outcomes_.Refused(*refusal);
    return ErrorOf({.refusal = *refusal}, claimed);
  }
  outcomes_.Done(sold.replayed ? kReplayed : kCreated);
  return Accepted(std::move(sold));
}

void ReservationHandler::Get(const v1::GetReservationRequest& request, absl::Time deadline, GetDone done) {
  const absl::StatusOr<storage::Uuid> id = CheckReservationId(request.reservation_id());
  if (!id.ok()) return done(id.status());
  const auto assurance = request.after_lost_answer() ? storage::Assurance::kReplicated : storage::Assurance::kCommitted;
  books_->Find(*id, assurance, deadline,
               [id = *id, done = std::move(done)](absl::StatusOr<storage::Reservation> found) mutable {
                 if (found.ok()) return done(*std::move(found));
                 if (absl::IsNotFound(found.status())) return done(ReservationNotFound(id));
                 done(LedgerError(found.status(), "", Repeatable::kYes));
               });
}

void ReservationHandler::Fill(const storage::Reservation& reservation, v1::Reservation* message) const {
  server::Fill(reservation, clock_->Now(), message);
}

}  // namespace tranche::server
