// Coordination on a ZooKeeper ensemble.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/coordination/coordination.h"

namespace tranche::quota {

struct ZookeeperOptions {
  std::string servers;                                 // "host:port,host:port"
  std::string root = "/tranche";                       // everything is below this; created if missing
  absl::Duration session_timeout = absl::Seconds(10);  // the server may negotiate another
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration call_timeout = absl::InfiniteDuration();  // longest wait of one call; infinite: the session timeout
  // Every Connect after the first waits a random part of this before it starts, so that nodes whose sessions ended in
  // an outage do not all come back at once.
  absl::Duration reconnect_jitter = absl::Milliseconds(500);
  // A file with USER:PASSWORD (zookeeper_auth.h), read at each Connect. What its sessions create is then theirs alone:
  // of sessions with the same line. "": what they create is open to everybody.
  std::string auth_file = {};
};

// Host names are resolved at each Connect, not again while the session lasts. Without an auth_file, nodes are created
// open to everyone: keep the ensemble on a private network then. The session reconnects by itself, and sets its watches
// again, until the server declares it expired. The client sends all watches of a session in one packet after a
// reconnect, which the server limits to 1 MiB: keep a session's watches below about 10,000.
//
// Thread-safe. May be destroyed before or after its sessions.
class ZookeeperConnector : public CoordinationConnector {
 public:
  explicit ZookeeperConnector(ZookeeperOptions options);

  // Also kInvalidArgument for malformed servers or a malformed root, kPermissionDenied if the tree, or the server, does
  // not let this session in, and the errors of reading auth_file.
  absl::StatusOr<std::unique_ptr<Coordination>> Connect(CoordinationObserver* observer) override;

 private:
  const ZookeeperOptions options_;
  std::atomic<bool> connected_before_{false};
};

}  // namespace tranche::quota
