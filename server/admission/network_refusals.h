// Tries of a buyer's network that a policy has refused lately at this node, for risk rules about them
// (RiskPoints.address_refusals). A policy without such a rule costs nothing here: no hash, no look.
//
// They are kept in the table of the limits, as a limit of N tries an hour would be: what was refused leaks away, N in
// an hour, and there are many while N or more are left. At most 2 N are kept, so all is forgotten after two hours.
#pragma once

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/door_state.h"
#include "server/admission/front_policy.h"

namespace tranche::server {

// The policy has refused a try from this address, for what a person does not do: too many tries of a user or with a
// token, or what is wrong or another's. Refusals by the limit by address do not count: a crowded network would drive
// itself up. "": not known, so it is not counted. Thread-safe.
void CountNetworkRefusal(const DoorView& view, const DoorPolicy& policy, absl::string_view address, absl::Time now);

// As many as the rule says. False where none asks, or nothing can be said. Counts nothing. Thread-safe.
bool HasManyRefusals(const DoorView& view, const DoorPolicy& policy, absl::string_view address, absl::Time now);

}  // namespace tranche::server
