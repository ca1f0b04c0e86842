// The Merkle tree over a draw's entry ids, by RFC 6962, section 2.1: SHA-256, leaves behind a 0 byte, nodes behind a 1.
// A list is hashed in chunks of storage::kDrawChunkEntries, which are whole subtrees, so that a proof needs one chunk's
// entries and the tree above all chunks. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/uuid.h"

namespace tranche::server {

// All hashes have 32 bytes.
std::string LeafHash(const storage::Uuid& entry_id);
std::string NodeHash(absl::string_view left, absl::string_view right);

// Of leaves or of subtrees that are all whole but the last, by their hashes. Of none: SHA-256 of nothing.
std::string MerkleRoot(absl::Span<const std::string> hashes);
// The hashes beside the way from `index` to the root, from below. `index` is one of `hashes`.
std::vector<std::string> AuditPath(absl::Span<const std::string> hashes, size_t index);

// Such a tree with all its nodes, for those who need many paths.
class MerkleTree {
 public:
  explicit MerkleTree(std::vector<std::string> hashes);

  std::string Root() const;
  // As AuditPath, without hashing.
  std::vector<std::string> Path(size_t index) const;

 private:
  std::vector<std::vector<std::string>> levels_;  // from below; the last has at most one
};

// Of a chunk's entries, or all of a short list's.
std::string ChunkHash(absl::Span<const storage::Uuid> entries);
// The path of the entry at `index` within `chunk`, whose place among the chunks is `chunk_index`. `chunks`: the tree
// over their hashes.
std::vector<std::string> EntryPath(absl::Span<const storage::Uuid> chunk, size_t index, const MerkleTree& chunks,
                                   size_t chunk_index);

// Whether the path leads from the leaf to the root (RFC 9162, section 2.1.3.2): for those who check a proof.
bool PathLeadsTo(const storage::Uuid& entry_id, size_t index, size_t entries, absl::Span<const std::string> path,
                 absl::string_view root);

}  // namespace tranche::server
