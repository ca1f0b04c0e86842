// Gives a node that joins its equal share of every open SKU, also in mid-sale.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "quota/balancer/round/round_context.h"

namespace tranche::quota {

class NewcomerStep {
 public:
  explicit NewcomerStep(const RoundContext* context) : context_(*context) {}

  // For a new leader: a node that holds something was welcomed by an earlier leader. Checks some nodes per round.
  absl::Status TakeOver();
  // Handles a page of SKUs.
  absl::Status Run();

  // The node has lost its share, and counts as a newcomer when it can receive again.
  void NoteEvacuated(storage::IncarnationId incarnation) { welcomed_.erase(incarnation); }
  void Forget();

 private:
  // A pass over all SKUs on behalf of newcomers.
  struct Pass {
    std::set<storage::IncarnationId> newcomers;
    std::string after_sku;
  };

  bool BeginOrGoOn(const std::set<storage::IncarnationId>& receivers);
  void End(const std::set<storage::IncarnationId>& receivers);

  const RoundContext& context_;
  // Which nodes earlier leaders have welcomed is found out a few nodes at a time; so far, up to this one.
  std::optional<storage::IncarnationId> taking_over_after_;
  std::set<storage::IncarnationId> welcomed_;  // have had their share
  std::optional<Pass> pass_;
};

}  // namespace tranche::quota
