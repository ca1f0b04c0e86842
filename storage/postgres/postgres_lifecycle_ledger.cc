#include "storage/postgres/postgres_lifecycle_ledger.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/trace_text.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/commit_row.h"
#include "storage/postgres/member_changes.h"
#include "storage/postgres/reservation_row.h"

namespace tranche::storage {
namespace {

struct ChangeWord {
  absl::string_view word;
  ChangeOutcome outcome;
};
// Every other word that a change is answered with is a refusal's.
constexpr ChangeWord kChangeWords[] = {
    {"DONE", ChangeOutcome::kDone},         {"REPLAYED", ChangeOutcome::kReplayed},
    {"REBOOKED", ChangeOutcome::kRebooked}, {"PAID_UNFULFILLED", ChangeOutcome::kPaidUnfulfilled},
    {"BUSY", ChangeOutcome::kBusy},
};

ChangeResult ChangeOf(absl::string_view word) {
  for (const ChangeWord& known : kChangeWords) {
    if (known.word == word) return {.outcome = known.outcome};
  }
  return RefusedChange(RefusalOfProcedure(word));
}

// Rows of change_answer.
std::vector<ChangeResult> ToResults(const pqxx::result& rows, size_t batch_size) {
  RequireOfAnswer(rows.size() == batch_size, "every change of a batch is answered");
  const ColumnIndex idx = ColumnOf(rows, "idx"), outcome = ColumnOf(rows, "outcome"), bound = ColumnOf(rows, "bound");
  const Columns<Reservation> reservation = ReservationColumns(rows);
  std::vector<ChangeResult> results(batch_size);
  for (const pqxx::row& row : rows) {
    const size_t index = row[idx].as<size_t>() - 1;
    RequireOfAnswer(index < batch_size, "an answer is about one of the changes");
    ChangeResult& result = results[index];
    result = ChangeOf(TextOf(row[outcome]));
    result.bound = row[bound].as<int64_t>(0);
    reservation.Read(row, &result.reservation);
  }
  return results;
}

absl::StatusOr<std::vector<ChangeResult>> ReadResults(const absl::StatusOr<pqxx::result>& rows, size_t batch_size) {
  if (!rows.ok()) return rows.status();
  return ReadAnswer(Repeat::kNever, [&] { return ToResults(*rows, batch_size); });
}

// Rows of late_answer: for the reservation in question, and for its successor if there is one.
ChangeResult ToLateResult(const pqxx::result& rows) {
  RequireOfAnswer(rows.size() == 1 || rows.size() == 2, "confirm_late answers about a reservation and its successor");
  const Columns<Reservation> reservation = ReservationColumns(rows);
  const pqxx::row asked = rows.front();
  ChangeResult result = ChangeOf(TextOf(asked[ColumnOf(rows, "outcome")]));
  result.replayed = asked[ColumnOf(rows, "replayed")].as<bool>(false);
  reservation.Read(asked, &result.reservation);
  if (rows.size() == 2) result.rebooked = reservation.Read(rows.back());
  return result;
}

// Of the calls that the changes are from, in their order. Empty, which costs nothing, if none has one.
template <typename Change>
std::string TracesOf(absl::Span<const Change> batch) {
  const auto has_one = [](const Change& change) { return change.trace != nullptr; };
  if (std::none_of(batch.begin(), batch.end(), has_one)) return "";
  ArrayLiteral traces;
  for (const Change& change : batch) {
    const std::string text = TraceText(change.trace);
    if (text.empty()) {
      traces.AddPlain("NULL");
    } else {
      traces.AddText(text);
    }
  }
  return std::move(traces).Finish();
}

// Calls a procedure of changes of reservations, whose last parameters are p_wait and p_traces.
template <typename... Args>
absl::StatusOr<pqxx::result> CallChange(ConnectionPool& pool, LockMode mode, const std::string& traces,
                                        const char* procedure, const Args&... args) {
  if (mode != LockMode::kWaitBriefly) {
    return CallOnce(pool, procedure, args..., mode == LockMode::kWait, OrNull(traces));
  }
  constexpr int kPWait = sizeof...(args) + 1;
  return CallOnceWaiting(pool, kPWait, procedure, args..., BriefLockTimeout(), OrNull(traces));
}

// Calls confirm_reservations, or pay_group_seats for members of groups.
absl::StatusOr<std::vector<ChangeResult>> SendPayments(ConnectionPool& pool, LockMode mode, const char* procedure,
                                                       absl::Span<const Payment> batch) {
  ArrayLiteral ids, references, amounts, currencies;
  for (const Payment& payment : batch) {
    ids.AddPlain(payment.reservation_id.ToString());
    references.AddText(payment.payment_reference);
    amounts.AddInt(payment.amount_minor);
    currencies.AddText(payment.currency);
  }
  return ReadResults(
      CallChange(pool, mode, TracesOf(batch), procedure, std::move(ids).Finish(), std::move(references).Finish(),
                 std::move(amounts).Finish(), std::move(currencies).Finish()),
      batch.size());
}

// Calls cancel_reservations, or leave_groups for members of groups.
absl::StatusOr<std::vector<ChangeResult>> SendCancellations(ConnectionPool& pool, LockMode mode, const char* procedure,
                                                            absl::Span<const Cancellation> batch) {
  ArrayLiteral ids, reasons;
  for (const Cancellation& cancellation : batch) {
    ids.AddPlain(cancellation.reservation_id.ToString());
    reasons.AddText(cancellation.reason);
  }
  return ReadResults(
      CallChange(pool, mode, TracesOf(batch), procedure, std::move(ids).Finish(), std::move(reasons).Finish()),
      batch.size());
}

// Calls a procedure of changes of reservations for one change, and takes it back.
template <typename... Args>
absl::StatusOr<ChangeResult> TryOneChange(ConnectionPool& pool, const char* procedure, const Args&... args) {
  ASSIGN_OR_RETURN(
      const auto rows,
      // With p_wait and p_traces, as changes are sent: a connection prepares each procedure once.
      RepeatCall(Repeat::kRead, [&] { return CallAndTakeBack(pool, procedure, args..., true, OrNull("")); }));
  return ReadAnswer(Repeat::kRead, [&] { return ToResults(rows, 1).front(); });
}

std::string OneId(const Uuid& id) { return ToLiteral(absl::MakeConstSpan(&id, 1)); }

std::string OneInt(int64_t value) {
  ArrayLiteral literal;
  literal.AddInt(value);
  return std::move(literal).Finish();
}

std::string OneText(const std::string& text) {
  ArrayLiteral literal;
  literal.AddText(text);
  return std::move(literal).Finish();
}

// Rows of list_answer. A row without a reservation id says where to continue.
ReservationPage ToReservationPage(const pqxx::result& rows) {
  const Columns<Reservation> reservation = ReservationColumns(rows);
  const ColumnIndex id = ColumnOf(rows, "reservation_id"), lapsed = ColumnOf(rows, "lapsed"),
                    ordinal = ColumnOf(rows, "ordinal");
  ReservationPage page;
  for (const pqxx::row& row : rows) {
    Reservation read = reservation.Read(row);
    if (row[id].is_null()) {
      page.next = ReservationCursor{.sku_id = std::move(read.sku_id),
                                    .lapsed = row[lapsed].as<bool>(),
                                    .user_id = std::move(read.user_id),
                                    .ordinal = row[ordinal].as<int32_t>(0),
                                    .reservation_id = read.rebooked_from.value_or(Uuid{})};
    } else {
      page.reservations.push_back(std::move(read));
    }
  }
  return page;
}

CartResult ToCartResult(const pqxx::result& rows, absl::Span<const ReservationClaim> lines) {
  CartResult cart;
  cart.lines = ToCommitResults(rows, lines);
  cart.committed = true;
  const ColumnIndex committed = ColumnOf(rows, "committed");
  for (const pqxx::row& row : rows) cart.committed = cart.committed && row[committed].as<bool>();
  return cart;
}

}  // namespace

absl::StatusOr<std::vector<ChangeResult>> PostgresLifecycleLedger::ConfirmReservations(
    LockMode mode, absl::Span<const Payment> batch) {
  CHECK_LE(batch.size(), static_cast<size_t>(kMaxBatch));
  return WithMembers(
      batch, SendPayments(*pool_, mode, "confirm_reservations", batch),
      [&](absl::Span<const Payment> members) { return SendPayments(*pool_, mode, "pay_group_seats", members); });
}

absl::StatusOr<std::vector<ChangeResult>> PostgresLifecycleLedger::CancelReservations(
    LockMode mode, absl::Span<const Cancellation> batch) {
  CHECK_LE(batch.size(), static_cast<size_t>(kMaxBatch));
  return WithMembers(
      batch, SendCancellations(*pool_, mode, "cancel_reservations", batch),
      [&](absl::Span<const Cancellation> members) { return SendCancellations(*pool_, mode, "leave_groups", members); });
}

absl::StatusOr<std::vector<ChangeResult>> PostgresLifecycleLedger::ExtendReservations(
    LockMode mode, absl::Span<const Extension> batch) {
  CHECK_LE(batch.size(), static_cast<size_t>(kMaxBatch));
  ArrayLiteral ids, numbers, seconds;
  for (const Extension& extension : batch) {
    ids.AddPlain(extension.reservation_id.ToString());
    numbers.AddInt(extension.number);
    seconds.AddInt(absl::ToInt64Seconds(extension.by));
  }
  return ReadResults(CallChange(*pool_, mode, TracesOf(batch), "extend_reservations", std::move(ids).Finish(),
                                std::move(numbers).Finish(), std::move(seconds).Finish()),
                     batch.size());
}

absl::StatusOr<ChangeResult> PostgresLifecycleLedger::ConfirmLate(const Payment& payment) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "confirm_late",
                                         payment.reservation_id.ToString(), payment.payment_reference,
                                         payment.amount_minor, payment.currency, OrNull(TraceText(payment.trace))));
  return ReadAnswer(Repeat::kIfAnswerLost, [&] { return ToLateResult(rows); });
}

absl::StatusOr<ChangeResult> PostgresLifecycleLedger::PreviewChange(const Change& change) {
  return std::visit([this](const auto& one) { return Preview(one); }, change);
}

// In several transactions, as the change itself: confirm_late locks the SKU before the reservation.
absl::StatusOr<ChangeResult> PostgresLifecycleLedger::Preview(const Payment& payment) {
  const auto confirm = [&](const char* procedure) {
    return TryOneChange(*pool_, procedure, OneId(payment.reservation_id), OneText(payment.payment_reference),
                        OneInt(payment.amount_minor), OneText(payment.currency));
  };
  ASSIGN_OR_RETURN(ChangeResult result, confirm("confirm_reservations"));
  if (result.refusal == Refusal::kInGroup) {
    ASSIGN_OR_RETURN(result, confirm("pay_group_seats"));
  }
  const bool late = result.refusal == Refusal::kReservationState || result.refusal == Refusal::kReservationNotFound ||
                    result.refusal == Refusal::kGroupOver;
  if (!late) return result;
  ASSIGN_OR_RETURN(const auto rows, RepeatCall(Repeat::kRead, [&] {
                     return CallAndTakeBack(*pool_, "confirm_late", payment.reservation_id.ToString(),
                                            payment.payment_reference, payment.amount_minor, payment.currency,
                                            OrNull(""));
                   }));
  ASSIGN_OR_RETURN(result, ReadAnswer(Repeat::kRead, [&] { return ToLateResult(rows); }));
  // The id was taken back with the rest.
  const bool fresh = result.outcome == ChangeOutcome::kRebooked && !result.replayed;
  if (fresh && result.rebooked.has_value()) result.rebooked->reservation_id = {};
  return result;
}

absl::StatusOr<ChangeResult> PostgresLifecycleLedger::Preview(const Cancellation& cancellation) {
  const std::string id = OneId(cancellation.reservation_id), reason = OneText(cancellation.reason);
  ASSIGN_OR_RETURN(ChangeResult result, TryOneChange(*pool_, "cancel_reservations", id, reason));
  if (result.refusal != Refusal::kInGroup) return result;
  return TryOneChange(*pool_, "leave_groups", id, reason);
}

absl::StatusOr<ChangeResult> PostgresLifecycleLedger::Preview(const Extension& extension) {
  return TryOneChange(*pool_, "extend_reservations", OneId(extension.reservation_id), OneInt(extension.number),
                      OneInt(absl::ToInt64Seconds(extension.by)));
}

absl::StatusOr<CartResult> PostgresLifecycleLedger::CommitCart(IncarnationId incarnation, LockMode mode,
                                                               absl::Span<const ReservationClaim> lines) {
  CHECK_LE(lines.size(), static_cast<size_t>(kMaxCartLines));
  // Without waiting, a repeat may only say that the first try, whose answer was lost, still has its locks. The caller
  // must learn of the loss, and asks again.
  const Repeat repeat = mode == LockMode::kWait ? Repeat::kIfAnswerLost : Repeat::kNever;
  const auto rows = std::apply(
      [&](const auto&... literals) {
        return Call(*pool_, repeat, "commit_cart", incarnation, literals..., mode == LockMode::kWait);
      },
      ToLiterals(lines));
  if (!rows.ok()) return rows.status();
  return ReadAnswer(repeat, [&] { return ToCartResult(*rows, lines); });
}

absl::StatusOr<std::vector<Reservation>> PostgresLifecycleLedger::ReadReservations(
    absl::Span<const Uuid> reservation_ids) {
  CHECK_LE(reservation_ids.size(), static_cast<size_t>(kMaxBatch));
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "find_reservations", ToLiteral(reservation_ids)));
  return ReadAnswer(Repeat::kRead, [&] { return ToReservations(rows); });
}

absl::StatusOr<ReservationPage> PostgresLifecycleLedger::ListReservations(const ReservationFilter& filter,
                                                                          const ReservationCursor& after, int limit) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_reservations", filter.sku_id, filter.user_id,
                                         ToLiteral(filter.states), after.sku_id, after.lapsed, after.user_id,
                                         after.ordinal, after.reservation_id.ToString(), limit));
  return ReadAnswer(Repeat::kRead, [&] { return ToReservationPage(rows); });
}

}  // namespace tranche::storage
