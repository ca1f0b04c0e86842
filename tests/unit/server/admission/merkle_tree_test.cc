// Expected hashes come from a recursive implementation of RFC 6962, section 2.1, in Python, which splits lists as the
// text says; the code under test goes level by level.
#include "server/admission/merkle_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "storage/ledger/draw_ledger.h"
#include "tests/unit/server/admission/draw_ids.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> LeavesOf(absl::Span<const storage::Uuid> entries) {
  std::vector<std::string> leaves;
  for (const storage::Uuid& entry : entries) leaves.push_back(LeafHash(entry));
  return leaves;
}

absl::Span<const storage::Uuid> ChunkOf(absl::Span<const storage::Uuid> entries, size_t chunk) {
  return entries.subspan(chunk * storage::kDrawChunkEntries, storage::kDrawChunkEntries);
}

std::vector<std::string> ChunkHashes(absl::Span<const storage::Uuid> entries) {
  std::vector<std::string> hashes;
  for (size_t chunk = 0; chunk * storage::kDrawChunkEntries < entries.size(); ++chunk) {
    hashes.push_back(ChunkHash(ChunkOf(entries, chunk)));
  }
  return hashes;
}

std::string HexOf(const std::string& bytes) { return absl::BytesToHexString(bytes); }

TEST(MerkleTreeTest, RootsAreThoseOfTheRfc) {
  const std::vector<std::pair<size_t, std::string>> roots = {
      {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {1, "0a88111852095cae045340ea1f0b279944b2a756a213d9b50107d7489771e159"},
      {2, "ff840e7e213bdd95f9851040d65ef4a153032b3cd62d6dfb2ae36096cf601200"},
      {3, "41331dd30f238bc1e8964cc9cc919810d24315d2cad188a4745897592320452b"},
      {5, "104b120a35e6bdf83943d348b45c7d2f00a529fb4b52d11b1952e62b12a2db8d"},
      {7, "221b235ceb040370920a8a01bd2180a94a4ae4b44bff9fa9493d05a3e7c7d676"},
      {8, "61a7482f95e7520640797dcc9bd4c106b40d7df40b2efbc3cb651bb81b26d2b9"},
      {1023, "6f7aa22a610b29cd89fa9d1a763d888a5be256f6411791b11ea38c4edc3b6749"},
      {1024, "40f39f09eaedbc275a185a51d7f27c85948238c8cb5b355651f58c12db67b114"},
      {1025, "a50e49635693a1d3a7f87d2215879113f0cea65199072601cea13eb606b31076"},
      {2049, "bc7252cfd4e41630882cab6252ccb1145ec54d77128c87fc33dc0fc465bc2c49"},
      {5000, "4b69120936d041c8901ecc8b774449a467f56680aee2a118994e5e31196dc63a"},
  };
  for (const auto& [size, root] : roots) {
    const std::vector<storage::Uuid> entries = DrawIds(size);
    EXPECT_EQ(HexOf(MerkleRoot(LeavesOf(entries))), root) << size;
    EXPECT_EQ(HexOf(MerkleRoot(ChunkHashes(entries))), root) << size << " by chunks";
  }
}

TEST(MerkleTreeTest, PathsAreThoseOfTheRfc) {
  const std::vector<std::string> leaves = LeavesOf(DrawIds(7));
  const auto hex_path = [&](size_t index) {
    std::vector<std::string> path = AuditPath(leaves, index);
    for (std::string& hash : path) hash = HexOf(hash);
    return path;
  };
  EXPECT_THAT(hex_path(4), ElementsAre("678c99a067a6d83062b4dd70ee178cbbf162fff6381f5b50462ab7d11d0f46de",
                                       "b49deabae3aa741fc5d7f367529751a47c00390e1365121c0f985f402fa19c50",
                                       "c0a94a729ca8d770822d0227635d948ac47c8a2d29a7ff90bf66aead62ace61b"));
  EXPECT_THAT(hex_path(6), ElementsAre("d40ce0864962c5158340ddb25006bd020b46ef9d8d5ce1ed74702f456271849c",
                                       "c0a94a729ca8d770822d0227635d948ac47c8a2d29a7ff90bf66aead62ace61b"))
      << "the last has fewer above it";
  EXPECT_THAT(AuditPath(LeavesOf(DrawIds(1)), 0), IsEmpty());
}

// Both ways to a path give the same one, and it leads to the root.
void ExpectPathsLeadToTheRoot(size_t size, const std::set<size_t>& indexes) {
  const std::vector<storage::Uuid> entries = DrawIds(size);
  const std::vector<std::string> leaves = LeavesOf(entries);
  const std::vector<std::string> chunks = ChunkHashes(entries);
  const std::string root = MerkleRoot(leaves);
  const MerkleTree tree(chunks);
  EXPECT_EQ(MerkleRoot(chunks), root) << size;
  EXPECT_EQ(tree.Root(), root) << size;
  for (const size_t index : indexes) {
    const size_t chunk = index / storage::kDrawChunkEntries;
    const std::vector<std::string> path =
        EntryPath(ChunkOf(entries, chunk), index % storage::kDrawChunkEntries, tree, chunk);
    EXPECT_EQ(path, AuditPath(leaves, index)) << index << " of " << size;
    EXPECT_TRUE(PathLeadsTo(entries[index], index, size, path, root)) << index << " of " << size;
  }
}

TEST(MerkleTreeTest, EveryEntryOfAShortListHasAPathToTheRoot) {
  for (size_t size = 0; size <= 70; ++size) {
    std::set<size_t> all;
    for (size_t index = 0; index < size; ++index) all.insert(index);
    ExpectPathsLeadToTheRoot(size, all);
  }
}

TEST(MerkleTreeTest, EntriesAroundTheBordersOfChunksHavePathsToTheRoot) {
  for (const size_t size : {1023, 1024, 1025, 1026, 2047, 2048, 2049, 5000}) {
    std::set<size_t> some = {0, 1, 511, 512, size - 2, size - 1};
    for (const size_t border : {1024, 2048, 3072, 4096}) {
      for (const size_t index : {border - 1, border, border + 1}) {
        if (index < size) some.insert(index);
      }
    }
    ExpectPathsLeadToTheRoot(size, some);
  }
}

TEST(MerkleTreeTest, WhatWasAlteredDoesNotLeadToTheRoot) {
  for (size_t size = 1; size <= 40; ++size) {
    const std::vector<std::string> leaves = LeavesOf(DrawIds(size));
    const std::string root = MerkleRoot(leaves);
    std::string other_root = root;
    other_root[31] ^= 1;
    for (size_t index = 0; index < size; ++index) {
      const std::vector<std::string> path = AuditPath(leaves, index);
      const storage::Uuid entry = DrawId(index);
      ASSERT_TRUE(PathLeadsTo(entry, index, size, path, root));
      EXPECT_FALSE(PathLeadsTo(DrawId(size), index, size, path, root)) << "another entry";
      EXPECT_FALSE(PathLeadsTo(entry, index, size, path, other_root));
      EXPECT_FALSE(PathLeadsTo(entry, size, size, path, root)) << "no such index";
      for (size_t other = 0; other < size; ++other) {
        if (other == index) continue;
        EXPECT_FALSE(PathLeadsTo(entry, other, size, path, root)) << other << ", not " << index;
      }
      std::vector<std::string> longer = path;
      longer.push_back(root);
      EXPECT_FALSE(PathLeadsTo(entry, index, size, longer, root));
      for (size_t step = 0; step < path.size(); ++step) {
        std::vector<std::string> altered = path;
        altered[step][0] ^= 1;
        EXPECT_FALSE(PathLeadsTo(entry, index, size, altered, root)) << step;
        altered = path;
        altered[step].pop_back();
        EXPECT_FALSE(PathLeadsTo(entry, index, size, altered, root)) << "a short hash at " << step;
        altered = path;
        altered.erase(altered.begin() + static_cast<ptrdiff_t>(step));
        EXPECT_FALSE(PathLeadsTo(entry, index, size, altered, root)) << "without " << step;
      }
    }
  }
}

// The number of entries says how long a path is and where the last ones go up. Where it changes neither, a path may fit
// both sizes; so a proof names the draw's own number, which the rank key holds, too.
TEST(MerkleTreeTest, AnotherSizeOfAnotherShapeIsNoticed) {
  const std::vector<std::string> leaves = LeavesOf(DrawIds(8));
  const std::string root = MerkleRoot(leaves);
  const std::vector<std::string> path = AuditPath(leaves, 3);
  EXPECT_TRUE(PathLeadsTo(DrawId(3), 3, 8, path, root));
  EXPECT_FALSE(PathLeadsTo(DrawId(3), 3, 4, path, root));
  EXPECT_FALSE(PathLeadsTo(DrawId(3), 3, 9, path, root));
  EXPECT_FALSE(PathLeadsTo(DrawId(3), 3, 0, path, root));
  const std::vector<std::string> last = AuditPath(LeavesOf(DrawIds(7)), 6);
  EXPECT_FALSE(PathLeadsTo(DrawId(6), 6, 8, last, MerkleRoot(LeavesOf(DrawIds(7)))));
}

// Otherwise 16 bytes of an entry could be chosen so that it looks like a node, or a node be shown as an entry.
TEST(MerkleTreeTest, LeavesAndNodesAreHashedApart) {
  const storage::Uuid entry = DrawId(1);
  const std::string bytes(entry.bytes.begin(), entry.bytes.end());
  EXPECT_NE(LeafHash(entry), NodeHash(bytes.substr(0, 8), bytes.substr(8)));
}

}  // namespace
}  // namespace tranche::server
