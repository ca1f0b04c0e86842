// The way of one EnterSale through the checks of the front door: as a claim's, but it earns the token instead of showing
// it, and it alone asks the waiting room.
#pragma once

#include "absl/time/time.h"
#include "server/admission/door_state.h"
#include "server/admission/door_visit.h"
#include "server/admission/front_policy.h"
#include "server/admission/limit_tries.h"
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
  DoorEntry Refuse(const LimitTries::Refusal& refusal);
  // By the lottery or the room; true if there is neither.
  bool Admit(const DoorPolicy& policy, DoorEntry* entry);
  bool AdmitFromRoom(const DoorPolicy& policy, DoorEntry* entry);
  // Of an admitted buyer: true if the policy's challenge is solved, or there is none; otherwise the entry has one.
  bool EarnsToken(const DoorPolicy& policy, DoorEntry* entry);
  void GiveToken(const DoorPolicy& policy, DoorEntry* entry);

  const DoorView& view_;
  const DoorVisit& visit_;
  const absl::Time now_;
  DoorCounts& counts_;
  LimitTries tries_;
  bool listed_ = false;  // on the list of those who are let in
};

}  // namespace tranche::server
