#include "quota/zookeeper/tree_protection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zookeeper/zookeeper.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace tranche::quota {
namespace {

struct FakeZnode {
  bool open = true;
  bool foreign = false;
};

// Whole paths.
class FakeTree {
 public:
  void Add(const std::string& path, FakeZnode znode = {}) { znodes_[path] = znode; }
  bool IsOpen(const std::string& path) const { return znodes_.at(path).open; }
  bool AnyOpen() const {
    for (const auto& [path, znode] : znodes_) {
      if (znode.open) return true;
    }
    return false;
  }

  // Calls fail from the one with this number on.
  TreeAccessCalls Calls(int fail_from = 1 << 20) {
    const auto each = [this, fail_from](auto ask) {
      return [this, fail_from, ask](const std::vector<std::string>& paths) {
        const bool fails = ++calls_ >= fail_from;
        std::vector<ZookeeperReply> replies;
        for (const std::string& path : paths) {
          ZookeeperReply reply;
          const auto found = znodes_.find(path);
          if (fails) {
            reply.rc = ZCONNECTIONLOSS;
          } else if (found == znodes_.end()) {
            reply.rc = ZNONODE;
          } else if (found->second.foreign) {
            reply.rc = ZNOAUTH;
          } else {
            ask(path, found->second, reply);
          }
          replies.push_back(std::move(reply));
        }
        return replies;
      };
    };
    TreeAccessCalls calls;
    calls.read_access = each([this](const std::string& path, const FakeZnode& znode, ZookeeperReply& reply) {
      reply.open = znode.open;
      reply.child_count = static_cast<int>(ChildrenOf(path).size());
    });
    calls.protect = each([](const std::string&, FakeZnode& znode, ZookeeperReply&) { znode.open = false; });
    calls.list = each([this](const std::string& path, const FakeZnode&, ZookeeperReply& reply) {
      reply.children = ChildrenOf(path);
    });
    return calls;
  }

  int calls() const { return calls_; }

 private:
  std::vector<std::string> ChildrenOf(const std::string& path) const {
    std::vector<std::string> names;
    const std::string prefix = path + "/";
    for (const auto& [other, znode] : znodes_) {
      if (!absl::StartsWith(other, prefix)) continue;
      const std::string rest = other.substr(prefix.size());
      if (!absl::StrContains(rest, "/")) names.push_back(rest);
    }
    return names;
  }

  std::map<std::string, FakeZnode> znodes_;
  int calls_ = 0;
};

// A whole walk: how many znodes were open.
absl::StatusOr<int> ProtectAll(const std::string& root, const std::vector<std::string>& first_level,
                               TreeAccessCalls calls) {
  TreeWalk walk(root, first_level, std::move(calls));
  while (true) {
    const absl::StatusOr<TreeProtection> part = walk.Step();
    if (!part.ok()) return part.status();
    if (part->done) return part->znodes;
  }
}

std::vector<std::string> FirstLevel() { return {"/t/nodes", "/t/skus"}; }

FakeTree OpenTree() {
  FakeTree tree;
  for (const char* const path : {"/t", "/t/nodes", "/t/skus", "/t/skus/00", "/t/skus/00/tv", "/t/nodes/1"}) {
    tree.Add(path);
  }
  return tree;
}

TEST(TreeProtectionTest, ProtectsEverythingOnceAndThenLooksAtTheTop) {
  FakeTree tree = OpenTree();
  EXPECT_EQ(*ProtectAll("/t", FirstLevel(), tree.Calls()), 6);
  EXPECT_FALSE(tree.AnyOpen());
  const int before = tree.calls();
  EXPECT_EQ(*ProtectAll("/t", FirstLevel(), tree.Calls()), 0);
  EXPECT_EQ(tree.calls(), before + 1);
}

TEST(TreeProtectionTest, AProtectedZnodeMayHaveOpenOnesBelow) {
  FakeTree tree = OpenTree();
  tree.Add("/t/skus", {.open = false});
  tree.Add("/t/skus/00", {.open = false});
  EXPECT_EQ(*ProtectAll("/t", FirstLevel(), tree.Calls()), 4);
  EXPECT_FALSE(tree.AnyOpen());
}

TEST(TreeProtectionTest, ManyChildrenAreProtectedInParts) {
  FakeTree tree = OpenTree();
  for (int i = 0; i < 1500; ++i) tree.Add(absl::StrCat("/t/skus/", i));
  TreeWalk walk("/t", FirstLevel(), tree.Calls());
  int znodes = 0;
  for (bool done = false; !done;) {
    const auto part = walk.Step();
    ASSERT_TRUE(part.ok()) << part.status();
    EXPECT_LE(part->znodes - znodes, 200);
    znodes = part->znodes;
    done = part->done;
  }
  EXPECT_EQ(znodes, 1506);
  EXPECT_FALSE(tree.AnyOpen());
}

TEST(TreeProtectionTest, FindsWhatOthersHaveMadeInTheFirstLevelMeanwhile) {
  FakeTree tree = OpenTree();
  TreeWalk walk("/t", FirstLevel(), tree.Calls());
  while (tree.IsOpen("/t/skus/00/tv")) ASSERT_TRUE(walk.Step().ok());
  ASSERT_TRUE(tree.IsOpen("/t/skus")) << "it comes after what is below it";
  tree.Add("/t/skus/01");
  tree.Add("/t/skus/01/radio");
  for (bool done = false; !done;) {
    const auto part = walk.Step();
    ASSERT_TRUE(part.ok()) << part.status();
    done = part->done;
  }
  EXPECT_FALSE(tree.AnyOpen());
}

// Wherever it stops: the next walk does the rest.
TEST(TreeProtectionTest, AnInterruptedWalkIsBegunAgain) {
  for (const FakeZnode root : {FakeZnode{}, FakeZnode{.open = false, .foreign = true}}) {
    FakeTree whole = OpenTree();
    whole.Add("/t", root);
    ASSERT_TRUE(ProtectAll("/t", FirstLevel(), whole.Calls()).ok());
    for (int fail_from = 1; fail_from <= whole.calls(); ++fail_from) {
      FakeTree tree = OpenTree();
      tree.Add("/t", root);
      EXPECT_FALSE(ProtectAll("/t", FirstLevel(), tree.Calls(fail_from)).ok()) << fail_from;
      EXPECT_TRUE(ProtectAll("/t", FirstLevel(), tree.Calls()).ok());
      EXPECT_FALSE(tree.AnyOpen()) << fail_from << (root.foreign ? " below a root of an administrator's" : "");
    }
  }
}

TEST(TreeProtectionTest, LeavesWhatBelongsToOthersAndWhatHasGone) {
  FakeTree tree = OpenTree();
  tree.Add("/t/skus/00/tv", {.open = true, .foreign = true});
  EXPECT_EQ(*ProtectAll("/t", {"/t/nodes", "/t/skus", "/t/gone"}, tree.Calls()), 5);
  EXPECT_TRUE(tree.IsOpen("/t/skus/00/tv"));
  EXPECT_FALSE(tree.IsOpen("/t"));
}

TEST(TreeProtectionTest, ATreeWithoutARootOfItsOwn) {
  FakeTree tree;
  tree.Add("/nodes");
  tree.Add("/nodes/1");
  EXPECT_EQ(*ProtectAll("", {"/nodes"}, tree.Calls()), 2);
}

}  // namespace
}  // namespace tranche::quota
