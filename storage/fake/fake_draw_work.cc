// FakeDrawLedger's part for workers, and what is read of a draw.
#include <algorithm>

#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_draw_ledger.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {

absl::StatusOr<Draw> FakeDrawLedger::GetDraw(const DrawKey& key) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const Stored* const stored, Find(key));
  return Told(*stored);
}

absl::StatusOr<DrawEntry> FakeDrawLedger::FindDrawEntry(const DrawKey& key, const std::string& user_id) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const Stored* const stored, Find(key));
  const auto found = stored->by_buyer.find(user_id);
  if (found == stored->by_buyer.end()) return NoDrawEntryError();
  DrawEntry entry{.draw = Told(*stored), .entry_id = found->second};
  for (const DrawAward& award : stored->awards) {
    if (award.entry_id == entry.entry_id) entry.award = award;
  }
  return entry;
}

absl::StatusOr<std::vector<DrawAward>> FakeDrawLedger::ListDrawAwards(const DrawKey& key, int64_t after, int limit) {
  CHECK(limit >= 1 && limit <= kMaxDrawPage);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const Stored* const stored, Find(key));
  std::vector<DrawAward> awards;
  for (const DrawAward& award : stored->awards) {
    if (award.place > after && static_cast<int>(awards.size()) < limit) awards.push_back(award);
  }
  return awards;
}

absl::StatusOr<std::vector<Uuid>> FakeDrawLedger::ListDrawEntries(const DrawKey& key, const std::optional<Uuid>& after,
                                                                  int limit) {
  CHECK(limit >= 1 && limit <= kMaxDrawPage);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const Stored* const stored, Find(key));
  if (!stored->draw.closed_at.has_value()) return StateError(stored->draw, "its list was not closed");
  std::vector<Uuid> ids;
  auto entry = after.has_value() ? stored->entries.upper_bound(*after) : stored->entries.begin();
  for (; entry != stored->entries.end() && static_cast<int>(ids.size()) < limit; ++entry) ids.push_back(entry->first);
  return ids;
}

absl::StatusOr<std::vector<DrawChunk>> FakeDrawLedger::ReadDrawChunks(const DrawKey& key) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(const Stored* const stored, Find(key));
  std::vector<DrawChunk> chunks;
  for (const auto& [_, chunk] : stored->chunks) chunks.push_back(chunk);
  return chunks;
}

absl::StatusOr<std::vector<Draw>> FakeDrawLedger::ListDrawWork() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<Draw> work;
  for (const auto& [sku_id, of_sku] : draws_) {
    for (const auto& [_, stored] : of_sku) {
      const DrawState state = stored.draw.state;
      if (state == DrawState::kClosing || state == DrawState::kSeeded || state == DrawState::kDrawn) {
        work.push_back(Told(stored));
      }
    }
  }
  return work;
}

absl::Status FakeDrawLedger::AddDrawChunks(const DrawKey& key, absl::Span<const DrawChunk> chunks) {
  constexpr size_t kMostChunks = 1'000;
  CHECK_LE(chunks.size(), kMostChunks);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(Stored* const stored, Find(key));
  if (!stored->draw.merkle_root.empty()) return absl::OkStatus();  // all are there
  if (stored->draw.state != DrawState::kClosing) return StateError(stored->draw, "its list is not being sealed");
  for (const DrawChunk& chunk : chunks) stored->chunks.emplace(chunk.index, chunk);
  return absl::OkStatus();
}

absl::Status FakeDrawLedger::SealDraw(const DrawKey& key, int64_t entries, const std::string& merkle_root) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(Stored* const stored, Find(key));
  Draw& draw = stored->draw;
  if (!draw.merkle_root.empty() && draw.entries == entries && draw.merkle_root == merkle_root) return absl::OkStatus();
  if (draw.state != DrawState::kClosing) return StateError(draw, "its list is not being sealed");
  int64_t index = 0;
  int64_t in_chunks = 0;
  bool whole = true;
  for (const auto& [at, chunk] : stored->chunks) {
    whole = whole && at == index++;
    in_chunks += chunk.entries;
  }
  whole = whole && index == (entries + kDrawChunkEntries - 1) / kDrawChunkEntries;
  if (!whole || in_chunks != entries || entries != static_cast<int64_t>(stored->entries.size())) {
    return StateError(draw, "these are not all its entries");
  }
  draw.state = DrawState::kClosed;
  draw.entries = entries;
  draw.merkle_root = merkle_root;
  return absl::OkStatus();
}

absl::StatusOr<RankProgress> FakeDrawLedger::RankDraw(const DrawKey& key, const HmacBlocks& blocks, int limit) {
  constexpr int kMostRanked = 50'000;
  CHECK(limit >= 1 && limit <= kMostRanked);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(Stored* const stored, Find(key));
  Draw& draw = stored->draw;
  if (draw.state == DrawState::kDrawn || draw.state == DrawState::kFinished) return RankProgress{.drawn = true};
  if (draw.state != DrawState::kSeeded) return StateError(draw, "there is no seed");
  RankProgress progress;
  auto entry =
      stored->ranked_to.has_value() ? stored->entries.upper_bound(*stored->ranked_to) : stored->entries.begin();
  for (; entry != stored->entries.end() && progress.ranked < limit; ++entry) {
    const std::string id(entry->first.bytes.begin(), entry->first.bytes.end());
    stored->ranks.emplace(Digest(blocks.outer + Digest(blocks.inner + id)), entry->first);
    stored->ranked_to = entry->first;
    ++progress.ranked;
  }
  progress.drawn = entry == stored->entries.end();
  if (progress.drawn) draw.state = DrawState::kDrawn;
  return progress;
}

void FakeDrawLedger::Settle(Stored& stored) {
  for (DrawAward& award : stored.awards) {
    if (award.outcome != AwardOutcome::kPending) continue;
    const ReservationState state = ledger_->WhatBecameOf(stored.draw.key.sku_id, *award.reservation_id);
    if (state == ReservationState::kPending) continue;
    award.outcome = state == ReservationState::kConfirmed ? AwardOutcome::kConfirmed : AwardOutcome::kLapsed;
  }
}

std::vector<FakeDrawLedger::Ranked> FakeDrawLedger::NextRanks(const Stored& stored, size_t most) {
  auto rank = stored.ranks.begin();
  if (!stored.awards.empty()) {
    rank = stored.ranks.upper_bound({stored.awards.back().rank, stored.awards.back().entry_id});
  }
  std::vector<Ranked> next;
  for (; rank != stored.ranks.end() && next.size() < most; ++rank) next.push_back(*rank);
  return next;
}

absl::Status FakeDrawLedger::Give(Stored& stored, const std::vector<Ranked>& next, size_t most,
                                  AwardProgress* progress) {
  Draw& draw = stored.draw;
  std::vector<ReservationClaim> claims;
  std::vector<FakeOutbox::Extra> members;
  for (const auto& [_, entry] : next) {
    claims.push_back({RandomId(), draw.key.sku_id, stored.entries.at(entry), draw.quantity});
    members.push_back({{"draw_number", draw.key.number}, {"entry_id", entry.ToString()}});
  }
  ASSIGN_OR_RETURN(const std::vector<CommitResult> results, ledger_->CommitFromPool(claims, most, members));
  for (size_t i = 0; i < results.size(); ++i) {
    const CommitResult& result = results[i];
    const bool created = result.outcome == CommitOutcome::kCreated;
    if (!created && result.refusal != Refusal::kUserLimitReached) {
      progress->waits_for = result.outcome == CommitOutcome::kRefused ? result.refusal : Refusal::kInsufficientUnits;
      break;
    }
    DrawAward award{.place = static_cast<int64_t>(stored.awards.size()) + 1,
                    .entry_id = next[i].second,
                    .user_id = claims[i].user_id,
                    .rank = next[i].first,
                    .outcome = created ? AwardOutcome::kPending : AwardOutcome::kPassedOver,
                    .awarded_at = DatabaseNow()};
    if (created) award.reservation_id = claims[i].reservation_id;
    (created ? progress->awarded : progress->passed_over) += 1;
    draw.cutoff = award.rank;
    stored.awards.push_back(std::move(award));
  }
  return absl::OkStatus();
}

absl::StatusOr<AwardProgress> FakeDrawLedger::AwardDraw(const DrawKey& key, int limit) {
  CHECK(limit >= 1 && limit <= kMaxBatch);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ASSIGN_OR_RETURN(Stored* const stored, Find(key));
  if (stored->draw.state == DrawState::kFinished) return AwardProgress{.finished = true};
  if (stored->draw.state != DrawState::kDrawn) return StateError(stored->draw, "nobody has a rank");
  AwardProgress progress;
  Settle(*stored);
  Draw now = Told(*stored);
  const int32_t open = now.winners - now.pending - now.confirmed;
  const std::vector<Ranked> next = NextRanks(*stored, open > 0 ? static_cast<size_t>(limit) : 0);
  if (!next.empty()) RETURN_IF_ERROR(Give(*stored, next, static_cast<size_t>(open), &progress));
  now = Told(*stored);
  progress.open_places = now.winners - now.pending - now.confirmed;
  progress.entries_left = stored->awards.size() < stored->ranks.size();
  progress.finished = now.confirmed == now.winners || (!progress.entries_left && now.pending == 0);
  if (progress.finished) {
    stored->draw.state = DrawState::kFinished;
    stored->draw.finished_at = DatabaseNow();
    ledger_->NoteDraw(key.sku_id, false);
  }
  return progress;
}

absl::StatusOr<int64_t> FakeDrawLedger::PurgeDraws(int limit) {
  CHECK_GE(limit, 1);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  for (auto& [sku_id, of_sku] : draws_) {
    for (auto& [_, stored] : of_sku) {
      if (removed_rows_ == 0 && stored.draw.state == DrawState::kFinished) Settle(stored);
    }
  }
  const int64_t purged = std::min<int64_t>(limit, removed_rows_);
  removed_rows_ -= purged;
  if (removed_rows_ == 0) removed_.clear();
  return purged;
}

}  // namespace tranche::storage
