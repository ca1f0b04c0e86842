#include "server/handlers/reservation_handler.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "storage/base/log_trace.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/claim_refusal.h"

namespace tranche::server {
namespace {

using storage::Uuid;

absl::StatusOr<storage::ReservationClaim> CheckClaim(const v1::CreateReservationRequest& request) {
  if (request.ByteSizeLong() > kMaxCreateBytes) {
    return FieldError(v1::ERROR_REASON_MESSAGE_TOO_LARGE, "request",
                      absl::StrCat("must be at most ", kMaxCreateBytes, " bytes"));
  }
  ASSIGN_OR_RETURN(Uuid id, CheckReservationId(request.reservation_id()));
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  RETURN_IF_ERROR(CheckBuyer(request.user_id()));
  if (request.quantity() < 1) return FieldError(v1::ERROR_REASON_QUANTITY_INVALID, "quantity", "must be at least 1");
  RETURN_IF_ERROR(CheckOrderReference(request.order_reference()));
  RETURN_IF_ERROR(CheckPurchaseToken(request.purchase_token()));
  RETURN_IF_ERROR(CheckBuyerAddress(request.buyer_address()));
  return storage::ReservationClaim{
      id, request.sku_id(), request.user_id(), request.quantity(), request.order_reference(), CurrentTrace()};
}

}  // namespace

ReservationHandler::ReservationHandler(Sell sell, storage::Books* books, storage::Clock* clock)
    : sell_(std::move(sell)), books_(books), clock_(clock) {}

void ReservationHandler::Create(const v1::CreateReservationRequest& request, absl::Time deadline, CreateDone done,
                                std::string buyer_address) {
  absl::StatusOr<storage::ReservationClaim> claim = CheckClaim(request);
  if (!claim.ok()) {
    outcomes_.Refused(claim.status());
    return done(claim.status());
  }
  if (!serving_.load(std::memory_order_acquire)) {
    outcomes_.Refused(storage::Refusal::kExhaustedHere);
    return done(RefusalError({.refusal = storage::Refusal::kExhaustedHere}, request.sku_id()));
  }
  const Uuid id = claim->reservation_id;
  sell_(*std::move(claim), deadline, request.may_exist(),
        [this, id, sku_id = request.sku_id(), done = std::move(done)](quota::SaleResult result) mutable {
          done(AnswerOf(std::move(result), id, sku_id));
        },
        {.address = std::move(buyer_address),
         .purchase_token = request.purchase_token(),
         .accept_queued = request.accept_queued()});
}

absl::StatusOr<Accepted> ReservationHandler::AnswerOf(quota::SaleResult result, const Uuid& id,
                                                      const std::string& sku_id) {
  if (const auto* refused = std::get_if<quota::Refused>(&result)) {
    outcomes_.Refused(refused->refusal);
    absl::Status error = RefusalError(*refused, sku_id);
    const bool reused = refused->refusal == storage::Refusal::kReservationIdReused;
    return reused ? WithReservationId(error, id) : std::move(error);
  }
  if (auto* queued = std::get_if<quota::Queued>(&result)) {
    outcomes_.Done(kQueued);
    return Accepted(std::move(*queued));
  }
  auto& sold = std::get<quota::Sold>(result);
  if (const auto refusal = sold.replayed ? storage::RefusalOf(sold.reservation) : std::nullopt; refusal.has_value()) {
    outcomes_.Refused(*refusal);
    return RefusalError({.refusal = *refusal}, sku_id);
  }
  outcomes_.Done(sold.replayed ? kReplayed : kCreated);
  return Accepted(std::move(sold));
}

void ReservationHandler::Get(const v1::GetReservationRequest& request, absl::Time deadline, GetDone done) {
  const absl::StatusOr<Uuid> id = CheckReservationId(request.reservation_id());
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

void ReservationHandler::Fill(const Accepted& accepted, v1::CreateReservationResponse* response) const {
  if (const auto* queued = std::get_if<quota::Queued>(&accepted))
    return FillQueued(*queued, response->mutable_queued());
  const auto& sold = std::get<quota::Sold>(accepted);
  Fill(sold.reservation, response->mutable_reservation());
  response->set_replayed(sold.replayed);
}

}  // namespace tranche::server
