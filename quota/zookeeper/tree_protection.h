// Protects a tree that is open to everybody: one that was made before --zookeeper-auth-file was given.
//
// ZooKeeper's access rules are of single znodes: those below a protected one are as open as before. So each gets its
// own. From the top down, because nobody else can make a znode in one that is protected; what is listed then is
// complete. But the root comes last: as long as it is open, a walk that was interrupted is begun again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "quota/zookeeper/reply_batch.h"

namespace tranche::quota {

// What the walk asks of ZooKeeper, each for many znodes at once; the replies are in order. Paths are whole.
struct TreeAccessCalls {
  using Call = std::function<std::vector<ZookeeperReply>(const std::vector<std::string>& paths)>;
  Call read_access;  // fills `open` and `child_count`
  Call protect;      // gives it the access rules of what this session creates
  Call list;         // fills `children`
};

// Protects what is open of `root` and of everything in `first_level`, and returns how many znodes that was. Looks at
// the root and at the first level only, if these are protected. What belongs to others is left, and logged. Fails when
// a call fails, and may be repeated. `root` is "" if the tree has no znode of its own above the first level.
absl::StatusOr<int> ProtectAll(const std::string& root, const std::vector<std::string>& first_level,
                               const TreeAccessCalls& calls);

}  // namespace tranche::quota
