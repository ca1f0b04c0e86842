#include "server/handlers/change_checks.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "server/proto_time.h"
#include "storage/base/log_trace.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

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

bool IsReasonOfGroups(const std::string& reason) {
  return std::find(std::begin(storage::kReasonsOfGroups), std::end(storage::kReasonsOfGroups), reason) !=
         std::end(storage::kReasonsOfGroups);
}

}  // namespace

absl::StatusOr<storage::Payment> ToChange(const v1::ConfirmReservationRequest& request) {
  ASSIGN_OR_RETURN(const storage::Uuid id, CheckTarget(request.reservation_id(), request.sku_id()));
  const std::string& reference = request.payment_reference();
  if (reference.empty() || reference.size() > kMaxReferenceBytes || !IsPlainUtf8(reference)) {
    return InvalidField("payment_reference", absl::StrCat("must be 1 to ", kMaxReferenceBytes,
                                                          " bytes of UTF-8 without control characters"));
  }
  if (request.amount_minor() < 0) return InvalidField("amount_minor", "must not be negative");
  if (!IsCurrency(request.currency())) return InvalidField("currency", "must be three capital letters, such as EUR");
  return storage::Payment{id, reference, request.amount_minor(), request.currency(), CurrentTrace()};
}

absl::StatusOr<storage::Cancellation> ToChange(const v1::CancelReservationRequest& request) {
  ASSIGN_OR_RETURN(const storage::Uuid id, CheckTarget(request.reservation_id(), request.sku_id()));
  if (request.reason().size() > kMaxReasonBytes || !IsPlainUtf8(request.reason())) {
    return InvalidField(
        "reason", absl::StrCat("must be at most ", kMaxReasonBytes, " bytes of UTF-8 without control characters"));
  }
  if (IsReasonOfGroups(request.reason())) {
    return InvalidField("reason", absl::StrCat("must not be ", request.reason(),
                                               ", which says that a group has ended the hold; say it in other words"));
  }
  return storage::Cancellation{id, request.reason(), CurrentTrace()};
}

absl::StatusOr<storage::Extension> ToChange(const v1::ExtendReservationRequest& request) {
  ASSIGN_OR_RETURN(const storage::Uuid id, CheckTarget(request.reservation_id(), request.sku_id()));
  if (request.extension() < 1)
    return InvalidField("extension", "must be at least 1: which extension of the hold this is");
  const std::optional<absl::Duration> by = FromDuration(request.extend_by());
  // The ledger keeps whole seconds.
  if (!by.has_value() || *by < absl::Seconds(1) || *by > kMaxExtension || request.extend_by().nanos() != 0) {
    return InvalidField("extend_by", "must be 1 s to 30 days in whole seconds");
  }
  return storage::Extension{id, request.extension(), *by, CurrentTrace()};
}

}  // namespace tranche::server
