// Waits for the decision of a queued claim.
#pragma once

#include "client/ctl/session.h"

namespace tranche::ctl {

// Asks until the claim is decided, at most for --timeout or else as long as the node says, and shows the decision. What
// happens meanwhile goes to stderr. Sets the exit code: a refusal, and no decision in time, are kExitRemote.
void AwaitQueuedClaim(Session& session, const tranche::v1::QueuedClaim& first);

}  // namespace tranche::ctl
