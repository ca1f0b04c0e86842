// Nodes that do not reach the ledger, while we do, cannot sell what they hold: it goes to the others.
#pragma once

#include <map>
#include <set>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "quota/balancer/round/newcomer_step.h"
#include "quota/balancer/round/round_context.h"

namespace tranche::quota {

class EvacuationStep {
 public:
  EvacuationStep(const RoundContext* context, NewcomerStep* newcomers) : context_(*context), newcomers_(*newcomers) {}

  absl::Status Run();

  // Nodes that have lost their units, and receive nothing until they reach the ledger.
  const std::set<storage::IncarnationId>& evacuated() const { return evacuated_; }
  // To be called when we do not reach the ledger either.
  void NobodyIsUnableAlone() { unable_since_.clear(); }
  void Forget();

 private:
  void ForgetWhoRecovered(const std::set<storage::IncarnationId>& unable);
  bool IsDue(storage::IncarnationId incarnation);
  absl::Status Evacuate(storage::IncarnationId incarnation);

  const RoundContext& context_;
  NewcomerStep& newcomers_;
  std::map<storage::IncarnationId, absl::Time> unable_since_;
  std::set<storage::IncarnationId> evacuated_;
};

}  // namespace tranche::quota
