#include "server/handlers/claim_checks.h"

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "storage/base/log_trace.h"
#include "storage/base/status_macros.h"

namespace tranche::server {

absl::StatusOr<storage::ReservationClaim> CheckClaimFields(const ClaimFields& fields) {
  if (fields.bytes > kMaxCreateBytes) {
    return FieldError(v1::ERROR_REASON_MESSAGE_TOO_LARGE, "request",
                      absl::StrCat("must be at most ", kMaxCreateBytes, " bytes"));
  }
  ASSIGN_OR_RETURN(const storage::Uuid id, CheckReservationId(fields.reservation_id));
  RETURN_IF_ERROR(CheckSkuId(fields.sku_id));
  RETURN_IF_ERROR(CheckBuyer(fields.user_id));
  if (fields.quantity < 1) return FieldError(v1::ERROR_REASON_QUANTITY_INVALID, "quantity", "must be at least 1");
  RETURN_IF_ERROR(CheckOrderReference(fields.order_reference));
  RETURN_IF_ERROR(CheckPurchaseToken(fields.purchase_token));
  RETURN_IF_ERROR(CheckBuyerAddress(fields.buyer_address));
  return storage::ReservationClaim{
      id, fields.sku_id, fields.user_id, fields.quantity, fields.order_reference, CurrentTrace()};
}

}  // namespace tranche::server
