// Risk rules at the front door: the tier of one EnterSale, and what should be asked outside to find it.
#pragma once

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/door_state.h"
#include "server/admission/door_visit.h"
#include "server/admission/front_policy.h"
#include "server/admission/risk_rule.h"

namespace tranche::server {

struct JudgedRisk {
  int score = 0;
  const DoorTier* tier = nullptr;  // of the policy; never null
};
// `policy` has risk rules. Whether the network at the address has many refusals is looked up here. Thread-safe.
JudgedRisk JudgeRisk(const DoorView& view, const DoorPolicy& policy, RiskFacts facts, absl::string_view address,
                     absl::Time now);

RiskFacts FactsOf(const DoorVisit& visit);

// The rules ask the scorer, and nobody has said a score yet.
bool NeedsScore(const DoorRisk& risk, const DoorVisit& visit);

// The room would let them in now, or this part of those whom the lottery admits has them; true without either. Counts
// nobody. `lottery_percent`: as in DoorTier. Thread-safe.
bool MayBeAdmitted(const DoorView& view, const DoorPolicy& policy, const DoorVisit& visit, int lottery_percent,
                   absl::Time now);

// Nobody scored this buyer, and the policy would have asked the scorer, but for that they are not admitted in any case:
// NeedsOf has said so. What the tier of the unscored refuses must not refuse them before their turn.
bool IsScoredLater(const DoorView& view, const DoorPolicy& policy, const DoorVisit& visit, absl::Time now);

// FrontDoor::NeedsOf by one view, but for service modes.
DoorNeeds NeedsOfVisit(const DoorView& view, const DoorVisit& visit, absl::Time now);

}  // namespace tranche::server
