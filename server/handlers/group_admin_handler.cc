#include "server/handlers/group_admin_handler.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/group_messages.h"
#include "server/plain_utf8.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr size_t kMaxGroupReasonBytes = 256;

absl::Status CheckGroupReason(const std::string& reason) {
  if (reason.size() <= kMaxGroupReasonBytes && IsPlainUtf8(reason)) return absl::OkStatus();
  return InvalidField(
      "reason", absl::StrCat("must be at most ", kMaxGroupReasonBytes, " bytes of UTF-8 without control characters"));
}

}  // namespace

absl::StatusOr<v1::CreateGroupOfferResponse> GroupAdminHandler::CreateOffer(const v1::CreateGroupOfferRequest& request,
                                                                            const storage::Actor& actor) {
  ASSIGN_OR_RETURN(const storage::GroupOffer wanted, OfferOf(request.offer()));
  const absl::StatusOr<storage::GroupOffer> offer = groups_->CreateGroupOffer(wanted, request.preview(), actor);
  if (!offer.ok()) return CreateError(offer.status(), wanted);
  LOG_IF(INFO, !request.preview()) << "the group offer " << offer->offer_id << " of SKU " << offer->sku_id
                                   << " is created by " << actor;
  v1::CreateGroupOfferResponse response;
  Fill(*offer, response.mutable_offer());
  return response;
}

absl::StatusOr<v1::CloseGroupOfferResponse> GroupAdminHandler::CloseOffer(const v1::CloseGroupOfferRequest& request,
                                                                          const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  RETURN_IF_ERROR(CheckOfferId(request.offer_id()));
  const absl::StatusOr<storage::GroupOffer> offer =
      groups_->CloseGroupOffer(request.sku_id(), request.offer_id(), request.preview(), actor);
  if (absl::IsFailedPrecondition(offer.status())) {
    return MakeError(v1::ERROR_REASON_OFFER_NOT_FOUND,
                     "This SKU has no such offer; GroupService.ListGroupOffers shows those that it has.",
                     {{"sku_id", request.sku_id()}, {"offer_id", request.offer_id()}});
  }
  if (!offer.ok()) return LedgerError(offer.status(), request.sku_id(), Repeatable::kYes);
  LOG_IF(INFO, !request.preview()) << "the group offer " << offer->offer_id << " of SKU " << offer->sku_id
                                   << " is closed by " << actor;
  v1::CloseGroupOfferResponse response;
  Fill(*offer, response.mutable_offer());
  return response;
}

absl::StatusOr<v1::CancelGroupResponse> GroupAdminHandler::Cancel(const v1::CancelGroupRequest& request,
                                                                  const storage::Actor& actor) {
  ASSIGN_OR_RETURN(const storage::Uuid id, CheckGroupId(request.group_id()));
  RETURN_IF_ERROR(CheckGroupReason(request.reason()));
  if (!request.sku_id().empty()) RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  const absl::StatusOr<storage::Group> group =
      groups_->CancelGroup(id, request.sku_id(), request.reason(), request.preview(), actor);
  if (!group.ok()) return CancelError(group.status(), id, request.sku_id());
  if (!request.preview()) cancelled_.Note(id);
  LOG_IF(INFO, !request.preview()) << "group " << id.ToString() << " of SKU " << group->sku_id << " is cancelled by "
                                   << actor;
  v1::CancelGroupResponse response;
  Fill(*group, clock_->Now(), response.mutable_group());
  return response;
}

absl::Status GroupAdminHandler::CreateError(const absl::Status& status, const storage::GroupOffer& offer) {
  if (absl::IsAlreadyExists(status)) {
    return MakeError(v1::ERROR_REASON_OFFER_EXISTS,
                     "The SKU has an offer of this name with other values, and offers never change: choose another "
                     "name, and close the one that you do not want any more.",
                     {{"sku_id", offer.sku_id}, {"offer_id", offer.offer_id}});
  }
  // A busy ledger has the same code, so the offers are counted.
  if (absl::IsResourceExhausted(status) && HasAllOffers(offer.sku_id)) {
    return MakeError(
        v1::ERROR_REASON_TOO_MANY_OFFERS,
        absl::StrCat("The SKU has ", storage::kMostOffers, " offers, with those that are closed: it can have no more."),
        {{"sku_id", offer.sku_id}});
  }
  return LedgerError(status, offer.sku_id, Repeatable::kYes);
}

absl::Status GroupAdminHandler::CancelError(const absl::Status& status, const storage::Uuid& id,
                                            const std::string& sku_id) {
  if (absl::IsNotFound(status)) return GroupNotFound(id);
  if (!absl::IsFailedPrecondition(status)) return LedgerError(status, sku_id, Repeatable::kYes);
  ErrorMetadata metadata = {{"group_id", id.ToString()}};
  std::string text = "The group is over: only one that forms can be cancelled.";
  if (const absl::StatusOr<storage::GroupWithMembers> now = groups_->GetGroup(id, {.sku_id = sku_id}); now.ok()) {
    metadata.emplace_back("state", StateName(now->group.state));
    text = absl::StrCat("The group is ", StateName(now->group.state), ": only one that forms can be cancelled.");
  }
  return MakeError(v1::ERROR_REASON_GROUP_OVER, text, metadata);
}

bool GroupAdminHandler::HasAllOffers(const std::string& sku_id) {
  const absl::StatusOr<std::vector<storage::GroupOffer>> offers = groups_->ListGroupOffers(sku_id);
  return offers.ok() && offers->size() >= static_cast<size_t>(storage::kMostOffers);
}

}  // namespace tranche::server
