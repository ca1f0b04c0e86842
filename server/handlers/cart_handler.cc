#include "server/handlers/cart_handler.h"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "storage/base/log_trace.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/claim_refusal.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::server {
namespace {

using storage::ReservationClaim;

absl::StatusOr<ReservationClaim> CheckLine(const v1::CartLine& line, const std::string& user_id,
                                           const std::string& field) {
  ASSIGN_OR_RETURN(const storage::Uuid id, CheckReservationId(line.reservation_id(), field + ".reservation_id"));
  RETURN_IF_ERROR(CheckSkuId(line.sku_id(), field + ".sku_id"));
  if (line.quantity() < 1) {
    return FieldError(v1::ERROR_REASON_QUANTITY_INVALID, field + ".quantity", "must be at least 1");
  }
  RETURN_IF_ERROR(CheckPurchaseToken(line.purchase_token(), field + ".purchase_token"));
  ReservationClaim claim{id, line.sku_id(), user_id, line.quantity()};
  claim.trace = CurrentTrace();
  return claim;
}

// Where no front door is, carts come without both, and cost nothing more, unless they may be queued.
std::vector<quota::Visitor> VisitorsOf(const v1::CreateReservationsRequest& request, const std::string& address) {
  const bool known = !address.empty() || request.accept_queued() ||
                     std::any_of(request.lines().begin(), request.lines().end(),
                                 [](const auto& line) { return !line.purchase_token().empty(); });
  std::vector<quota::Visitor> visitors;
  if (!known) return visitors;
  visitors.reserve(static_cast<size_t>(request.lines_size()));
  for (const v1::CartLine& line : request.lines()) {
    visitors.push_back({address, line.purchase_token(), request.accept_queued()});
  }
  return visitors;
}

}  // namespace

absl::StatusOr<std::vector<ReservationClaim>> CheckCart(const v1::CreateReservationsRequest& request) {
  if (request.ByteSizeLong() > kMaxCartBytes) {
    return FieldError(v1::ERROR_REASON_MESSAGE_TOO_LARGE, "request",
                      absl::StrCat("must be at most ", kMaxCartBytes, " bytes"));
  }
  RETURN_IF_ERROR(CheckBuyer(request.user_id()));
  RETURN_IF_ERROR(CheckOrderReference(request.order_reference()));
  RETURN_IF_ERROR(CheckBuyerAddress(request.buyer_address()));
  if (request.lines().empty() || request.lines_size() > storage::kMaxCartLines) {
    return InvalidField("lines", absl::StrCat("must be 1 to ", storage::kMaxCartLines));
  }
  std::vector<ReservationClaim> claims;
  absl::flat_hash_set<storage::Uuid> ids;
  for (int i = 0; i < request.lines_size(); ++i) {
    const std::string field = absl::StrCat("lines[", i, "]");
    ASSIGN_OR_RETURN(ReservationClaim claim, CheckLine(request.lines(i), request.user_id(), field));
    if (!ids.insert(claim.reservation_id).second) {
      return InvalidField(field + ".reservation_id", "is that of another line");
    }
    claim.order_reference = request.order_reference();
    claims.push_back(std::move(claim));
  }
  return claims;
}

void CartHandler::Create(const v1::CreateReservationsRequest& request, absl::Time deadline, Done done,
                         const std::string& buyer_address) {
  absl::StatusOr<std::vector<ReservationClaim>> claims = CheckCart(request);
  if (!claims.ok()) {
    outcomes_.Refused(claims.status());
    return done(claims.status());
  }
  if (!serving_.load(std::memory_order_acquire)) {
    outcomes_.Refused(storage::Refusal::kExhaustedHere);
    return done(RefusalError({.refusal = storage::Refusal::kExhaustedHere}));
  }
  sell_(
      *std::move(claims), deadline, request.may_exist(),
      [this, done = std::move(done)](const quota::CartSale& sale) mutable { done(AnswerOf(sale)); },
      VisitorsOf(request, buyer_address));
}

absl::StatusOr<v1::CreateReservationsResponse> CartHandler::AnswerOf(const quota::CartSale& sale) {
  if (const auto* refused = std::get_if<quota::CartRefused>(&sale)) {
    outcomes_.Refused(refused->refused.refusal);
    absl::Status error = RefusalError(refused->refused, refused->sku_id);
    if (refused->reservation_id.has_value()) error = WithReservationId(error, *refused->reservation_id);
    return error;
  }
  v1::CreateReservationsResponse response;
  if (const auto* queued = std::get_if<quota::Queued>(&sale)) {
    outcomes_.Done(kQueued);
    FillQueued(*queued, response.mutable_queued());
    return response;
  }
  const auto& sold = std::get<quota::CartSold>(sale);
  for (const storage::Reservation& reservation : sold.reservations) {
    if (const auto refusal = sold.replayed ? storage::RefusalOf(reservation) : std::nullopt; refusal.has_value()) {
      outcomes_.Refused(*refusal);
      return RefusalError({.refusal = *refusal}, reservation.sku_id);
    }
    Fill(reservation, clock_->Now(), response.add_reservations());
  }
  outcomes_.Done(sold.replayed ? kReplayed : kCreated);
  response.set_replayed(sold.replayed);
  return response;
}

}  // namespace tranche::server
