// Has the nodes' processes watched while we lead, and tells whom the probe does not reach.
#pragma once

#include <set>

#include "absl/time/time.h"
#include "quota/balancer/node_probe.h"
#include "quota/balancer/round/round_context.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::quota {

// Does nothing without a probe. Used by one thread.
class ProcessWatch {
 public:
  // `context` outlives it.
  explicit ProcessWatch(const RoundContext* context) : context_(*context) {}

  // From now on those nodes that are known now.
  void Watch();
  // Closes all connections. Can be called at any time.
  void Stop();
  std::set<storage::IncarnationId> FoundDead() const;

 private:
  void TellOfUnreached(const NodeProbeStats& stats);

  const RoundContext& context_;
  bool watching_ = false;
  absl::Time told_of_unreached_ = absl::InfinitePast();
};

}  // namespace tranche::quota
