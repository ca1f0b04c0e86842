// Draws on PostgreSQL: calls the procedures of storage/sql.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/ledger/draw_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool. Batches of entries are tried once, like those of claims: their sender repeats
// them.
class PostgresDrawLedger : public DrawLedger {
 public:
  explicit PostgresDrawLedger(ConnectionPool* pool) : pool_(pool) {}

  absl::StatusOr<Draw> CreateDraw(const NewDraw& draw, bool preview, const Actor& actor) override;
  absl::StatusOr<Draw> ChangeDraw(const DrawKey& key, DrawStep step, const std::string& seed, bool preview,
                                  const Actor& actor) override;
  absl::StatusOr<std::vector<Draw>> ListDraws(const std::string& sku_id) override;
  absl::StatusOr<std::vector<DrawAward>> ListDrawAwards(const DrawKey& key, int64_t after, int limit) override;

  absl::StatusOr<std::vector<DrawEntryResult>> EnterDraws(LockMode mode,
                                                          absl::Span<const DrawEntryClaim> claims) override;
  absl::StatusOr<Draw> GetDraw(const DrawKey& key) override;
  absl::StatusOr<DrawEntry> FindDrawEntry(const DrawKey& key, const std::string& user_id) override;

  absl::StatusOr<std::vector<Uuid>> ListDrawEntries(const DrawKey& key, const std::optional<Uuid>& after,
                                                    int limit) override;
  absl::StatusOr<std::vector<DrawChunk>> ReadDrawChunks(const DrawKey& key) override;

  // In postgres_draw_work.cc.
  absl::StatusOr<std::vector<Draw>> ListDrawWork() override;
  absl::Status AddDrawChunks(const DrawKey& key, absl::Span<const DrawChunk> chunks) override;
  absl::Status SealDraw(const DrawKey& key, int64_t entries, const std::string& merkle_root) override;
  absl::StatusOr<RankProgress> RankDraw(const DrawKey& key, const HmacBlocks& blocks, int limit) override;
  absl::StatusOr<AwardProgress> AwardDraw(const DrawKey& key, int limit) override;
  absl::StatusOr<int64_t> PurgeDraws(int limit) override;

 private:
  ConnectionPool* const pool_;
};

}  // namespace tranche::storage
