// Units of cancelled and expired reservations came back into an empty pool: nobody shall take the SKU for sold out any
// more. Those of a presplit one are on their way to the nodes; those of another wait until they are asked for, and who
// hears "sold out" does not ask. Or a late payment has taken units, perhaps out of slices, which are smaller then.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quota/balancer/round/round_context.h"

namespace tranche::quota {

class ReturnedStep {
 public:
  explicit ReturnedStep(const RoundContext* context) : context_(*context) {}

  // As many SKUs as the round allows; asks for another round if there may be more.
  absl::Status Run();

  void Forget() { after_sku_.clear(); }

 private:
  absl::Status Announce(absl::Span<const storage::SkuQuota> quotas, std::set<std::string>* failed);
  absl::StatusOr<std::vector<std::string>> NextPage();

  const RoundContext& context_;
  std::string after_sku_;  // where the next round goes on
};

}  // namespace tranche::quota
