#include "quota/zookeeper/tree_protection.h"

#include <zookeeper/zookeeper.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "quota/zookeeper/zookeeper_errors.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {
namespace {

// Bounds what one call waits for, and what the children of a few hot SKUs take of memory.
constexpr size_t kZnodesAtOnce = 1000;
constexpr size_t kListsAtOnce = 16;

class Walk {
 public:
  explicit Walk(const TreeAccessCalls& calls) : calls_(calls) {}

  int protected_count() const { return protected_; }

  absl::StatusOr<bool> AnyOpen(const std::vector<std::string>& paths) {
    const std::vector<ZookeeperReply> replies = calls_.read_access(paths);
    for (size_t i = 0; i < paths.size(); ++i) {
      if (replies[i].rc != ZOK) RETURN_IF_ERROR(Skip(paths[i], replies[i].rc));
    }
    others_ = 0;
    return std::any_of(replies.begin(), replies.end(), [](const ZookeeperReply& reply) { return reply.open; });
  }

  absl::Status ProtectBelow(const std::vector<std::string>& first_level) {
    RETURN_IF_ERROR(Protect(first_level));
    while (!parents_.empty()) {
      const auto first = parents_.end() - static_cast<std::ptrdiff_t>(std::min(parents_.size(), kListsAtOnce));
      const std::vector<std::string> listed(std::make_move_iterator(first), std::make_move_iterator(parents_.end()));
      parents_.erase(first, parents_.end());
      RETURN_IF_ERROR(ProtectChildrenOf(listed));
    }
    return absl::OkStatus();
  }

  // Those of `paths` that have children are looked into later.
  absl::Status Protect(const std::vector<std::string>& paths) {
    std::vector<std::string> open;
    RETURN_IF_ERROR(Look(paths, &open));
    if (open.empty()) return absl::OkStatus();
    const std::vector<ZookeeperReply> replies = calls_.protect(open);
    std::vector<std::string> done;
    for (size_t i = 0; i < open.size(); ++i) {
      if (replies[i].rc == ZOK) {
        done.push_back(open[i]);
      } else {
        RETURN_IF_ERROR(Skip(open[i], replies[i].rc));
      }
    }
    protected_ += static_cast<int>(done.size());
    // Children that came in the meantime count; now only ours can come.
    return Look(done, /*open=*/nullptr);
  }

  void TellOfOthers() const {
    LOG_IF(WARNING, others_ > 0) << others_ << " znodes belong to somebody else and keep their access rules, such as "
                                 << other_;
  }

 private:
  absl::Status ProtectChildrenOf(const std::vector<std::string>& parents) {
    const std::vector<ZookeeperReply> replies = calls_.list(parents);
    std::vector<std::string> children;
    for (size_t i = 0; i < parents.size(); ++i) {
      if (replies[i].rc != ZOK) RETURN_IF_ERROR(Skip(parents[i], replies[i].rc));
      for (const std::string& name : replies[i].children) {
        children.push_back(absl::StrCat(parents[i], "/", name));
        if (children.size() < kZnodesAtOnce) continue;
        RETURN_IF_ERROR(Protect(children));
        children.clear();
      }
    }
    return Protect(children);
  }

  // Adds to `open` what is to be protected, and what else has children to those that are listed.
  absl::Status Look(const std::vector<std::string>& paths, std::vector<std::string>* open) {
    if (paths.empty()) return absl::OkStatus();
    const std::vector<ZookeeperReply> replies = calls_.read_access(paths);
    for (size_t i = 0; i < paths.size(); ++i) {
      if (replies[i].rc != ZOK) {
        RETURN_IF_ERROR(Skip(paths[i], replies[i].rc));
      } else if (replies[i].open && open != nullptr) {
        open->push_back(paths[i]);
      } else if (replies[i].child_count > 0) {
        parents_.push_back(paths[i]);
      }
    }
    return absl::OkStatus();
  }

  // OK if the walk can go on without this znode: it has gone, or it is not ours.
  absl::Status Skip(const std::string& path, int rc) {
    if (rc == ZNONODE) return absl::OkStatus();
    if (rc != ZNOAUTH) return ZookeeperStatus(rc, absl::StrCat("protect ", path));
    ++others_;
    other_ = path;
    return absl::OkStatus();
  }

  const TreeAccessCalls& calls_;
  std::vector<std::string> parents_;  // protected, to be listed
  int protected_ = 0;
  int others_ = 0;
  std::string other_;
};

}  // namespace

absl::StatusOr<int> ProtectAll(const std::string& root, const std::vector<std::string>& first_level,
                               const TreeAccessCalls& calls) {
  std::vector<std::string> top = first_level;
  if (!root.empty()) top.push_back(root);
  Walk walk(calls);
  ASSIGN_OR_RETURN(const bool open, walk.AnyOpen(top));
  if (!open) return 0;
  RETURN_IF_ERROR(walk.ProtectBelow(first_level));
  if (!root.empty()) RETURN_IF_ERROR(walk.Protect({root}));
  walk.TellOfOthers();
  return walk.protected_count();
}

}  // namespace tranche::quota
