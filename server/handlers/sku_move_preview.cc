#include "server/handlers/sku_move_preview.h"

#include "absl/strings/str_cat.h"

namespace tranche::server {

using Place = storage::SkuWhereabouts::Place;

absl::StatusOr<SkuPlaces> FindSkuPlaces(const std::vector<storage::SkuMove::Participant>& shards,
                                        const std::string& sku_id, const std::string& target) {
  SkuPlaces places;
  std::string here, leaving, silent;
  for (const auto& [shard, ledger] : shards) {
    const absl::StatusOr<storage::SkuWhereabouts> where = ledger->Where(sku_id);
    if (!where.ok() && shard == target) return where.status();
    if (!where.ok()) {
      silent = shard;
      continue;
    }
    if (where->place == Place::kHere) here = shard;
    if (where->place == Place::kLeaving) leaving = shard, places.bound_for = where->other_shard;
    if (where->place == Place::kArriving && shard == target) places.arriving = true;
  }
  places.owner = here.empty() ? leaving : here;
  // After the decision, the shard that it left may still say that it is leaving.
  if (!here.empty()) places.bound_for.clear();
  if (!places.owner.empty()) return places;
  if (!silent.empty()) return absl::UnavailableError(absl::StrCat("shard ", silent, " does not answer"));
  return absl::NotFoundError(absl::StrCat("no SKU ", sku_id));
}

absl::Status CheckMove(const SkuPlaces& places, const std::string& target) {
  if (places.bound_for.empty() || places.bound_for == target) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("it is on its way from ", places.owner, " to ", places.bound_for,
                                                    ": finish or abort that move first"));
}

absl::Status CheckAbort(const SkuPlaces& places, const std::string& target) {
  if (places.owner == target) {
    return absl::FailedPreconditionError(absl::StrCat("it is at ", target, " already: move it back instead"));
  }
  if (places.bound_for.empty() || places.bound_for == target) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("it is on its way to ", places.bound_for));
}

bool IsUnfinished(const SkuPlaces& places, const std::string& target) {
  return places.arriving || places.bound_for == target;
}

}  // namespace tranche::server
