// A buyer's entry of a draw, with what proves that it is in the sealed list and has its rank: docs/draws.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/admission/merkle_tree.h"
#include "storage/ledger/draw_ledger.h"
#include "storage/uuid.h"

namespace tranche::server {

struct ProvenEntry {
  storage::DrawEntry entry;
  std::string rank = {};                     // 32 bytes; "" before the seed is known
  int64_t leaf_index = 0;                    // its place in the sealed list, from 0; 0 before that is sealed
  std::vector<std::string> audit_path = {};  // from the leaf up; empty before that, and if it is the only entry
};

// Thread-safe. Blocks.
class DrawProver {
 public:
  // The lists of so many draws are kept: some 2 MB for one of ten million entries.
  static constexpr size_t kMostLists = 16;

  // In this ledger: of one shard, or over all; what was read from one may be used for another. Errors are those of
  // DrawLedger::FindDrawEntry; kDataLoss if the ledger's list is not the one that was sealed. Reads
  // the entry and up to kDrawChunkEntries ids, which it hashes; and the hashes of all chunks once for each draw: a
  // sealed list does not change.
  absl::StatusOr<ProvenEntry> Find(storage::DrawLedger& ledger, const storage::DrawKey& key,
                                   const std::string& user_id);

 private:
  struct SealedList {
    storage::DrawKey key;
    std::string root;
    std::vector<storage::Uuid> lasts;  // of each chunk, its last entry
    MerkleTree chunks;
  };
  using ListPtr = std::shared_ptr<const SealedList>;

  absl::Status AddProof(storage::DrawLedger& ledger, ProvenEntry& found);
  absl::StatusOr<ListPtr> ListOf(storage::DrawLedger& ledger, const storage::Draw& draw);
  static absl::StatusOr<ListPtr> ReadList(storage::DrawLedger& ledger, const storage::Draw& draw);

  absl::Mutex mutex_;                                  // not held while the ledger is asked
  std::deque<ListPtr> lists_ ABSL_GUARDED_BY(mutex_);  // the newest last
};

}  // namespace tranche::server
