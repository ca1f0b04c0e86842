// Nodes have run dry: either nobody has a unit, then everybody shall know (and nobody reports it any more); or others
// have, then they share.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "quota/balancer/round/round_context.h"

namespace tranche::quota {

class DemandStep {
 public:
  explicit DemandStep(const RoundContext* context) : context_(*context) {}

  // As many SKUs as the round allows; asks for another round if there are more.
  absl::Status Run();

 private:
  absl::Status Meet(const std::vector<std::string>& sku_ids);

  const RoundContext& context_;
};

}  // namespace tranche::quota
