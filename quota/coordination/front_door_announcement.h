// Tells the nodes that what the front door goes by has changed in home's ledger: policies, keys, or the access list.
//
// The znode only says which version there is, so that nodes look at once. What it does not say, they find by
// themselves within seconds: whatever is lost or written here costs time, nothing else.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "quota/coordination/coordination.h"

namespace tranche::quota {

// The version that the znode's data says; 0 if it says none.
int64_t ReadFrontDoorVersion(const std::string& data);

// Writes the version, unless it stands there already. A smaller one than what stands there is written, too: a restore
// takes the ledger's version back. If somebody else writes at the same time, the later one stays, whichever it is:
// nodes look at each change. Fails with the session's error.
absl::Status AnnounceFrontDoor(Coordination& session, int64_t version);

}  // namespace tranche::quota
