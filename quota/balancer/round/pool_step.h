// Shares what comes into the pools among the nodes.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "quota/balancer/round/round_context.h"

namespace tranche::quota {

class PoolStep {
 public:
  explicit PoolStep(const RoundContext* context) : context_(*context) {}

  // Handles as many SKUs as the round allows; asks for another round if there may be more.
  absl::Status Run();

  void Forget() { after_sku_.clear(); }

 private:
  const RoundContext& context_;
  std::string after_sku_;  // where the next round continues
};

}  // namespace tranche::quota
