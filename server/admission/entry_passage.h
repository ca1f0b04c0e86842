// The way of one EnterSale through the checks of the front door: as a claim's, but it earns the token instead of
// showing it, and it alone asks the risk rules and the waiting room.
#pragma once

#include <optional>

#include "absl/time/time.h"
#include "server/admission/door_state.h"
#include "server/admission/door_visit.h"
#include "server/admission/front_policy.h"
#include "server/admission/limit_tries.h"
#include "server/admission/risk_rule.h"
#include "server/admission/turn_queue.h"

namespace tranche::server {

// Of one thread, for one use. Outlived by the view, the visit, the queue and the counts.
class EntryPassage {
 public:
  EntryPassage(const DoorView& view, const DoorVisit& visit, absl::Time now, WaitBounds bounds, DoorCounts& counts)
      : view_(view), visit_(visit), now_(now), counts_(counts), tries_(view, now, bounds) {}

  // The answer, and its counts. Service modes are the caller's.
  DoorEntry Go();

 private:
  DoorEntry Refuse(DoorCheck check, quota::Refused refused);
  // By the lottery or the room; true if there is neither.
  bool Admit(const DoorPolicy& policy, DoorEntry* entry);
  bool AdmitFromRoom(const DoorPolicy& policy, DoorEntry* entry);
  // Finds the tier. Its refusal, if it refuses.
  std::optional<DoorEntry> JudgeByRisk(const DoorPolicy& policy);
  bool TierRefuses() const;
  // The scorer was not asked, and could have been: nobody is judged as unscored for that.
  bool LacksScore(const DoorPolicy& policy) const;
  DoorEntry RefuseUnscored();
  std::optional<DoorEntry> TakeTries(const DoorPolicy& policy, LimitPart part);
  // Of an admitted buyer: true if nothing is left to do; otherwise the entry says what is.
  bool EarnsToken(const DoorPolicy& policy, DoorEntry* entry);
  void GiveToken(const DoorPolicy& policy, DoorEntry* entry);

  const DoorView& view_;
  const DoorVisit& visit_;
  const absl::Time now_;
  DoorCounts& counts_;
  LimitTries tries_;
  bool listed_ = false;             // on the list of those who are let in
  const DoorTier* tier_ = nullptr;  // of the policy; null: without risk rules, or listed
};

}  // namespace tranche::server
