// Ends a ZooKeeper session behind its owner's back.
#pragma once

#include "quota/zookeeper/zookeeper_session.h"

namespace tranche::testing {

// Attaches to the session at `servers`, as a second client would, and closes it, which the owner sees as its expiry
// when it is back. The owner must be cut off from the servers (tcp_forwarder.h): else it would return at once and take
// its session from us before we closed it.
void ExpireZookeeperSession(const std::string& servers, const quota::ZookeeperSession& session);

}  // namespace tranche::testing
