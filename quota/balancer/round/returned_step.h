// Announces SKUs whose pool, with few units, got some back from cancelled or expired reservations, so that no node
// treats them as sold out or scarce any more. Units of a presplit SKU are moved to the nodes; those of another wait
// until a node asks, and a node that believes "sold out" does not ask. Also announces SKUs of which a late payment took
// units, perhaps out of slices, which are smaller then.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "quota/balancer/round/round_context.h"

namespace tranche::quota {

class ReturnedStep {
 public:
  explicit ReturnedStep(const RoundContext* context) : context_(*context) {}

  // Handles as many SKUs as the round allows; asks for another round if there may be more.
  absl::Status Run();

  void Forget() { after_sku_.clear(); }

 private:
  absl::StatusOr<std::vector<std::string>> NextPage();

  const RoundContext& context_;
  std::string after_sku_;  // where the next round continues
};

}  // namespace tranche::quota
