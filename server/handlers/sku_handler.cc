#include "server/handlers/sku_handler.h"

#include <utility>
#include <vector>

#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/claim_path_warnings.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/sku_messages.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
bool AnnounceSku(quota::Announcer& announcer, const storage::Sku& sku) {
  const absl::Status announced = announcer.Announce({{sku, /*always=*/true}}, {});
  if (!announced.ok()) LOG(WARNING) << "SKU " << sku.sku_id << " is changed but not yet announced: " << announced;
  return announced.ok();
}

absl::StatusOr<v1::CreateSkuResponse> SkuHandler::Create(const v1::CreateSkuRequest& request,
                                                         const storage::Actor& actor) {
  ASSIGN_OR_RETURN(const storage::Sku wanted, FromMessage(request.sku(), clock_->Now()));
  const absl::StatusOr<storage::Sku> created = ledger_->CreateSku(wanted, actor);
  // Safe to repeat: if the SKU exists by then, it is refused.
  if (!created.ok()) return LedgerError(created.status(), wanted.sku_id, Repeatable::kYes);
  v1::CreateSkuResponse response;
  WarnIfNotAnnounced(AnnounceSku(*announcer_, *created), response);
  WarnOfClaimPath(created->claim_path, has_broker_, response);
  *response.mutable_sku() = ToMessage(*created, clock_->Now());
  return response;
}

absl::StatusOr<v1::ListSkusResponse> SkuHandler::List(const v1::ListSkusRequest& request) {
  ASSIGN_OR_RETURN(const int page_size, CheckPageSize(request.page_size()));
  ASSIGN_OR_RETURN(const std::string after, DecodePageToken(request.page_token()));

  // One more than wanted shows whether there is a next page.
  const absl::StatusOr<std::vector<storage::Sku>> skus = ledger_->ListSkus(after, page_size + 1);
  if (!skus.ok()) return LedgerError(skus.status(), "", Repeatable::kYes);
  v1::ListSkusResponse response;
  for (const storage::Sku& sku : *skus) {
    if (response.skus_size() == page_size) {
      response.set_next_page_token(EncodePageToken(response.skus(page_size - 1).sku_id()));
      break;
    }
    *response.add_skus() = ToMessage(sku, clock_->Now());
  }
  if (count_holds_ && !request.without_holds()) {
    AddHolds(count_holds_,
             std::vector<v1::Sku*>(response.mutable_skus()->pointer_begin(), response.mutable_skus()->pointer_end()));
  }
  return response;
}

absl::StatusOr<v1::GetSkuResponse> SkuHandler::Get(const v1::GetSkuRequest& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  const absl::StatusOr<storage::Sku> sku = ledger_->GetSku(request.sku_id());
  if (!sku.ok()) return LedgerError(sku.status(), request.sku_id(), Repeatable::kYes);
  v1::GetSkuResponse response;
  *response.mutable_sku() = ToMessage(*sku, clock_->Now());
  if (count_holds_) AddHolds(count_holds_, {response.mutable_sku()});
  return response;
}

absl::StatusOr<v1::CloseSkuResponse> SkuHandler::Close(const v1::CloseSkuRequest& request,
                                                       const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  absl::StatusOr<storage::Sku> sku =
      request.preview() ? ledger_->GetSku(request.sku_id()) : ledger_->CloseSku(request.sku_id(), actor);
  if (!sku.ok()) return LedgerError(sku.status(), request.sku_id(), Repeatable::kYes);
  v1::CloseSkuResponse response;
  if (!request.preview()) {
    WarnIfNotAnnounced(AnnounceSku(*announcer_, *sku), response);
  } else if (!sku->closed) {
    sku->closed = true;
    ++sku->quota_version;
    ++sku->terms_version;
  }
  *response.mutable_sku() = ToMessage(*sku, clock_->Now());
  return response;
}

}  // namespace tranche::server
