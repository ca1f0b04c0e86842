#include "server/handlers/draw_prover.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/admission/draw_rank.h"
#include "server/admission/merkle_tree.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

absl::Status NotAsSealed(const storage::Draw& draw) {
  return absl::DataLossError(
      absl::StrCat("the list of draw ", draw.key.number, " of ", draw.key.sku_id, " is not the one that was sealed"));
}

}  // namespace

absl::StatusOr<ProvenEntry> DrawProver::Find(storage::DrawLedger& ledger, const storage::DrawKey& key,
                                             const std::string& user_id) {
  ProvenEntry found;
  ASSIGN_OR_RETURN(found.entry, ledger.FindDrawEntry(key, user_id));
  const storage::Draw& draw = found.entry.draw;
  if (draw.merkle_root.empty()) return found;
  if (!draw.seed.empty()) found.rank = DrawRank(DrawRankKey(draw), found.entry.entry_id);
  RETURN_IF_ERROR(AddProof(ledger, found));
  return found;
}

absl::Status DrawProver::AddProof(storage::DrawLedger& ledger, ProvenEntry& found) {
  const storage::Draw& draw = found.entry.draw;
  const storage::Uuid& id = found.entry.entry_id;
  ASSIGN_OR_RETURN(const ListPtr list, ListOf(ledger, draw));
  const auto chunk = std::lower_bound(list->lasts.begin(), list->lasts.end(), id);
  if (chunk == list->lasts.end()) return NotAsSealed(draw);
  const size_t chunk_index = chunk - list->lasts.begin();
  std::optional<storage::Uuid> before;
  if (chunk_index > 0) before = list->lasts[chunk_index - 1];
  ASSIGN_OR_RETURN(const std::vector<storage::Uuid> ids,
                   ledger.ListDrawEntries(draw.key, before, storage::kDrawChunkEntries));
  const auto leaf = std::lower_bound(ids.begin(), ids.end(), id);
  if (leaf == ids.end() || !(*leaf == id)) return NotAsSealed(draw);
  const size_t index = leaf - ids.begin();
  found.leaf_index = static_cast<int64_t>(chunk_index) * storage::kDrawChunkEntries + static_cast<int64_t>(index);
  found.audit_path = EntryPath(ids, index, list->chunks, chunk_index);
  // A proof that leads elsewhere would look like a fraud.
  const bool proves = PathLeadsTo(id, static_cast<size_t>(found.leaf_index), static_cast<size_t>(draw.entries),
                                  found.audit_path, draw.merkle_root);
  return proves ? absl::OkStatus() : NotAsSealed(draw);
}

absl::StatusOr<DrawProver::ListPtr> DrawProver::ListOf(storage::DrawLedger& ledger, const storage::Draw& draw) {
  // By the root, too: after a restore of the database a number may name another draw.
  const auto is_it = [&](const ListPtr& list) { return list->key == draw.key && list->root == draw.merkle_root; };
  {
    absl::MutexLock lock(&mutex_);
    const auto known = std::find_if(lists_.begin(), lists_.end(), is_it);
    if (known != lists_.end()) return *known;
  }
  ASSIGN_OR_RETURN(ListPtr list, ReadList(ledger, draw));
  absl::MutexLock lock(&mutex_);
  // Another thread may have read it meanwhile.
  if (std::any_of(lists_.begin(), lists_.end(), is_it)) return list;
  if (lists_.size() == kMostLists) lists_.pop_front();
  lists_.push_back(list);
  return list;
}

absl::StatusOr<DrawProver::ListPtr> DrawProver::ReadList(storage::DrawLedger& ledger, const storage::Draw& draw) {
  ASSIGN_OR_RETURN(const std::vector<storage::DrawChunk> chunks, ledger.ReadDrawChunks(draw.key));
  std::vector<storage::Uuid> lasts;
  std::vector<std::string> hashes;
  lasts.reserve(chunks.size());
  hashes.reserve(chunks.size());
  for (const storage::DrawChunk& chunk : chunks) {
    lasts.push_back(chunk.last);
    hashes.push_back(chunk.hash);
  }
  ListPtr list = std::make_shared<SealedList>(
      SealedList{draw.key, draw.merkle_root, std::move(lasts), MerkleTree(std::move(hashes))});
  // Also if some are missing.
  if (list->chunks.Root() != draw.merkle_root) return NotAsSealed(draw);
  return list;
}

}  // namespace tranche::server
