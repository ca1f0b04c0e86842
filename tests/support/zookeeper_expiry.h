// Ends a ZooKeeper session behind its owner's back.
#pragma once

#include "quota/zookeeper/zookeeper_session.h"

namespace tranche::testing {

// Attaches to the session at `servers`, like a second client, and closes it. The owner sees this as its expiry when it
// reconnects. The owner must be cut off from the servers (tcp_forwarder.h): otherwise it would return at once and take
// its session from us before we closed it.
void ExpireZookeeperSession(const std::string& servers, const quota::ZookeeperSession& session);

}  // namespace tranche::testing
