#include "server/admission/merkle_tree.h"

#include <sodium.h>

#include <initializer_list>
#include <utility>

#include "glog/logging.h"
#include "server/admission/keyed_hash.h"

namespace tranche::server {
namespace {

constexpr size_t kHashBytes = crypto_hash_sha256_BYTES;
static_assert(kHashBytes == 32);

// Leaves and nodes begin with different bytes, so that no node can be shown as an entry.
constexpr absl::string_view kLeafMark("\0", 1);
constexpr absl::string_view kNodeMark("\1", 1);

std::string Sha256(std::initializer_list<absl::string_view> parts) {
  UseSodium();
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  for (const absl::string_view part : parts) crypto_hash_sha256_update(&state, SodiumBytes(part), part.size());
  std::string hash(kHashBytes, '\0');
  crypto_hash_sha256_final(&state, reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

std::vector<std::string> LeafHashes(absl::Span<const storage::Uuid> entries) {
  std::vector<std::string> hashes;
  hashes.reserve(entries.size());
  for (const storage::Uuid& entry : entries) hashes.push_back(LeafHash(entry));
  return hashes;
}

// The level above. A last node without a neighbour goes up as it is: that gives the same tree as RFC 6962, which splits
// a list at the largest power of two below its length.
std::vector<std::string> Raise(std::vector<std::string> level) {
  size_t kept = 0;
  for (size_t i = 0; i < level.size(); i += 2) {
    level[kept++] = i + 1 < level.size() ? NodeHash(level[i], level[i + 1]) : level[i];
  }
  level.resize(kept);
  return level;
}

}  // namespace

std::string LeafHash(const storage::Uuid& entry_id) {
  const auto& bytes = entry_id.bytes;
  return Sha256({kLeafMark, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}});
}

std::string NodeHash(absl::string_view left, absl::string_view right) { return Sha256({kNodeMark, left, right}); }

std::string MerkleRoot(absl::Span<const std::string> hashes) {
  if (hashes.empty()) return Sha256({});
  std::vector<std::string> level(hashes.begin(), hashes.end());
  while (level.size() > 1) level = Raise(std::move(level));
  return level.front();
}

std::vector<std::string> AuditPath(absl::Span<const std::string> hashes, size_t index) {
  return MerkleTree(std::vector<std::string>(hashes.begin(), hashes.end())).Path(index);
}

MerkleTree::MerkleTree(std::vector<std::string> hashes) {
  levels_.push_back(std::move(hashes));
  while (levels_.back().size() > 1) levels_.push_back(Raise(levels_.back()));
}

std::string MerkleTree::Root() const { return MerkleRoot(levels_.back()); }

std::vector<std::string> MerkleTree::Path(size_t index) const {
  CHECK_LT(index, levels_.front().size());
  std::vector<std::string> path;
  for (const std::vector<std::string>& level : levels_) {
    const size_t beside = index ^ 1;
    if (beside < level.size()) path.push_back(level[beside]);
    index /= 2;
  }
  return path;
}

std::string ChunkHash(absl::Span<const storage::Uuid> entries) { return MerkleRoot(LeafHashes(entries)); }

std::vector<std::string> EntryPath(absl::Span<const storage::Uuid> chunk, size_t index, const MerkleTree& chunks,
                                   size_t chunk_index) {
  std::vector<std::string> path = MerkleTree(LeafHashes(chunk)).Path(index);
  const std::vector<std::string> above = chunks.Path(chunk_index);
  path.insert(path.end(), above.begin(), above.end());
  return path;
}

bool PathLeadsTo(const storage::Uuid& entry_id, size_t index, size_t entries, absl::Span<const std::string> path,
                 absl::string_view root) {
  if (index >= entries) return false;
  // Where the way has come to, and the last node of that level.
  size_t at = index;
  size_t last = entries - 1;
  std::string hash = LeafHash(entry_id);
  for (const std::string& beside : path) {
    if (last == 0 || beside.size() != kHashBytes) return false;
    if (at % 2 == 1 || at == last) {
      hash = NodeHash(beside, hash);
      // A last node without a neighbour went up as it is.
      while (at % 2 == 0 && at != 0) {
        at /= 2;
        last /= 2;
      }
    } else {
      hash = NodeHash(hash, beside);
    }
    at /= 2;
    last /= 2;
  }
  return last == 0 && hash == root;
}

}  // namespace tranche::server
