#include "server/handlers/verify_handler.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "storage/base/status_macros.h"

namespace tranche::server {

namespace {

constexpr int kLargestVerifiedPage = 10000;

// "shard/sku": neither name has a slash.
absl::StatusOr<storage::VerifyPosition> PositionOf(const std::string& token) {
  ASSIGN_OR_RETURN(const std::string key, DecodePageToken(token));
  if (key.empty()) return storage::VerifyPosition();
  const std::vector<std::string> parts = absl::StrSplit(key, '/');
  if (parts.size() != 2) return InvalidField("page_token", "must be the next_page_token of the page before");
  return storage::VerifyPosition{.shard = parts[0], .sku_id = parts[1]};
}

}  // namespace

absl::StatusOr<storage::VerifyReport> VerifyHandler::Report(const v1::VerifyLedgerRequest& request) {
  if (request.page_size() == 0) return ledger_->Verify(request.sku_id());
  ASSIGN_OR_RETURN(const storage::VerifyPosition after, PositionOf(request.page_token()));
  return ledger_->VerifyPage(after, std::min(request.page_size(), kLargestVerifiedPage));
}

absl::Status VerifyHandler::Check(const v1::VerifyLedgerRequest& request) {
  if (request.page_size() < 0) return InvalidField("page_size", "must not be negative");
  if (request.page_size() == 0 && !request.page_token().empty()) {
    return InvalidField("page_size", "must be above 0 with a page_token");
  }
  RETURN_IF_ERROR(PositionOf(request.page_token()).status());
  if (request.sku_id().empty()) return absl::OkStatus();
  if (request.page_size() > 0) return InvalidField("page_size", "must be 0 with a sku_id");
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  // Without this a mistyped SKU would look like a healthy one.
  const auto sku = ledger_->GetSku(request.sku_id());
  if (!sku.ok()) return LedgerError(sku.status(), request.sku_id(), Repeatable::kYes);
  return absl::OkStatus();
}

absl::StatusOr<v1::VerifyLedgerResponse> VerifyHandler::Verify(const v1::VerifyLedgerRequest& request) {
  RETURN_IF_ERROR(Check(request));
  const absl::StatusOr<storage::VerifyReport> report = Report(request);
  if (!report.ok()) return LedgerError(report.status(), request.sku_id(), Repeatable::kYes);
  v1::VerifyLedgerResponse response;
  response.set_skus_checked(report->skus_checked);
  response.set_reservations_checked(report->reservations_checked);
  response.set_skus_left(report->skus_left);
  if (report->next.has_value()) {
    response.set_next_page_token(EncodePageToken(absl::StrCat(report->next->shard, "/", report->next->sku_id)));
  }
  for (const storage::LedgerViolation& violation : report->violations) {
    auto* added = response.add_violations();
    added->set_rule(violation.rule);
    added->set_sku_id(violation.sku_id);
    added->set_detail(violation.detail);
  }
  return response;
}

}  // namespace tranche::server
