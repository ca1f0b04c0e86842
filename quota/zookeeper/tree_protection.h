// Protects a tree that is open to everybody: one that was made before --zookeeper-auth-file was given.
//
// ZooKeeper's access rules are of single znodes: those below a protected one are as open as before. So each gets its
// own. Below the first level from the top down, because nobody else can make a znode in one that is protected; what is
// listed then is complete. But the first level comes after what is below it, and the root comes last: as long as one of
// these is open, a walk that was interrupted is begun again, also if the root is an administrator's. What somebody has
// made in the first level meanwhile is found by another look at it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "quota/coordination/coordination.h"
#include "quota/zookeeper/reply_batch.h"

namespace tranche::quota {

// What the walk asks of ZooKeeper, each for many znodes at once; the replies are in order. Paths are whole.
struct TreeAccessCalls {
  using Call = std::function<std::vector<ZookeeperReply>(const std::vector<std::string>& paths)>;
  Call read_access;  // fills `open` and `child_count`
  Call protect;      // gives it the access rules of what this session creates
  Call list;         // fills `children`
};

// One walk, in parts: a tree may have a hundred thousand znodes. Used by one thread at a time.
class TreeWalk {
 public:
  // Protects what is open of `root` and of everything in `first_level`. `root` is "" if the tree has no znode of its
  // own above the first level.
  TreeWalk(std::string root, std::vector<std::string> first_level, TreeAccessCalls calls);

  // A part of it: a few calls, for some hundred znodes. If the root and the first level are protected, the first part
  // is all. What belongs to others is left, and logged at the end. Fails when a call fails: begin anew then.
  absl::StatusOr<TreeProtection> Step();

 private:
  enum class Stage { kTop, kBelow, kFirstLevel, kNewcomers, kRoot, kDone };

  absl::StatusOr<bool> AnyOpen(const std::vector<std::string>& paths);
  absl::Status GoOn();
  // False if nothing is left to be looked at.
  absl::StatusOr<bool> GoDown();
  absl::Status ListSome();
  absl::Status Protect(const std::vector<std::string>& paths);
  absl::Status Look(const std::vector<std::string>& paths, std::vector<std::string>* open);
  absl::Status Skip(const std::string& path, int rc);
  void TellOfOthers() const;

  const std::string root_;
  const std::vector<std::string> first_level_;
  const TreeAccessCalls calls_;
  Stage stage_ = Stage::kTop;
  std::vector<std::string> parents_;  // to be listed
  std::vector<std::string> listed_;   // to be protected
  int protected_ = 0;
  std::string other_;  // one that is not ours
};

}  // namespace tranche::quota
