#include "server/handlers/verify_handler.h"

#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "storage/base/status_macros.h"

namespace tranche::server {

absl::StatusOr<v1::VerifyLedgerResponse> VerifyHandler::Verify(const v1::VerifyLedgerRequest& request) {
  if (!request.sku_id().empty()) {
    RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
    // Without this a mistyped SKU would look like a healthy one.
    const auto sku = ledger_->GetSku(request.sku_id());
    if (!sku.ok()) return LedgerError(sku.status(), request.sku_id(), Repeatable::kYes);
  }
  const absl::StatusOr<storage::VerifyReport> report = ledger_->Verify(request.sku_id());
  if (!report.ok()) return LedgerError(report.status(), request.sku_id(), Repeatable::kYes);
  v1::VerifyLedgerResponse response;
  response.set_skus_checked(report->skus_checked);
  response.set_reservations_checked(report->reservations_checked);
  for (const storage::LedgerViolation& violation : report->violations) {
    auto* added = response.add_violations();
    added->set_rule(violation.rule);
    added->set_sku_id(violation.sku_id);
    added->set_detail(violation.detail);
  }
  return response;
}

}  // namespace tranche::server
