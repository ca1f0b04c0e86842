#include "storage/postgres/postgres_draw_ledger.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/draw_row.h"
#include "storage/postgres/sku_row.h"

namespace tranche::storage {
namespace {

constexpr size_t kUuidBytes = sizeof(Uuid{}.bytes);

const char* StepWord(DrawStep step) {
  switch (step) {
    case DrawStep::kClose:
      return "CLOSE";
    case DrawStep::kSeed:
      return "SEED";
    case DrawStep::kFinish:
      return "FINISH";
    case DrawStep::kCancel:
      return "CANCEL";
    case DrawStep::kRemove:
      return "REMOVE";
  }
  LOG(FATAL) << "unknown step of a draw";
}

AwardOutcome AwardOutcomeOf(absl::string_view word) {
  if (word == "PENDING") return AwardOutcome::kPending;
  if (word == "CONFIRMED") return AwardOutcome::kConfirmed;
  if (word == "LAPSED") return AwardOutcome::kLapsed;
  RequireOfAnswer(word == "PASSED_OVER", "the outcome of an award is known");
  return AwardOutcome::kPassedOver;
}

constexpr Column<DrawAward> kAwardTable[] = {
    {"place", [](const pqxx::field& field, DrawAward* to) { to->place = field.as<int64_t>(); }},
    {"entry_id", [](const pqxx::field& field, DrawAward* to) { to->entry_id = UuidOf(field); }},
    {"user_id", [](const pqxx::field& field, DrawAward* to) { to->user_id = field.c_str(); }},
    {"rank", [](const pqxx::field& field, DrawAward* to) { to->rank = BytesOfHex(field); }},
    {"reservation_id", [](const pqxx::field& field, DrawAward* to) { to->reservation_id = UuidOf(field); }},
    {"award", [](const pqxx::field& field, DrawAward* to) { to->outcome = AwardOutcomeOf(TextOf(field)); }},
    {"awarded_us", [](const pqxx::field& field, DrawAward* to) { to->awarded_at = TimeOf(field); }},
};

constexpr Column<DrawEntryResult> kDrawEntryTable[] = {
    {"draw_number", [](const pqxx::field& field, DrawEntryResult* to) { to->draw_number = field.as<int64_t>(); }},
    {"entry_id", [](const pqxx::field& field, DrawEntryResult* to) { to->entry_id = UuidOf(field); }},
    {"replayed", [](const pqxx::field& field, DrawEntryResult* to) { to->replayed = field.as<bool>(); }},
    {"state", [](const pqxx::field& field, DrawEntryResult* to) { to->state = DrawStateOf(TextOf(field)); }},
};

// The draw of an answer of one row, or its error.
absl::StatusOr<Draw> ReadDraw(Repeat repeat, const absl::StatusOr<pqxx::result>& rows, const std::string& sku_id) {
  if (!rows.ok()) return rows.status();
  RETURN_IF_ERROR(DrawOutcome(repeat, *rows, sku_id));
  return ReadAnswer(repeat, [&] { return DrawColumns(*rows).Read(rows->at(0)); });
}

// A preview makes the change and takes it back: it leaves no doubt.
template <typename... Args>
absl::StatusOr<pqxx::result> ChangeDraws(ConnectionPool& pool, bool preview, Repeat repeat, const char* procedure,
                                         const Args&... args) {
  if (!preview) return Call(pool, repeat, procedure, args...);
  return RepeatCall(Repeat::kRead, [&] { return CallAndTakeBack(pool, procedure, args...); });
}

Repeat RepeatOfDraw(bool preview, Repeat change) { return preview ? Repeat::kRead : change; }

DrawEntryResult ToEntryResult(absl::string_view outcome, const Columns<DrawEntryResult>& columns,
                              const pqxx::row& row) {
  if (outcome == "BUSY") {
    DrawEntryResult result;
    result.busy = true;
    return result;
  }
  DrawEntryResult result = columns.Read(row);
  if (outcome != "ENTERED") result.refusal = RefusalOfProcedure(outcome);
  return result;
}

std::vector<DrawEntryResult> ToEntryResults(const pqxx::result& rows, size_t claims) {
  RequireOfAnswer(rows.size() == static_cast<pqxx::result::size_type>(claims), "every entry is answered");
  const ColumnIndex idx = ColumnOf(rows, "idx"), outcome = ColumnOf(rows, "outcome");
  ColumnOf(rows, "entry_id");
  const Columns<DrawEntryResult> columns(rows, kDrawEntryTable);
  std::vector<DrawEntryResult> results(claims);
  for (const pqxx::row& row : rows) {
    const size_t index = row[idx].as<size_t>() - 1;
    RequireOfAnswer(index < claims, "an answer is about one of the entries");
    results[index] = ToEntryResult(TextOf(row[outcome]), columns, row);
  }
  return results;
}

// 16 bytes for each.
std::vector<Uuid> ToEntryIds(const std::string& bytes) {
  RequireOfAnswer(bytes.size() % kUuidBytes == 0, "an entry id has 16 bytes");
  std::vector<Uuid> ids(bytes.size() / kUuidBytes);
  for (size_t i = 0; i < ids.size(); ++i) {
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(i * kUuidBytes), kUuidBytes, ids[i].bytes.begin());
  }
  return ids;
}

}  // namespace

absl::StatusOr<Draw> PostgresDrawLedger::CreateDraw(const NewDraw& draw, bool preview, const Actor& actor) {
  // Without an expected number, a repeat would meet the draw that the first try has created, and be refused.
  const Repeat repeat =
      RepeatOfDraw(preview, draw.expected_number.has_value() ? Repeat::kIfAnswerLost : Repeat::kNever);
  const NullableNumber expected(draw.expected_number);
  return ReadDraw(repeat,
                  ChangeDraws(*pool_, preview, repeat, "create_draw", draw.sku_id, draw.winners, draw.quantity,
                              absl::BytesToHexString(draw.seed_commitment), draw.public_source, expected.parameter(),
                              actor.ForLedger()),
                  draw.sku_id);
}

absl::StatusOr<Draw> PostgresDrawLedger::ChangeDraw(const DrawKey& key, DrawStep step, const std::string& seed,
                                                    bool preview, const Actor& actor) {
  const Repeat repeat = RepeatOfDraw(preview, Repeat::kIfAnswerLost);
  return ReadDraw(repeat,
                  ChangeDraws(*pool_, preview, repeat, "change_draw", key.sku_id, key.number, StepWord(step),
                              absl::BytesToHexString(seed), actor.ForLedger()),
                  key.sku_id);
}

absl::StatusOr<std::vector<Draw>> PostgresDrawLedger::ListDraws(const std::string& sku_id) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_draws", sku_id));
  if (rows.empty()) return std::vector<Draw>();
  RETURN_IF_ERROR(DrawOutcome(Repeat::kRead, rows, sku_id));
  return ReadAnswer(Repeat::kRead, [&] {
    const Columns<Draw> columns = DrawColumns(rows);
    std::vector<Draw> draws;
    for (const pqxx::row& row : rows) draws.push_back(columns.Read(row));
    return draws;
  });
}

absl::StatusOr<std::vector<DrawAward>> PostgresDrawLedger::ListDrawAwards(const DrawKey& key, int64_t after,
                                                                          int limit) {
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kRead, "list_draw_awards", key.sku_id, key.number, after, limit));
  RETURN_IF_ERROR(DrawOutcome(Repeat::kRead, rows, key.sku_id));
  return ReadAnswer(Repeat::kRead, [&] {
    const ColumnIndex place = ColumnOf(rows, "place");
    const Columns<DrawAward> columns(rows, kAwardTable);
    std::vector<DrawAward> awards;
    for (const pqxx::row& row : rows) {
      if (!row[place].is_null()) awards.push_back(columns.Read(row));
    }
    return awards;
  });
}

absl::StatusOr<std::vector<DrawEntryResult>> PostgresDrawLedger::EnterDraws(LockMode mode,
                                                                            absl::Span<const DrawEntryClaim> claims) {
  CHECK_LE(claims.size(), static_cast<size_t>(kMaxBatch));
  constexpr const char* kFunction = "enter_draws";
  ArrayLiteral sku_literal, user_literal;
  for (const DrawEntryClaim& claim : claims) {
    sku_literal.AddText(claim.sku_id);
    user_literal.AddText(claim.user_id);
  }
  const std::string skus = std::move(sku_literal).Finish(), users = std::move(user_literal).Finish();
  const char* const wait = mode == LockMode::kWait ? "true" : nullptr;
  const auto rows = mode == LockMode::kWaitBriefly
                        ? CallOnceWaiting(*pool_, /*p_wait=*/1, kFunction, BriefLockTimeout(), skus, users)
                        : CallOnce(*pool_, kFunction, wait, skus, users);
  if (!rows.ok()) return rows.status();
  return ReadAnswer(Repeat::kNever, [&] { return ToEntryResults(*rows, claims.size()); });
}

absl::StatusOr<Draw> PostgresDrawLedger::GetDraw(const DrawKey& key) {
  return ReadDraw(Repeat::kRead, Call(*pool_, Repeat::kRead, "get_draw", key.sku_id, key.number), key.sku_id);
}

absl::StatusOr<DrawEntry> PostgresDrawLedger::FindDrawEntry(const DrawKey& key, const std::string& user_id) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "find_draw_entry", key.sku_id, key.number, user_id));
  RETURN_IF_ERROR(DrawOutcome(Repeat::kRead, rows, key.sku_id));
  return ReadAnswer(Repeat::kRead, [&] {
    const pqxx::row row = rows.at(0);
    DrawEntry entry;
    entry.draw = DrawColumns(rows).Read(row);
    entry.entry_id = UuidOf(row.at(ColumnOf(rows, "entry_id")));
    if (!row.at(ColumnOf(rows, "place")).is_null()) {
      entry.award = Columns<DrawAward>(rows, kAwardTable).Read(row);
      entry.award->user_id = user_id;
    }
    return entry;
  });
}

absl::StatusOr<std::vector<Uuid>> PostgresDrawLedger::ListDrawEntries(const DrawKey& key,
                                                                      const std::optional<Uuid>& after, int limit) {
  const std::string from = after.has_value() ? after->ToString() : "";
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kRead, "list_draw_entries", key.sku_id, key.number, OrNull(from), limit));
  RETURN_IF_ERROR(DrawOutcome(Repeat::kRead, rows, key.sku_id));
  return ReadAnswer(Repeat::kRead, [&] {
    return ToEntryIds(absl::HexStringToBytes(rows.at(0).at(ColumnOf(rows, "entry_ids")).as<std::string>("")));
  });
}

absl::StatusOr<std::vector<DrawChunk>> PostgresDrawLedger::ReadDrawChunks(const DrawKey& key) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "read_draw_chunks", key.sku_id, key.number));
  RETURN_IF_ERROR(DrawOutcome(Repeat::kRead, rows, key.sku_id));
  return ReadAnswer(Repeat::kRead, [&] {
    const ColumnIndex number = ColumnOf(rows, "chunk_no"), first = ColumnOf(rows, "first_id"),
                      last = ColumnOf(rows, "last_id"), entries = ColumnOf(rows, "entries"),
                      hash = ColumnOf(rows, "hash");
    std::vector<DrawChunk> chunks;
    for (const pqxx::row& row : rows) {
      if (row[number].is_null()) continue;
      chunks.push_back({.index = row[number].as<int64_t>(),
                        .first = UuidOf(row[first]),
                        .last = UuidOf(row[last]),
                        .entries = row[entries].as<int32_t>(),
                        .hash = BytesOfHex(row[hash])});
    }
    return chunks;
  });
}

}  // namespace tranche::storage
