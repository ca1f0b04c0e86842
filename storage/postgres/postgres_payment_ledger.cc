#include "storage/postgres/postgres_payment_ledger.h"

#include "absl/container/flat_hash_map.h"
#include "glog/logging.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"

namespace tranche::storage {
namespace {

// The columns of payment_entries.
enum EntryColumn {
  kReservationId,
  kKind,
  kSkuId,
  kQuantity,
  kState,
  kAmountMinor,
  kCurrency,
  kPaymentReference,
  kPaidUs,
  kRefundedUs,
  kRebooked,
  kArchived,
};

absl::string_view Text(const pqxx::field& field) { return absl::string_view(field.c_str(), field.size()); }

std::optional<absl::Time> OptionalTime(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return absl::FromUnixMicros(field.as<int64_t>());
}

std::optional<Uuid> OptionalUuid(const pqxx::field& field) {
  return field.is_null() ? std::nullopt : Uuid::Parse(Text(field));
}

ReservationState ParseState(absl::string_view text) {
  if (text == "PENDING") return ReservationState::kPending;
  if (text == "CONFIRMED") return ReservationState::kConfirmed;
  if (text == "CANCELLED") return ReservationState::kCancelled;
  CHECK_EQ(text, "EXPIRED") << "unknown reservation state in the ledger";
  return ReservationState::kExpired;
}

LatePayment ToLatePayment(const pqxx::row& row) {
  LatePayment late;
  late.payment_reference = row[kPaymentReference].c_str();
  late.amount_minor = row[kAmountMinor].as<int64_t>();
  late.currency = row[kCurrency].c_str();
  late.received_at = absl::FromUnixMicros(row[kPaidUs].as<int64_t>());
  late.rebooked_as = OptionalUuid(row[kRebooked]);
  late.refunded_at = OptionalTime(row[kRefundedUs]);
  return late;
}

void SetReservation(const pqxx::row& row, PaymentEntry* entry) {
  entry->kept = true;
  entry->quantity = row[kQuantity].as<int32_t>();
  entry->state = ParseState(Text(row[kState]));
  entry->amount_minor = row[kAmountMinor].as<int64_t>();
  entry->currency = row[kCurrency].c_str();
  entry->payment_reference = row[kPaymentReference].c_str();
  entry->paid_at = OptionalTime(row[kPaidUs]);
  entry->rebooked_from = OptionalUuid(row[kRebooked]);
  entry->archived = row[kArchived].as<bool>();
}

// Rows of one reservation are neighbours.
PaymentPage ToPage(const pqxx::result& rows) {
  PaymentPage page;
  for (const pqxx::row& row : rows) {
    const Uuid id = *Uuid::Parse(Text(row[kReservationId]));
    if (row[kKind].is_null()) {
      page.next = id;
      continue;
    }
    if (page.entries.empty() || !(page.entries.back().reservation_id == id)) {
      page.entries.emplace_back().reservation_id = id;
    }
    PaymentEntry& entry = page.entries.back();
    entry.sku_id = row[kSkuId].c_str();
    if (Text(row[kKind]) == "LATE") {
      entry.late_payments.push_back(ToLatePayment(row));
    } else {
      SetReservation(row, &entry);
    }
  }
  return page;
}

AppliedPayment ToApplied(const pqxx::row& row) {
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
  const auto found = outcomes->find(Text(row[0]));
  CHECK(found != outcomes->end()) << "reconcile_payment answered with outcome " << row[0].c_str();
  return {found->second, row[1].as<bool>(), OptionalUuid(row[4])};
}

RefundMark ParseMark(absl::string_view text) {
  if (text == "DONE") return RefundMark::kDone;
  if (text == "REPLAYED") return RefundMark::kReplayed;
  if (text == "NOT_FOUND") return RefundMark::kNotFound;
  CHECK_EQ(text, "STATE") << "unknown outcome of mark_refunded";
  return RefundMark::kRebooked;
}

}  // namespace

absl::StatusOr<PaymentPage> PostgresPaymentLedger::ExportPayments(const std::optional<Uuid>& after, absl::Time from,
                                                                  absl::Time to, int limit) {
  const std::string after_text = after.has_value() ? after->ToString() : "";
  const auto rows = Call(*pool_, Repeat::kRead, "export_payments", after.has_value() ? after_text.c_str() : nullptr,
                         absl::ToUnixMicros(from), absl::ToUnixMicros(to), limit);
  if (!rows.ok()) return rows.status();
  return ToPage(*rows);
}

absl::StatusOr<std::vector<PaymentEntry>> PostgresPaymentLedger::LookUpPayments(
    absl::Span<const Uuid> reservation_ids) {
  CHECK_LE(reservation_ids.size(), static_cast<size_t>(kMaxBatch));
  ArrayLiteral ids;
  for (const Uuid& id : reservation_ids) ids.AddPlain(id.ToString());
  const auto rows = Call(*pool_, Repeat::kRead, "payment_entries", std::move(ids).Finish());
  if (!rows.ok()) return rows.status();
  return ToPage(*rows).entries;
}

absl::StatusOr<AppliedPayment> PostgresPaymentLedger::ApplyPayment(const Confirmation& payment,
                                                                   const std::string& actor) {
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "reconcile_payment", payment.reservation_id.ToString(),
                         payment.payment_reference, payment.amount_minor, payment.currency, actor);
  if (!rows.ok()) return rows.status();
  CHECK_EQ(rows->size(), 1U) << "reconcile_payment answers with one row";
  return ToApplied(rows->front());
}

absl::StatusOr<std::vector<RefundMark>> PostgresPaymentLedger::MarkRefunded(
    absl::Span<const std::pair<Uuid, std::string>> payments, const std::string& actor) {
  CHECK_LE(payments.size(), static_cast<size_t>(kMaxBatch));
  ArrayLiteral ids;
  ArrayLiteral references;
  for (const auto& [id, reference] : payments) {
    ids.AddPlain(id.ToString());
    references.AddText(reference);
  }
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "mark_refunded", std::move(ids).Finish(),
                         std::move(references).Finish(), actor);
  if (!rows.ok()) return rows.status();
  std::vector<RefundMark> marks(payments.size(), RefundMark::kNotFound);
  for (const pqxx::row& row : *rows) marks.at(row[0].as<size_t>() - 1) = ParseMark(Text(row[1]));
  return marks;
}

}  // namespace tranche::storage
