#include "storage/postgres/postgres_payment_ledger.h"

#include "absl/container/flat_hash_map.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/trace_text.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/columns.h"
#include "storage/postgres/reservation_row.h"

namespace tranche::storage {
namespace {

// The columns of payment_entries, in a row about a late payment.
constexpr Column<LatePayment> kLateTable[] = {
    {"payment_reference", [](const pqxx::field& field, LatePayment* to) { to->payment_reference = field.c_str(); }},
    {"amount_minor", [](const pqxx::field& field, LatePayment* to) { to->amount_minor = field.as<int64_t>(); }},
    {"currency", [](const pqxx::field& field, LatePayment* to) { to->currency = field.c_str(); }},
    {"paid_us", [](const pqxx::field& field, LatePayment* to) { to->received_at = TimeOf(field); }},
    {"rebooked", [](const pqxx::field& field, LatePayment* to) { to->rebooked_as = UuidOf(field); }},
    {"refunded_us", [](const pqxx::field& field, LatePayment* to) { to->refunded_at = TimeOf(field); }},
};

// The same, in a row about the reservation itself.
constexpr Column<PaymentEntry> kEntryTable[] = {
    {"quantity", [](const pqxx::field& field, PaymentEntry* to) { to->quantity = field.as<int32_t>(); }},
    {"state", [](const pqxx::field& field, PaymentEntry* to) { to->state = ToReservationState(TextOf(field)); }},
    {"amount_minor", [](const pqxx::field& field, PaymentEntry* to) { to->amount_minor = field.as<int64_t>(); }},
    {"currency", [](const pqxx::field& field, PaymentEntry* to) { to->currency = field.c_str(); }},
    {"payment_reference", [](const pqxx::field& field, PaymentEntry* to) { to->payment_reference = field.c_str(); }},
    {"paid_us", [](const pqxx::field& field, PaymentEntry* to) { to->paid_at = TimeOf(field); }},
    {"rebooked", [](const pqxx::field& field, PaymentEntry* to) { to->rebooked_from = UuidOf(field); }},
    {"archived", [](const pqxx::field& field, PaymentEntry* to) { to->archived = field.as<bool>(); }},
    {"order_reference", [](const pqxx::field& field, PaymentEntry* to) { to->order_reference = field.c_str(); }},
};

// Rows of one reservation are neighbours.
PaymentPage ToPage(const pqxx::result& rows) {
  const ColumnIndex id_column = ColumnOf(rows, "reservation_id"), kind = ColumnOf(rows, "kind"),
                    sku_id = ColumnOf(rows, "sku_id");
  const Columns<LatePayment> late(rows, kLateTable);
  const Columns<PaymentEntry> reservation(rows, kEntryTable);
  PaymentPage page;
  for (const pqxx::row& row : rows) {
    const Uuid id = UuidOf(row[id_column]);
    if (row[kind].is_null()) {
      page.next = id;
      continue;
    }
    if (page.entries.empty() || !(page.entries.back().reservation_id == id)) {
      page.entries.emplace_back().reservation_id = id;
    }
    PaymentEntry& entry = page.entries.back();
    entry.sku_id = row[sku_id].c_str();
    if (TextOf(row[kind]) == "LATE") {
      entry.late_payments.push_back(late.Read(row));
    } else {
      entry.kept = true;
      reservation.Read(row, &entry);
    }
  }
  return page;
}

AppliedPayment ToApplied(const pqxx::result& rows) {
  RequireOfAnswer(rows.size() == 1, "reconcile_payment answers with one row");
  const pqxx::row row = rows.front();
  using Outcome = AppliedPayment::Outcome;
  static const auto* outcomes = new absl::flat_hash_map<absl::string_view, Outcome>{
      {"DONE", Outcome::kConfirmed},
      {"REPLAYED", Outcome::kConfirmed},
      {"REBOOKED", Outcome::kRebooked},
      {"PAID_UNFULFILLED", Outcome::kRefundRequested},
      {"STATE", Outcome::kRefundRequested},
      {"NOT_FOUND", Outcome::kNotFound},
      {"PAYMENT_MISMATCH", Outcome::kMismatch},
      {"MOVING", Outcome::kMoving},
  };
  const absl::string_view outcome = TextOf(row[ColumnOf(rows, "outcome")]);
  const auto found = outcomes->find(outcome);
  RequireOfAnswer(found != outcomes->end(), "the outcome of reconcile_payment is known");
  const pqxx::field rebooked_as = row[ColumnOf(rows, "rebooked_as")];
  return {found->second, row[ColumnOf(rows, "replayed")].as<bool>(),
          rebooked_as.is_null() ? std::nullopt : std::make_optional(UuidOf(rebooked_as))};
}

RefundMark ParseMark(absl::string_view text) {
  if (text == "DONE") return RefundMark::kDone;
  if (text == "REPLAYED") return RefundMark::kReplayed;
  if (text == "NOT_FOUND") return RefundMark::kNotFound;
  RequireOfAnswer(text == "STATE", "the outcome of mark_refunded is known");
  return RefundMark::kRebooked;
}

}  // namespace

absl::StatusOr<PaymentPage> PostgresPaymentLedger::ExportPayments(const std::optional<Uuid>& after, absl::Time from,
                                                                  absl::Time to, int limit) {
  const std::string after_text = after.has_value() ? after->ToString() : "";
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kRead, "export_payments", after.has_value() ? after_text.c_str() : nullptr,
                        absl::ToUnixMicros(from), absl::ToUnixMicros(to), limit));
  return ReadAnswer(Repeat::kRead, [&] { return ToPage(rows); });
}

absl::StatusOr<std::vector<PaymentEntry>> PostgresPaymentLedger::LookUpPayments(
    absl::Span<const Uuid> reservation_ids) {
  CHECK_LE(reservation_ids.size(), static_cast<size_t>(kMaxBatch));
  ArrayLiteral ids;
  for (const Uuid& id : reservation_ids) ids.AddPlain(id.ToString());
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "payment_entries", std::move(ids).Finish()));
  return ReadAnswer(Repeat::kRead, [&] { return ToPage(rows).entries; });
}

absl::StatusOr<AppliedPayment> PostgresPaymentLedger::ApplyPayment(const Payment& payment, const Actor& actor) {
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kIfAnswerLost, "reconcile_payment", payment.reservation_id.ToString(),
                        payment.payment_reference, payment.amount_minor, payment.currency, actor.ForLedger(),
                        OrNull(TraceText(payment.trace))));
  return ReadAnswer(Repeat::kIfAnswerLost, [&] { return ToApplied(rows); });
}

absl::StatusOr<std::vector<RefundMark>> PostgresPaymentLedger::MarkRefunded(
    absl::Span<const std::pair<Uuid, std::string>> payments, const Actor& actor) {
  CHECK_LE(payments.size(), static_cast<size_t>(kMaxBatch));
  ArrayLiteral ids;
  ArrayLiteral references;
  for (const auto& [id, reference] : payments) {
    ids.AddPlain(id.ToString());
    references.AddText(reference);
  }
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "mark_refunded", std::move(ids).Finish(),
                                         std::move(references).Finish(), actor.ForLedger()));
  return ReadAnswer(Repeat::kIfAnswerLost, [&] {
    std::vector<RefundMark> marks(payments.size(), RefundMark::kNotFound);
    for (const pqxx::row& row : rows) marks.at(row.at(0).as<size_t>() - 1) = ParseMark(TextOf(row.at(1)));
    return marks;
  });
}

}  // namespace tranche::storage
