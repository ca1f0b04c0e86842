// Shows the queues of claims, and what could not be decided.
#pragma once

#include "client/ctl/session.h"

namespace tranche::ctl {

// JSON in one line, for --watch, if `one_line`.
void PrintClaimQueues(Session& session, const tranche::v1::ListClaimQueuesResponse& queues, bool one_line);

void PrintDeadClaims(Session& session, const tranche::v1::ListDeadClaimsResponse& dead);
// With all that is known of it.
void PrintDeadClaim(Session& session, const tranche::v1::DeadClaim& dead);
// What was settled in all queues, or would be.
void PrintSettled(Session& session, const tranche::v1::SettleDeadClaimsResponse& settled, bool preview);

}  // namespace tranche::ctl
