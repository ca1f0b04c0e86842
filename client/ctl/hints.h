// What to do about an error, in one line.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::ctl {

// `changed_nothing`: what failed was a read, or reached no node. Empty when there is no useful advice.
std::string NextStepFor(const absl::Status& status, bool changed_nothing);

// Why units are missing, by what the cluster says about itself.
struct Cause {
  std::string text;
  std::string next_step;
};

// Whether CauseOf can say more about such an error: that no unit is there, or none here.
bool MayHaveACause(const absl::Status& status);
// nullopt if nothing is wrong that would explain it: with this SKU, at its shard, or in the whole cluster.
std::optional<Cause> CauseOf(const absl::Status& status, const tranche::v1::Sku& sku,
                             const tranche::v1::GetStatusResponse& state);

// Whether the quota looks as if somebody did not do their work: units that wait in the pool, nodes that have not heard
// of a move, or nothing left to sell.
bool LooksStuck(const tranche::v1::Quota& quota);
// What explains it, the most important first. `sku` is the quota's.
std::vector<Cause> CausesOf(const tranche::v1::Quota& quota, const tranche::v1::Sku& sku,
                            const tranche::v1::GetStatusResponse& state);

}  // namespace tranche::ctl
