// Draws on the fakes, and the way that a worker takes them.
#pragma once

#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/admission/draw_rank.h"
#include "server/admission/merkle_tree.h"
#include "storage/clock.h"
#include "storage/fake/fake_draw_ledger.h"
#include "storage/fake/fake_ledger.h"

namespace tranche::server {

inline constexpr char kDrawSeed[] = "a seed of twenty-six bytes";

inline std::string Sha256(const std::string& text) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

// The draws of a ledger that a test has. `Ledger` is a FakeDrawLedger, or one that meddles.
template <typename Ledger>
class DrawsOf {
 public:
  DrawsOf(storage::FakeLedger* ledger, storage::Clock* clock) : ledger_(ledger, clock) {}

  Ledger& ledger() { return ledger_; }

  // A draw of this SKU, open.
  storage::DrawKey Open(const std::string& sku_id = "tv", int32_t winners = 2) {
    storage::NewDraw draw;
    draw.sku_id = sku_id;
    draw.winners = winners;
    draw.seed_commitment = Sha256(kDrawSeed);
    const auto created = ledger_.CreateDraw(draw, /*preview=*/false, "tester");
    EXPECT_TRUE(created.ok()) << created.status();
    return created->key;
  }
  // Buyers "u1", "u2", ...
  void Enter(const storage::DrawKey& key, int buyers) {
    std::vector<storage::DrawEntryClaim> claims;
    for (int i = 1; i <= buyers; ++i) {
      claims.push_back({.sku_id = key.sku_id, .user_id = absl::StrCat("u", i)});
      if (claims.size() < kBatch && i < buyers) continue;
      const auto entered = ledger_.EnterDraws(storage::LockMode::kWait, claims);
      ASSERT_TRUE(entered.ok()) << entered.status();
      for (const auto& result : *entered) ASSERT_EQ(result.refusal, storage::Refusal::kNone);
      claims.clear();
    }
  }
  void Take(const storage::DrawKey& key, storage::DrawStep step) {
    const std::string seed = step == storage::DrawStep::kSeed ? kDrawSeed : "";
    const auto changed = ledger_.ChangeDraw(key, step, seed, /*preview=*/false, "tester");
    ASSERT_TRUE(changed.ok()) << changed.status();
  }
  // The draw is closed and its list sealed.
  void Seal(const storage::DrawKey& key) {
    Take(key, storage::DrawStep::kClose);
    const std::vector<storage::Uuid> ids = Entries(key);
    std::vector<storage::DrawChunk> chunks;
    std::vector<std::string> hashes;
    for (size_t from = 0; from < ids.size(); from += storage::kDrawChunkEntries) {
      const size_t size = std::min<size_t>(storage::kDrawChunkEntries, ids.size() - from);
      const absl::Span<const storage::Uuid> part = absl::MakeConstSpan(ids).subspan(from, size);
      hashes.push_back(ChunkHash(part));
      chunks.push_back({.index = static_cast<int64_t>(chunks.size()),
                        .first = part.front(),
                        .last = part.back(),
                        .entries = static_cast<int32_t>(size),
                        .hash = hashes.back()});
    }
    ASSERT_TRUE(ledger_.AddDrawChunks(key, chunks).ok());
    const absl::Status sealed = ledger_.SealDraw(key, static_cast<int64_t>(ids.size()), MerkleRoot(hashes));
    ASSERT_TRUE(sealed.ok()) << sealed;
  }
  // The seed of the sealed draw is told, and its entries are ranked.
  void Rank(const storage::DrawKey& key) {
    Take(key, storage::DrawStep::kSeed);
    const auto draw = ledger_.GetDraw(key);
    ASSERT_TRUE(draw.ok()) << draw.status();
    const auto ranked = ledger_.RankDraw(key, DrawHmacBlocks(DrawRankKey(*draw)), /*limit=*/50'000);
    ASSERT_TRUE(ranked.ok()) << ranked.status();
    ASSERT_TRUE(ranked->drawn);
  }
  std::vector<storage::Uuid> Entries(const storage::DrawKey& key) {
    const auto ids = ledger_.ListDrawEntries(key, std::nullopt, storage::kMaxDrawPage);
    EXPECT_TRUE(ids.ok()) << ids.status();
    return ids.ok() ? *ids : std::vector<storage::Uuid>();
  }

 private:
  static constexpr size_t kBatch = 100;

  Ledger ledger_;
};

}  // namespace tranche::server
