// What a move of a SKU, or its abort, would meet: for previews, which must not promise what SkuMove refuses. Changes
// nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/shards/sku_move.h"

namespace tranche::server {

// According to the shards.
struct SkuPlaces {
  std::string owner;      // the shard that has it
  std::string bound_for;  // the shard that it is on its way to, paused; usually none
  bool arriving = false;  // at the target: an attempt to move it there is not finished
};

// kNotFound if no shard has it; kUnavailable if the target does not answer, or another shard that may have it.
absl::StatusOr<SkuPlaces> FindSkuPlaces(const std::vector<storage::SkuMove::Participant>& shards,
                                        const std::string& sku_id, const std::string& target);

// kFailedPrecondition, with the reason, if SkuMove::Run or SkuMove::Abort would refuse this.
absl::Status CheckMove(const SkuPlaces& places, const std::string& target);
absl::Status CheckAbort(const SkuPlaces& places, const std::string& target);

// Whether an abort has something to undo.
bool IsUnfinished(const SkuPlaces& places, const std::string& target);

}  // namespace tranche::server
