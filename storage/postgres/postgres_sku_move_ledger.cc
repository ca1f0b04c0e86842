#include "storage/postgres/postgres_sku_move_ledger.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/call.h"
#include "storage/postgres/columns.h"

namespace tranche::storage {
namespace {

constexpr Repeat kRepeat = Repeat::kIfAnswerLost;

SkuWhereabouts::Place ToPlace(absl::string_view text) {
  using Place = SkuWhereabouts::Place;
  if (text == "HERE") return Place::kHere;
  if (text == "LEAVING") return Place::kLeaving;
  if (text == "GONE") return Place::kGone;
  RequireOfAnswer(text == "ARRIVING", "the whereabouts of a SKU are known");
  return Place::kArriving;
}

// The procedures' word for a part of the groups; null for another part.
const char* GroupPart(SkuPart part) {
  switch (part) {
    case SkuPart::kGroups:
      return "GROUPS";
    case SkuPart::kGroupMembers:
      return "MEMBERS";
    case SkuPart::kGroupOffers:
      return "OFFERS";
    case SkuPart::kLapsed:
    case SkuPart::kLive:
    case SkuPart::kLatePayments:
    case SkuPart::kOutbox:
      break;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<SkuWhereabouts> PostgresSkuMoveLedger::Where(const std::string& sku_id) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "sku_whereabouts", sku_id));
  if (rows.empty()) return SkuWhereabouts{};
  return ReadAnswer(Repeat::kRead, [&] {
    const pqxx::row row = rows.front();
    return SkuWhereabouts{.place = ToPlace(TextOf(row.at(0))),
                          .other_shard = row.at(1).as<std::string>(""),
                          .token = row.at(2).as<std::string>(""),
                          .leftovers = row.at(4).as<bool>(),
                          .version = row.at(3).as<int64_t>(),
                          .only_reserved = row.at(6).as<bool>(),
                          .moves = row.at(5).as<int64_t>()};
  });
}

absl::StatusOr<std::vector<ListedWhereabouts>> PostgresSkuMoveLedger::ListWhereabouts(const std::string& after,
                                                                                      int limit) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_whereabouts", after, limit));
  return ReadAnswer(Repeat::kRead, [&] {
    std::vector<ListedWhereabouts> listed;
    for (const pqxx::row& row : rows) {
      listed.push_back({.sku_id = row.at(0).as<std::string>(),
                        .where = {.place = ToPlace(TextOf(row.at(1))),
                                  .other_shard = row.at(2).as<std::string>(""),
                                  .token = {},
                                  .leftovers = false,
                                  .version = row.at(3).as<int64_t>(),
                                  .only_reserved = row.at(4).as<bool>(),
                                  .moves = row.at(5).as<int64_t>()}});
    }
    return listed;
  });
}

absl::StatusOr<PreparedLeave> PostgresSkuMoveLedger::PrepareLeave(const std::string& sku_id, const std::string& token) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, kRepeat, "prepare_leave", sku_id, token));
  return ReadAnswer(kRepeat, [&] {
    const pqxx::row row = rows.at(0);
    return PreparedLeave{row.at(0).as<std::string>(), row.at(1).as<std::string>()};
  });
}

absl::StatusOr<std::string> PostgresSkuMoveLedger::Snapshot() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, kRepeat, "move_snapshot"));
  return ReadValue<std::string>(kRepeat, rows);
}

absl::Status PostgresSkuMoveLedger::BeginLeave(const std::string& sku_id, const std::string& token,
                                               const std::string& target, const Actor& actor) {
  return Call(*pool_, kRepeat, "begin_leave", sku_id, token, target, actor.ForLedger()).status();
}

absl::StatusOr<SkuPage> PostgresSkuMoveLedger::ExportPage(const std::string& sku_id, SkuPart part,
                                                          const std::string& since, const PageCursor& after,
                                                          int limit) {
  absl::StatusOr<pqxx::result> rows;
  const char* const since_or_null = since.empty() ? nullptr : since.c_str();
  const char* const group_part = GroupPart(part);
  const bool by_user = part == SkuPart::kLapsed || part == SkuPart::kLive || group_part != nullptr;
  if (group_part != nullptr) {
    rows =
        Call(*pool_, Repeat::kRead, "export_groups", sku_id, group_part, since_or_null, after.user_id, after.id, limit);
  } else if (by_user) {
    rows = Call(*pool_, Repeat::kRead, "export_reservations", sku_id, part == SkuPart::kLive, since_or_null,
                after.user_id, after.id, limit);
  } else {
    rows = Call(*pool_, Repeat::kRead, part == SkuPart::kOutbox ? "export_outbox" : "export_late_payments", sku_id,
                after.id, limit);
  }
  if (!rows.ok()) return rows.status();
  return ReadAnswer(Repeat::kRead, [&] {
    const pqxx::row row = rows->at(0);
    SkuPage page{.rows = row.at(0).as<std::string>(""), .count = row.at(1).as<int64_t>(), .last = after};
    if (page.count == 0) return page;
    if (by_user) page.last.user_id = row.at(2).as<std::string>();
    page.last.id = row.at(by_user ? 3 : 2).as<std::string>(after.id);
    return page;
  });
}

absl::StatusOr<ExportedSku> PostgresSkuMoveLedger::ExportSku(const std::string& sku_id, const std::string& token) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "export_sku", sku_id, token));
  if (rows.empty()) return absl::FailedPreconditionError("it is not leaving by this attempt any more");
  return ReadAnswer(Repeat::kRead, [&] {
    const auto text = [row = rows.front()](pqxx::row::size_type column) { return row.at(column).as<std::string>(""); };
    return ExportedSku{text(0), text(1), text(2), text(3), text(4)};
  });
}

absl::StatusOr<bool> PostgresSkuMoveLedger::CancelLeave(const std::string& sku_id, const std::string& token,
                                                        const Actor& actor) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, kRepeat, "cancel_leave", sku_id, token, actor.ForLedger()));
  return ReadValue<bool>(kRepeat, rows);
}

absl::Status PostgresSkuMoveLedger::FinishLeave(const std::string& sku_id, const std::string& target,
                                                const std::string& token, const Actor& actor) {
  return Call(*pool_, kRepeat, "finish_leave", sku_id, target, token, actor.ForLedger()).status();
}

absl::StatusOr<bool> PostgresSkuMoveLedger::GiveUpOlderCopy(const std::string& sku_id, const std::string& shard,
                                                            int64_t moves, const Actor& actor) {
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, kRepeat, "give_up_older_copy", sku_id, shard, moves, actor.ForLedger()));
  return ReadValue<bool>(kRepeat, rows);
}

// Neither of these two is sent twice: if one hangs and completes late, that must not come after what was decided
// meanwhile.
absl::Status PostgresSkuMoveLedger::BeginArrival(const std::string& sku_row, const std::string& source,
                                                 const std::string& token) {
  return Call(*pool_, Repeat::kNever, "begin_arrival", sku_row, source, token).status();
}

absl::Status PostgresSkuMoveLedger::FinishArrival(const ExportedSku& sku, const std::string& token,
                                                  const Actor& actor) {
  return Call(*pool_, Repeat::kNever, "finish_arrival", sku.sku_row, token, sku.slots, sku.incarnations,
              sku.retired_units, sku.totals, actor.ForLedger())
      .status();
}

absl::Status PostgresSkuMoveLedger::ImportPage(const std::string& sku_id, const std::string& token, SkuPart part,
                                               const std::string& rows) {
  if (const char* const group_part = GroupPart(part); group_part != nullptr) {
    return Call(*pool_, kRepeat, "import_groups", sku_id, token, group_part, rows).status();
  }
  const char* function = "import_reservations";
  if (part == SkuPart::kLatePayments) function = "import_late_payments";
  if (part == SkuPart::kOutbox) function = "import_outbox";
  return Call(*pool_, kRepeat, function, sku_id, token, rows).status();
}

absl::StatusOr<bool> PostgresSkuMoveLedger::CancelArrival(const std::string& sku_id) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, kRepeat, "cancel_arrival", sku_id));
  return ReadValue<bool>(kRepeat, rows);
}

absl::StatusOr<int64_t> PostgresSkuMoveLedger::Purge(const std::string& sku_id, int limit) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, kRepeat, "purge_departed", sku_id, limit));
  return ReadValue<int64_t>(kRepeat, rows);
}

absl::Status PostgresSkuMoveLedger::NoteWhereabouts(const std::string& sku_id, const std::string& shard) {
  return Call(*pool_, kRepeat, "note_whereabouts", sku_id, shard).status();
}

}  // namespace tranche::storage
