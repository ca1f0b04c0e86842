#include "storage/shards/routing_draw_ledger.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "storage/base/status_macros.h"
#include "storage/shards/ask_in_turn.h"

namespace tranche::storage {
namespace {

absl::Status NotOverAllShards() { return absl::UnimplementedError("this is done on each shard's own ledger"); }

}  // namespace

absl::StatusOr<Draw> RoutingDrawLedger::CreateDraw(const NewDraw& draw, bool preview, const Actor& actor) {
  return AskInTurn(*shards_, [&](ShardBackend& shard) { return shard.draws->CreateDraw(draw, preview, actor); });
}

absl::StatusOr<Draw> RoutingDrawLedger::ChangeDraw(const DrawKey& key, DrawStep step, const std::string& seed,
                                                   bool preview, const Actor& actor) {
  return AskInTurn(*shards_,
                   [&](ShardBackend& shard) { return shard.draws->ChangeDraw(key, step, seed, preview, actor); });
}

// Each shard lists its newest first, so the newest of all are among the first of each.
absl::StatusOr<std::vector<Draw>> RoutingDrawLedger::ListDraws(const std::string& sku_id) {
  if (!sku_id.empty()) {
    return AskInTurn(*shards_, [&](ShardBackend& shard) { return shard.draws->ListDraws(sku_id); });
  }
  std::vector<Draw> all;
  for (const auto& shard : shards_->All()) {
    // Home is asked in any case, as if it were the only shard.
    if (shard->name != kHomeShard && !shard->Answers()) return SilentShard(*shard);
    ASSIGN_OR_RETURN(auto draws, shard->draws->ListDraws(""));
    std::move(draws.begin(), draws.end(), std::back_inserter(all));
  }
  std::stable_sort(all.begin(), all.end(), [](const Draw& a, const Draw& b) { return a.created_at > b.created_at; });
  if (all.size() > static_cast<size_t>(kMaxDrawsTold)) all.erase(all.begin() + kMaxDrawsTold, all.end());
  return all;
}

absl::StatusOr<std::vector<DrawAward>> RoutingDrawLedger::ListDrawAwards(const DrawKey& key, int64_t after, int limit) {
  return AskInTurn(*shards_, [&](ShardBackend& shard) { return shard.draws->ListDrawAwards(key, after, limit); });
}

absl::StatusOr<Draw> RoutingDrawLedger::GetDraw(const DrawKey& key) {
  return AskInTurn(*shards_, [&](ShardBackend& shard) { return shard.draws->GetDraw(key); });
}

absl::StatusOr<DrawEntry> RoutingDrawLedger::FindDrawEntry(const DrawKey& key, const std::string& user_id) {
  return AskInTurn(*shards_, [&](ShardBackend& shard) { return shard.draws->FindDrawEntry(key, user_id); });
}

absl::StatusOr<std::vector<Uuid>> RoutingDrawLedger::ListDrawEntries(const DrawKey& key,
                                                                     const std::optional<Uuid>& after, int limit) {
  return AskInTurn(*shards_, [&](ShardBackend& shard) { return shard.draws->ListDrawEntries(key, after, limit); });
}

absl::StatusOr<std::vector<DrawChunk>> RoutingDrawLedger::ReadDrawChunks(const DrawKey& key) {
  return AskInTurn(*shards_, [&](ShardBackend& shard) { return shard.draws->ReadDrawChunks(key); });
}

absl::StatusOr<std::vector<DrawEntryResult>> RoutingDrawLedger::EnterDraws(LockMode, absl::Span<const DrawEntryClaim>) {
  return NotOverAllShards();
}

absl::StatusOr<std::vector<Draw>> RoutingDrawLedger::ListDrawWork() { return NotOverAllShards(); }

absl::Status RoutingDrawLedger::AddDrawChunks(const DrawKey&, absl::Span<const DrawChunk>) {
  return NotOverAllShards();
}

absl::Status RoutingDrawLedger::SealDraw(const DrawKey&, int64_t, const std::string&) { return NotOverAllShards(); }

absl::StatusOr<RankProgress> RoutingDrawLedger::RankDraw(const DrawKey&, const HmacBlocks&, int) {
  return NotOverAllShards();
}

absl::StatusOr<AwardProgress> RoutingDrawLedger::AwardDraw(const DrawKey&, int) { return NotOverAllShards(); }

absl::StatusOr<int64_t> RoutingDrawLedger::PurgeDraws(int) { return NotOverAllShards(); }

}  // namespace tranche::storage
