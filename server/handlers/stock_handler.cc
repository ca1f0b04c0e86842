#include "server/handlers/stock_handler.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/outdated_view.h"
#include "server/handlers/sku_handler.h"
#include "server/handlers/sku_messages.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

template <typename Request>
absl::Status CheckRequest(const Request& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  if (request.units() < 1 || request.units() > kMaxStock) {
    return InvalidField("units", absl::StrCat("must be 1 to ", kMaxStock));
  }
  if (request.has_expected_stock() && (request.expected_stock() < 0 || request.expected_stock() > kMaxStock)) {
    return InvalidField("expected_stock", absl::StrCat("must be 0 to ", kMaxStock));
  }
  return absl::OkStatus();
}

template <typename Request>
std::optional<int64_t> ExpectedStock(const Request& request) {
  return request.has_expected_stock() ? std::optional<int64_t>(request.expected_stock()) : std::nullopt;
}

// As the ledger refuses it.
template <typename Request>
absl::Status CheckExpectation(const Request& request, const storage::Sku& sku) {
  if (!request.has_expected_stock() || request.expected_stock() == sku.stock) return absl::OkStatus();
  return absl::AbortedError("the stock is another one");
}

// The SKU with `units` more or fewer, as one change of stock makes it.
storage::Sku WithMoreUnits(storage::Sku sku, int64_t units) {
  sku.stock += units;
  sku.unsold += units;
  sku.quota_version += 1;
  return sku;
}

// The reverse. It is exact: a SKU that was read beforehand might differ by a sale.
storage::Sku Before(storage::Sku after, int64_t units) {
  after = WithMoreUnits(std::move(after), -units);
  after.quota_version -= 2;
  return after;
}

}  // namespace

absl::StatusOr<v1::AddStockResponse> StockHandler::Add(const v1::AddStockRequest& request,
                                                       const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckRequest(request));
  absl::StatusOr<storage::Sku> sku = ledger_->GetSku(request.sku_id());
  if (!sku.ok()) return LedgerError(sku.status(), request.sku_id(), Repeatable::kYes);
  if (absl::Status as_expected = CheckExpectation(request, *sku); !as_expected.ok()) {
    return StockChanged(*ledger_, request.sku_id(), sku->stock);
  }
  // The ledger refuses it too, in a race; this gives the better message.
  if (sku->stock + request.units() > kMaxStock) {
    return InvalidField("units", absl::StrCat("would bring the stock above ", kMaxStock));
  }
  v1::AddStockResponse response;
  if (request.preview()) {
    sku = WithMoreUnits(*std::move(sku), request.units());
  } else {
    sku = ledger_->AddStock(request.sku_id(), request.units(), ExpectedStock(request), actor);
    if (!sku.ok()) return Refusal(sku.status(), request.sku_id(), request.has_expected_stock());
    WarnIfNotAnnounced(AnnounceSku(*announcer_, *sku), response);
  }
  const absl::Time now = clock_->Now();
  *response.mutable_sku() = ToMessage(*sku, now);
  *response.mutable_before() = ToMessage(Before(*std::move(sku), request.units()), now);
  return response;
}

absl::StatusOr<v1::ReduceStockResponse> StockHandler::Reduce(const v1::ReduceStockRequest& request,
                                                             const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckRequest(request));
  absl::StatusOr<storage::ReducedStock> reduced =
      request.preview() ? PreviewReduce(request)
                        : ledger_->ReduceStock(request.sku_id(), request.units(), ExpectedStock(request), actor);
  if (!reduced.ok()) {
    return Refusal(reduced.status(), request.sku_id(), request.preview() || request.has_expected_stock());
  }
  v1::ReduceStockResponse response;
  if (!request.preview()) {
    AnnounceSlices(request.sku_id());
    WarnIfNotAnnounced(AnnounceSku(*announcer_, reduced->sku), response);
  }
  const absl::Time now = clock_->Now();
  *response.mutable_sku() = ToMessage(reduced->sku, now);
  response.set_units_taken(reduced->units_taken);
  *response.mutable_before() = ToMessage(Before(std::move(reduced->sku), -reduced->units_taken), now);
  return response;
}

absl::StatusOr<storage::ReducedStock> StockHandler::PreviewReduce(const v1::ReduceStockRequest& request) {
  ASSIGN_OR_RETURN(storage::Sku sku, ledger_->GetSku(request.sku_id()));
  RETURN_IF_ERROR(CheckExpectation(request, sku));
  const int64_t taken = std::min(request.units(), sku.unsold);
  return storage::ReducedStock{WithMoreUnits(std::move(sku), -taken), taken};
}

absl::Status StockHandler::Refusal(const absl::Status& status, const std::string& sku_id, bool repeatable) {
  if (absl::IsAborted(status)) {
    if (const auto sku = ledger_->GetSku(sku_id); sku.ok()) return StockChanged(*ledger_, sku_id, sku->stock);
  }
  return LedgerError(status, sku_id, repeatable ? Repeatable::kYes : Repeatable::kNo);
}

// Slices may have shrunk: their nodes should know before they try to sell units that are gone.
void StockHandler::AnnounceSlices(const std::string& sku_id) {
  const absl::StatusOr<storage::QuotaSnapshot> quota = ledger_->ReadQuota(sku_id);
  absl::Status announced = quota.status();
  if (quota.ok()) {
    std::vector<quota::SliceToAnnounce> slices;
    for (const storage::HeldSlice& slice : quota->slices) {
      if (slice.holder == storage::kPool) continue;
      slices.push_back({slice.holder, sku_id, slice.allotted, slice.version});
    }
    announced = announcer_->AnnounceSlices(slices);
  }
  if (!announced.ok()) LOG(WARNING) << "slices of " << sku_id << " are changed but not yet announced: " << announced;
}

}  // namespace tranche::server
