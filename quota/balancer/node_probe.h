// Looks at the processes of the front nodes themselves. ZooKeeper only tells that a node's session has ended, seconds
// after its process has. A machine whose process has ended says so at once, by refusing connections.
//
// A wrong answer costs efficiency and never a unit: the ledger books no sale of an incarnation that it has ended, and
// its process, if it lives, begins a new one.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "storage/ledger/incarnation_id.h"

namespace tranche::quota {

struct ProbedNode {
  storage::IncarnationId incarnation = storage::kPool;
  std::string address;     // host:port that callers reach; nodes behind one proxy may share it
  std::string name = "";   // a process that is started again keeps it, and other nodes have other ones
  bool registered = true;  // its session lives, as far as the tree says
};

struct UnreachedNode {
  ProbedNode node;
  std::string reason;
};

struct NodeProbeStats {
  int64_t watched = 0;        // incarnations, now
  int64_t connected = 0;      // of those, now
  int64_t found_dead = 0;     // since the probe was made
  int64_t wrong_guesses = 0;  // addresses that were found dead, and whose process then began again
  int64_t switched_off = 0;   // addresses that are not believed any more because of that
  int64_t left_alone = 0;     // looked dead, and were left to their sessions: too many did at once
  int64_t unreached = 0;      // of those watched, had no connection for a minute or longer
  UnreachedNode example;      // one of these, if there are any
};

// Thread-safe.
class NodeProbe {
 public:
  virtual ~NodeProbe() = default;

  // From now on watches these nodes and no others. `found_dead` is called, from any thread, when one more was found
  // dead; it must neither block nor call the probe. Does not block.
  virtual void Watch(const std::vector<ProbedNode>& nodes, std::function<void()> found_dead) = 0;
  // Closes all connections, and forgets what was found out about addresses. Once it has returned, `found_dead` is not
  // called any more.
  virtual void WatchNobody() = 0;

  // Of the watched nodes, those whose process has ended. It is taken back if the node's session outlives the longest
  // time after which it would have ended.
  virtual std::set<storage::IncarnationId> FoundDead() = 0;
  virtual NodeProbeStats Stats() = 0;
};

}  // namespace tranche::quota
