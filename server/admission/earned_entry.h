// What an admitted buyer has to do for their token, and whether they have done it: a challenge, a captcha, or a delay.
// All of it is asked for only where the policy has a challenge. A delay takes the place of a challenge, but never of a
// captcha, nor of the challenge that stands in for one while its provider cannot be asked.
#pragma once

#include "absl/time/time.h"
#include "server/admission/door_state.h"
#include "server/admission/door_visit.h"
#include "server/admission/front_keys.h"
#include "server/admission/front_policy.h"
#include "server/admission/risk_rule.h"

namespace tranche::server {

// What is asked of somebody. Pure.
struct EntryTask {
  enum class Kind { kNothing, kChallenge, kCaptcha, kDelay } kind = Kind::kNothing;
  // Of the challenge. kCaptcha: of the one that stands in for it while its provider cannot be asked.
  int bits = 0;
};
// `tier`: null without risk rules.
EntryTask TaskOf(const DoorPolicy& policy, const DoorTier* tier, bool without_scripts);

struct EarnedEntry {
  bool earned = false;
  // What they showed was never good for them: a refused captcha, or a solution that is wrong or another's. What is old,
  // was enough before, or cannot be read says nothing, since honest buyers have such things after keys were replaced.
  bool wrong = false;
};
// If it is not earned, `entry` says what is to be done, and why what they showed was not taken. Counts what was given,
// solved and refused. `keys` has a current one. Thread-safe. Verifying a solution takes about 0.1 ms.
EarnedEntry EarnEntry(const FrontKeys& keys, const DoorPolicy& policy, const DoorTier* tier, const DoorVisit& visit,
                      absl::Time now, DoorCounts& counts, DoorEntry* entry);

}  // namespace tranche::server
