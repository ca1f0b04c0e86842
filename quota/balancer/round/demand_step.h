// Serves nodes that have run dry. If no node has a unit left, it announces that to all, and they stop reporting demand;
// otherwise nodes with units share them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "quota/balancer/round/round_context.h"

namespace tranche::quota {

class DemandStep {
 public:
  explicit DemandStep(const RoundContext* context) : context_(*context) {}

  // Serves as many SKUs as the round allows; asks for another round if there are more.
  absl::Status Run();

 private:
  absl::Status Meet(const std::vector<std::string>& sku_ids);

  const RoundContext& context_;
};

}  // namespace tranche::quota
