#include "server/handlers/join_refused.h"

#include "server/errors.h"

namespace tranche::server {

using storage::Refusal;

absl::Status JoinRefused(const quota::Refused& refused, const std::string& sku_id, const storage::GroupJoin& join) {
  switch (refused.refusal) {
    case Refusal::kGroupNotFound:
    case Refusal::kGroupOver:
    case Refusal::kGroupFull:
    case Refusal::kAlreadyInGroup:
      return WithMetadata(RefusalError(refused, sku_id), "group_id", join.group_id.ToString());
    case Refusal::kOfferNotFound:
    case Refusal::kOfferClosed:
      return WithMetadata(RefusalError(refused, sku_id), "offer_id", join.offer_id);
    default:
      return RefusalError(refused, sku_id);
  }
}

}  // namespace tranche::server
