#include "server/handlers/stock_handler.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/sku_handler.h"
#include "server/handlers/sku_messages.h"

namespace tranche::server {
namespace {

absl::Status CheckUnits(int64_t units) {
  if (units >= 1 && units <= kMaxStock) return absl::OkStatus();
  return FieldError(v1::ERROR_REASON_FIELD_INVALID, "units", absl::StrCat("must be 1 to ", kMaxStock));
}

}  // namespace

absl::StatusOr<v1::AddStockResponse> StockHandler::Add(const v1::AddStockRequest& request, const std::string& actor) {
  if (absl::Status id = CheckSkuId(request.sku_id()); !id.ok()) return id;
  if (absl::Status units = CheckUnits(request.units()); !units.ok()) return units;
  absl::StatusOr<storage::Sku> sku = ledger_->GetSku(request.sku_id());
  if (!sku.ok()) return LedgerError(sku.status(), request.sku_id(), Repeatable::kYes);
  // The ledger refuses it too, in a race; this is to say it well.
  if (sku->stock + request.units() > kMaxStock) {
    return FieldError(v1::ERROR_REASON_FIELD_INVALID, "units", absl::StrCat("would bring the stock above ", kMaxStock));
  }
  if (request.preview()) {
    sku->stock += request.units();
    sku->unsold += request.units();
    ++sku->quota_version;
  } else {
    sku = ledger_->AddStock(request.sku_id(), request.units(), std::nullopt, actor);
    if (!sku.ok()) return LedgerError(sku.status(), request.sku_id(), Repeatable::kNo);
    AnnounceSku(*announcer_, *sku);
  }
  v1::AddStockResponse response;
  *response.mutable_sku() = ToMessage(*sku);
  return response;
}

absl::StatusOr<v1::ReduceStockResponse> StockHandler::Reduce(const v1::ReduceStockRequest& request,
                                                             const std::string& actor) {
  if (absl::Status id = CheckSkuId(request.sku_id()); !id.ok()) return id;
  if (absl::Status units = CheckUnits(request.units()); !units.ok()) return units;
  const absl::StatusOr<storage::ReducedStock> reduced =
      request.preview() ? PreviewReduce(request)
                        : ledger_->ReduceStock(request.sku_id(), request.units(), std::nullopt, actor);
  if (!reduced.ok()) {
    return LedgerError(reduced.status(), request.sku_id(), request.preview() ? Repeatable::kYes : Repeatable::kNo);
  }
  if (!request.preview()) {
    AnnounceSlices(request.sku_id());
    AnnounceSku(*announcer_, reduced->sku);
  }
  v1::ReduceStockResponse response;
  *response.mutable_sku() = ToMessage(reduced->sku);
  response.set_units_taken(reduced->units_taken);
  return response;
}

absl::StatusOr<storage::ReducedStock> StockHandler::PreviewReduce(const v1::ReduceStockRequest& request) {
  absl::StatusOr<storage::Sku> sku = ledger_->GetSku(request.sku_id());
  if (!sku.ok()) return sku.status();
  const int64_t taken = std::min(request.units(), sku->unsold);
  sku->stock -= taken;
  sku->unsold -= taken;
  ++sku->quota_version;
  return storage::ReducedStock{*std::move(sku), taken};
}

// Slices may have shrunk: their nodes should know before they try to sell what is gone.
void StockHandler::AnnounceSlices(const std::string& sku_id) {
  const absl::StatusOr<storage::QuotaSnapshot> quota = ledger_->ReadQuota(sku_id);
  absl::Status announced = quota.status();
  if (quota.ok()) {
    std::vector<quota::SliceToAnnounce> slices;
    for (const storage::Slice& slice : quota->slices) {
      if (slice.holder == storage::kPool) continue;
      slices.push_back({slice.holder, sku_id, slice.allotted, slice.version});
    }
    announced = announcer_->AnnounceSlices(slices);
  }
  if (!announced.ok()) LOG(WARNING) << "slices of " << sku_id << " are changed but not yet announced: " << announced;
}

}  // namespace tranche::server
