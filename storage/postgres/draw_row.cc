#include "storage/postgres/draw_row.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/sku_row.h"

namespace tranche::storage {
namespace {

struct DrawStateWord {
  absl::string_view word;
  DrawState state;
};
constexpr DrawStateWord kDrawStateWords[] = {
    {"OPEN", DrawState::kOpen},           {"CLOSING", DrawState::kClosing}, {"CLOSED", DrawState::kClosed},
    {"SEEDED", DrawState::kSeeded},       {"DRAWN", DrawState::kDrawn},     {"FINISHED", DrawState::kFinished},
    {"CANCELLED", DrawState::kCancelled},
};

constexpr Column<Draw> kDrawTable[] = {
    {"sku_id", [](const pqxx::field& field, Draw* to) { to->key.sku_id = field.c_str(); }},
    {"number", [](const pqxx::field& field, Draw* to) { to->key.number = field.as<int64_t>(); }},
    {"state", [](const pqxx::field& field, Draw* to) { to->state = DrawStateOf(TextOf(field)); }},
    {"winners", [](const pqxx::field& field, Draw* to) { to->winners = field.as<int32_t>(); }},
    {"quantity", [](const pqxx::field& field, Draw* to) { to->quantity = field.as<int32_t>(); }},
    {"seed_commitment", [](const pqxx::field& field, Draw* to) { to->seed_commitment = BytesOfHex(field); }},
    {"public_source", [](const pqxx::field& field, Draw* to) { to->public_source = field.c_str(); }},
    {"entries", [](const pqxx::field& field, Draw* to) { to->entries = field.as<int64_t>(); }},
    {"merkle_root", [](const pqxx::field& field, Draw* to) { to->merkle_root = BytesOfHex(field); }},
    {"seed", [](const pqxx::field& field, Draw* to) { to->seed = BytesOfHex(field); }},
    {"cutoff", [](const pqxx::field& field, Draw* to) { to->cutoff = BytesOfHex(field); }},
    {"pending", [](const pqxx::field& field, Draw* to) { to->pending = field.as<int32_t>(); }},
    {"confirmed", [](const pqxx::field& field, Draw* to) { to->confirmed = field.as<int32_t>(); }},
    {"lapsed", [](const pqxx::field& field, Draw* to) { to->lapsed = field.as<int32_t>(); }},
    {"created_us", [](const pqxx::field& field, Draw* to) { to->created_at = TimeOf(field); }},
    {"closed_us", [](const pqxx::field& field, Draw* to) { to->closed_at = TimeOf(field); }},
    {"seeded_us", [](const pqxx::field& field, Draw* to) { to->seeded_at = TimeOf(field); }},
    {"finished_us", [](const pqxx::field& field, Draw* to) { to->finished_at = TimeOf(field); }},
};

struct DrawAnswer {
  std::string word;
  DrawStateConflict conflict;  // for STATE
};

DrawAnswer ReadDrawOutcome(const pqxx::result& rows) {
  const pqxx::row row = rows.at(0);
  DrawAnswer outcome{.word = row.at(ColumnOf(rows, "outcome")).as<std::string>(), .conflict = {}};
  if (outcome.word == "STATE") {
    outcome.conflict = {.number = row.at(ColumnOf(rows, "number")).as<int64_t>(0),
                        .state = row.at(ColumnOf(rows, "state")).as<std::string>("")};
  }
  return outcome;
}

absl::Status ForbiddenByState(const DrawStateConflict& conflict) {
  if (conflict.number == 0) return DrawStateError(conflict, "the draw would have another number");
  return DrawStateError(conflict, absl::StrCat("draw ", conflict.number, " of the SKU is ", conflict.state));
}

}  // namespace

DrawState DrawStateOf(absl::string_view word) {
  for (const DrawStateWord& known : kDrawStateWords) {
    if (known.word == word) return known.state;
  }
  throw UnreadableAnswer(absl::StrCat("no state of a draw: ", word));
}

std::string BytesOfHex(const pqxx::field& field) { return absl::HexStringToBytes(TextOf(field)); }

Columns<Draw> DrawColumns(const pqxx::result& rows) { return Columns<Draw>(rows, kDrawTable); }

absl::Status DrawOutcome(Repeat repeat, const pqxx::result& rows, const std::string& sku_id) {
  ASSIGN_OR_RETURN(const DrawAnswer outcome, ReadAnswer(repeat, [&] { return ReadDrawOutcome(rows); }));
  if (outcome.word == "DONE") return absl::OkStatus();
  if (outcome.word == "SKU_NOT_FOUND") return NoSuchSku(sku_id);
  if (outcome.word == "NO_DRAW") return NoDrawError();
  if (outcome.word == "NO_ENTRY") return NoDrawEntryError();
  if (outcome.word == "SEED") return SeedMismatchError();
  if (outcome.word == "STATE") return ForbiddenByState(outcome.conflict);
  if (outcome.word == "INCOMPLETE") {
    return absl::FailedPreconditionError("these are not all entries of the draw, or their chunks are not complete");
  }
  return UnreadableAnswerError(repeat, UnreadableAnswer(absl::StrCat("no outcome of a draw: ", outcome.word)));
}

}  // namespace tranche::storage
