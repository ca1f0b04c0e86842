// What workers do with draws.
#include <utility>

#include "absl/strings/escaping.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/draw_row.h"
#include "storage/postgres/postgres_draw_ledger.h"

namespace tranche::storage {
namespace {

constexpr size_t kMaxChunks = 1'000;

// The word of book_awards, "" for none. SHORT is no refusal's: of claims, only nodes hear it.
Refusal WaitsFor(absl::string_view word) {
  if (word.empty()) return Refusal::kNone;
  return word == "SHORT" ? Refusal::kInsufficientUnits : RefusalOfProcedure(word);
}

AwardProgress ToAwardProgress(const pqxx::result& rows) {
  const pqxx::row row = rows.at(0);
  const auto field = [&](absl::string_view name) { return row.at(ColumnOf(rows, name)); };
  return {.awarded = field("awarded").as<int32_t>(),
          .passed_over = field("passed_over").as<int32_t>(),
          .open_places = field("open_places").as<int32_t>(),
          .entries_left = field("entries_left").as<bool>(),
          .waits_for = WaitsFor(field("waits_for").as<std::string>()),
          .finished = field("finished").as<bool>()};
}

}  // namespace

absl::StatusOr<std::vector<Draw>> PostgresDrawLedger::ListDrawWork() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_draw_work"));
  return ReadAnswer(Repeat::kRead, [&] {
    ColumnOf(rows, "state");
    const Columns<Draw> columns = DrawColumns(rows);
    std::vector<Draw> draws;
    for (const pqxx::row& row : rows) draws.push_back(columns.Read(row));
    return draws;
  });
}

absl::Status PostgresDrawLedger::AddDrawChunks(const DrawKey& key, absl::Span<const DrawChunk> chunks) {
  CHECK_LE(chunks.size(), kMaxChunks);
  ArrayLiteral numbers, firsts, lasts, entries, hashes;
  for (const DrawChunk& chunk : chunks) {
    numbers.AddInt(chunk.index);
    firsts.AddPlain(chunk.first.ToString());
    lasts.AddPlain(chunk.last.ToString());
    entries.AddInt(chunk.entries);
    hashes.AddText(absl::BytesToHexString(chunk.hash));
  }
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kIfAnswerLost, "add_draw_chunks", key.sku_id, key.number,
                        std::move(numbers).Finish(), std::move(firsts).Finish(), std::move(lasts).Finish(),
                        std::move(entries).Finish(), std::move(hashes).Finish()));
  return DrawOutcome(Repeat::kIfAnswerLost, rows, key.sku_id);
}

absl::Status PostgresDrawLedger::SealDraw(const DrawKey& key, int64_t entries, const std::string& merkle_root) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "seal_draw", key.sku_id, key.number, entries,
                                         absl::BytesToHexString(merkle_root)));
  return DrawOutcome(Repeat::kIfAnswerLost, rows, key.sku_id);
}

// These are not repeated after a lost answer: the repeated call would only answer about other rows.

absl::StatusOr<RankProgress> PostgresDrawLedger::RankDraw(const DrawKey& key, const HmacBlocks& blocks, int limit) {
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kNever, "rank_draw", key.sku_id, key.number,
                        absl::BytesToHexString(blocks.inner), absl::BytesToHexString(blocks.outer), limit));
  RETURN_IF_ERROR(DrawOutcome(Repeat::kNever, rows, key.sku_id));
  return ReadAnswer(Repeat::kNever, [&] {
    const pqxx::row row = rows.at(0);
    return RankProgress{.ranked = row.at(ColumnOf(rows, "ranked")).as<int64_t>(),
                        .drawn = row.at(ColumnOf(rows, "drawn")).as<bool>()};
  });
}

absl::StatusOr<AwardProgress> PostgresDrawLedger::AwardDraw(const DrawKey& key, int limit) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "award_draw", key.sku_id, key.number, limit));
  RETURN_IF_ERROR(DrawOutcome(Repeat::kNever, rows, key.sku_id));
  return ReadAnswer(Repeat::kNever, [&] { return ToAwardProgress(rows); });
}

absl::StatusOr<int64_t> PostgresDrawLedger::PurgeDraws(int limit) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "purge_draws", limit));
  return ReadValue<int64_t>(Repeat::kNever, rows);
}

}  // namespace tranche::storage
