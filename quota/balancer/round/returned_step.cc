#include "quota/balancer/round/returned_step.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "storage/base/status_macros.h"
#include "storage/mutation.h"

namespace tranche::quota {
namespace {

using storage::SkuQuota;

}  // namespace

absl::Status ReturnedStep::Run() {
  if (storage::Mutated(storage::Mutation::kBalancerIgnoresReturned)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto returned, NextPage());
  if (returned.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto quotas, context_.ledger.ReadQuotas(returned));
  std::set<std::string> failed;
  // All slices: late payments may have made some smaller, and no version tells which.
  absl::Status status = context_.announcer.AnnounceAll(quotas, &failed);
  std::vector<std::pair<std::string, int64_t>> announced;
  for (const SkuQuota& now : quotas) {
    if (!failed.contains(now.sku.sku_id)) announced.emplace_back(now.sku.sku_id, now.sku.quota_version);
  }
  // A SKU that changed meanwhile stays listed, and is announced in a later round.
  if (!announced.empty()) status.Update(context_.ledger.AckReturnedSkus(announced));
  return status;
}

absl::StatusOr<std::vector<std::string>> ReturnedStep::NextPage() {
  const size_t limit = std::min<size_t>(context_.mover.SkusToChange(), storage::kMaxQuotaBatch);
  ASSIGN_OR_RETURN(auto returned, context_.ledger.ListReturnedSkus(after_sku_, static_cast<int>(limit)));
  // Go on even if these fail: SKUs that change all the time and so are never done must not block the others.
  after_sku_ = returned.size() < limit ? "" : returned.back();
  if (!after_sku_.empty()) context_.inbox.Again();
  return returned;
}

}  // namespace tranche::quota
