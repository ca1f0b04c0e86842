// Shared by the suites about draws.
#pragma once

#include <openssl/sha.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/ledger/draw_ledger.h"
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {

class DrawContractTest : public LifecycleContractTest {
 protected:
  static constexpr char kTheSeed[] = "a seed that nobody knew";

  static std::string Sha256(const std::string& text) {
    std::string digest(SHA256_DIGEST_LENGTH, '\0');
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           reinterpret_cast<unsigned char*>(digest.data()));
    return digest;
  }
  static std::string BytesOf(const Uuid& id) { return std::string(id.bytes.begin(), id.bytes.end()); }
  static HmacBlocks Blocks() { return {.inner = std::string(64, '\x36'), .outer = std::string(64, '\x5c')}; }
  // What the ledger has to compute with these.
  static std::string RankOf(const Uuid& id) {
    const HmacBlocks blocks = Blocks();
    return Sha256(blocks.outer + Sha256(blocks.inner + BytesOf(id)));
  }

  // A SKU that is on sale, with all units in its pool.
  void CreatePooled(const std::string& sku_id, int64_t units, int32_t per_user_limit = 1) {
    Sku sku = SkuOf(sku_id, units, per_user_limit);
    sku.presplit = false;
    Create(sku);
  }
  static NewDraw Committed(const std::string& sku_id, int32_t winners, int32_t quantity = 1) {
    return {.sku_id = sku_id, .winners = winners, .quantity = quantity, .seed_commitment = Sha256(kTheSeed)};
  }
  // Begins a draw; returns which one it is.
  DrawKey Begin(const NewDraw& asked) {
    const auto draw = draws().CreateDraw(asked, /*preview=*/false, "alice");
    EXPECT_TRUE(draw.ok()) << draw.status();
    return draw.ok() ? draw->key : DrawKey{};
  }
  absl::StatusOr<Draw> Change(const DrawKey& key, DrawStep step, const std::string& seed = "", bool preview = false) {
    return draws().ChangeDraw(key, step, seed, preview, "alice");
  }
  void Take(const DrawKey& key, DrawStep step, const std::string& seed = "") {
    const auto changed = Change(key, step, seed);
    ASSERT_TRUE(changed.ok()) << changed.status();
  }
  Draw Get(const DrawKey& key) {
    const auto draw = draws().GetDraw(key);
    EXPECT_TRUE(draw.ok()) << draw.status();
    return draw.value_or(Draw{});
  }

  std::vector<DrawEntryResult> Enter(const std::vector<DrawEntryClaim>& claims) {
    const auto results = draws().EnterDraws(LockMode::kWait, claims);
    EXPECT_TRUE(results.ok()) << results.status();
    if (results.ok() && results->size() == claims.size()) return *results;
    ADD_FAILURE() << "not one result per claim";
    return std::vector<DrawEntryResult>(claims.size());
  }
  DrawEntryResult Enter(const std::string& sku_id, const std::string& user_id) {
    return Enter({{.sku_id = sku_id, .user_id = user_id}}).front();
  }
  // The buyers <prefix>0, <prefix>1, ..., by their entries.
  std::map<Uuid, std::string> EnterMany(const std::string& sku_id, int buyers, const std::string& prefix = "u") {
    std::map<Uuid, std::string> entries;
    std::vector<DrawEntryClaim> batch;
    for (int i = 0; i < buyers; ++i) {
      batch.push_back({.sku_id = sku_id, .user_id = absl::StrCat(prefix, i)});
      if (batch.size() < static_cast<size_t>(kMaxBatch) && i + 1 < buyers) continue;
      const std::vector<DrawEntryResult> results = Enter(batch);
      for (size_t at = 0; at < batch.size(); ++at) {
        EXPECT_EQ(results[at].refusal, Refusal::kNone);
        entries[results[at].entry_id] = batch[at].user_id;
      }
      batch.clear();
    }
    EXPECT_EQ(entries.size(), static_cast<size_t>(buyers));
    return entries;
  }

  // All ids, in pages of this size.
  std::vector<Uuid> Listed(const DrawKey& key, int page = kMaxDrawPage) {
    std::vector<Uuid> all;
    while (true) {
      const std::optional<Uuid> after = all.empty() ? std::nullopt : std::make_optional(all.back());
      const auto ids = draws().ListDrawEntries(key, after, page);
      EXPECT_TRUE(ids.ok()) << ids.status();
      if (!ids.ok() || ids->empty()) return all;
      all.insert(all.end(), ids->begin(), ids->end());
    }
  }
  static std::vector<DrawChunk> ChunksOf(const std::vector<Uuid>& ids) {
    std::vector<DrawChunk> chunks;
    for (size_t begin = 0; begin < ids.size(); begin += kDrawChunkEntries) {
      const size_t end = std::min(ids.size(), begin + kDrawChunkEntries);
      std::string bytes;
      for (size_t i = begin; i < end; ++i) bytes += BytesOf(ids[i]);
      chunks.push_back({.index = static_cast<int64_t>(chunks.size()),
                        .first = ids[begin],
                        .last = ids[end - 1],
                        .entries = static_cast<int32_t>(end - begin),
                        .hash = Sha256(bytes)});
    }
    return chunks;
  }
  static std::string Root() { return Sha256("a root"); }
  // kOpen -> kClosed, as a worker does it; the ledger believes what it says of hashes.
  void Seal(const DrawKey& key) {
    Take(key, DrawStep::kClose);
    const std::vector<Uuid> ids = Listed(key);
    if (!ids.empty()) {
      const absl::Status added = draws().AddDrawChunks(key, ChunksOf(ids));
      ASSERT_TRUE(added.ok()) << added;
    }
    const absl::Status sealed = draws().SealDraw(key, static_cast<int64_t>(ids.size()), Root());
    ASSERT_TRUE(sealed.ok()) << sealed;
  }
  // kOpen -> kDrawn.
  void RankAll(const DrawKey& key, int page = 50'000) {
    Seal(key);
    Take(key, DrawStep::kSeed, kTheSeed);
    RankProgress progress;
    do {
      const auto ranked = draws().RankDraw(key, Blocks(), page);
      ASSERT_TRUE(ranked.ok()) << ranked.status();
      progress = *ranked;
    } while (!progress.drawn);
  }
  AwardProgress Award(const DrawKey& key, int limit = 100) {
    const auto progress = draws().AwardDraw(key, limit);
    EXPECT_TRUE(progress.ok()) << progress.status();
    return progress.value_or(AwardProgress{});
  }
  std::vector<DrawAward> Awards(const DrawKey& key, int64_t after = 0, int limit = 1'000) {
    const auto awards = draws().ListDrawAwards(key, after, limit);
    EXPECT_TRUE(awards.ok()) << awards.status();
    return awards.value_or(std::vector<DrawAward>());
  }
  static std::vector<std::string> Buyers(const std::vector<DrawAward>& awards) {
    std::vector<std::string> buyers;
    for (const DrawAward& award : awards) buyers.push_back(award.user_id);
    return buyers;
  }
  // As the ranks have it.
  static std::vector<std::string> InOrder(const std::map<Uuid, std::string>& entries) {
    std::map<std::string, std::string> by_rank;
    for (const auto& [id, buyer] : entries) by_rank[RankOf(id)] = buyer;
    std::vector<std::string> buyers;
    for (const auto& [_, buyer] : by_rank) buyers.push_back(buyer);
    return buyers;
  }
  void Pay(const DrawAward& award) {
    const ChangeResult paid = Confirm(PaymentOf(Read(*award.reservation_id)));
    EXPECT_EQ(paid.outcome, ChangeOutcome::kDone);
  }
  void GiveUp(const DrawAward& award) { EXPECT_EQ(Cancel(Read(*award.reservation_id)).outcome, ChangeOutcome::kDone); }
  int64_t UnitsInPool(const std::string& sku_id) { return Remaining(sku_id)[kPool]; }

  size_t AuditEntries() {
    const auto entries = stock().ListAudit({}, 0, 1'000);
    EXPECT_TRUE(entries.ok()) << entries.status();
    return entries.ok() ? entries->size() : 0;
  }
};

}  // namespace tranche::storage
