#include "tests/simulation/life_checker.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tranche::simulation {
namespace {

using storage::ChangeOutcome;
using storage::ChangeResult;
using storage::Refusal;
using storage::Reservation;
using storage::ReservationState;
using storage::Uuid;

bool Same(const Reservation& a, const Reservation& b) {
  const auto fields = [](const Reservation& r) {
    return std::tie(r.reservation_id, r.sku_id, r.user_id, r.quantity, r.state, r.amount_minor, r.currency,
                    r.created_at, r.expires_at, r.finished_at, r.payment_reference, r.cancel_reason, r.extensions,
                    r.revision, r.rebooked_from);
  };
  return fields(a) == fields(b);
}

// The only change between the two; nullopt: there is more than one, or one that must not happen.
std::optional<LifeEvent> EventBetween(const Reservation& was, const Reservation& is) {
  Reservation expected = was;
  ++expected.revision;
  if (Same(expected, is)) return LifeEvent::kRefundRequested;
  if (was.state != ReservationState::kPending) return std::nullopt;
  LifeEvent event = LifeEvent::kExtended;
  expected.state = is.state;
  expected.finished_at = is.finished_at;
  switch (is.state) {
    case ReservationState::kPending:
      ++expected.extensions;
      expected.expires_at = std::max(is.expires_at, was.expires_at + absl::Seconds(1));
      break;
    case ReservationState::kConfirmed:
      event = LifeEvent::kConfirmed;
      expected.payment_reference = is.payment_reference;
      break;
    case ReservationState::kCancelled:
      event = LifeEvent::kCancelled;
      expected.cancel_reason = is.cancel_reason;
      break;
    case ReservationState::kExpired:
      event = LifeEvent::kExpired;
      break;
  }
  const bool ended = is.state != ReservationState::kPending;
  if (ended != is.finished_at.has_value() || !Same(expected, is)) return std::nullopt;
  return event;
}

const char* NameOf(ReservationState state) {
  static constexpr const char* kNames[] = {"PENDING", "CONFIRMED", "CANCELLED", "EXPIRED"};
  return kNames[static_cast<int>(state)];
}

bool PaidBy(const storage::Payment& payment, const Reservation& row) {
  return row.state == ReservationState::kConfirmed && row.payment_reference == payment.payment_reference;
}

const Uuid& IdOf(const Change& change) {
  return std::visit([](const auto& asked) -> const Uuid& { return asked.reservation_id; }, change);
}

}  // namespace

const char* KindOf(LifeEvent event) {
  static constexpr const char* kKinds[kLifeEvents] = {
      "reservation.confirmed", "reservation.cancelled",    "reservation.expired", "reservation.extended",
      "reservation.rebooked",  "payment.refund_requested", "group.seat_taken"};
  return kKinds[static_cast<int>(event)];
}

bool LifeChecker::IsSame(const Reservation& a, const Reservation& b) { return Same(a, b); }

void LifeChecker::Violated(const char* rule, const Uuid& id, const std::string& detail) {
  checker_->Violated(rule, absl::StrCat(id.ToString(), ": ", detail));
}

void LifeChecker::OnCommit(absl::Span<const storage::CommitResult> results) {
  for (const storage::CommitResult& result : results) {
    if (result.outcome != storage::CommitOutcome::kCreated) continue;
    const Reservation& row = result.reservation;
    rows_[row.reservation_id] = row;
    holds_.insert({row.expires_at, row.reservation_id});
    if (row.state != ReservationState::kPending) Violated("states", row.reservation_id, "not PENDING at first");
  }
}

std::optional<LifeEvent> LifeChecker::Follow(ActorId actor, const Uuid& id) {
  const auto book = rows_.find(id);
  const auto found = ledger_->FindReservation(id);
  if (book == rows_.end() && !found.ok() && lost_.contains(id)) return std::nullopt;
  if (book == rows_.end() || !found.ok()) {
    Violated("states", id, "a reservation that is known to one of ledger and books only");
    return std::nullopt;
  }
  const Reservation was = std::exchange(book->second, *found);
  const Reservation& is = book->second;
  if (Same(was, is)) return std::nullopt;
  const std::optional<LifeEvent> event = EventBetween(was, is);
  if (!event.has_value()) {
    Violated("states", id,
             absl::StrCat(NameOf(was.state), ", revision ", was.revision, ", became ", NameOf(is.state), ", revision ",
                          is.revision));
    return std::nullopt;
  }
  if (*event == LifeEvent::kExpired && was.expires_at > scheduler_->Now()) {
    Violated("hold", id, absl::StrCat("expired ", absl::FormatDuration(was.expires_at - scheduler_->Now()), " early"));
  }
  holds_.erase({was.expires_at, id});
  if (is.state == ReservationState::kPending) holds_.insert({is.expires_at, id});
  Note(actor, *event, is);
  return event;
}

void LifeChecker::Note(ActorId actor, LifeEvent event, const Reservation& row) {
  ++counts_[static_cast<size_t>(event)];
  trace_->Add(scheduler_->Now(), actor, KindOf(event), row.quantity, row.revision);
  for (const std::string& sink : sinks_) {
    const auto message = outbox_->GetMessage({row.reservation_id, row.revision, sink});
    if (!message.ok()) {
      Violated("outbox", row.reservation_id, absl::StrCat("no message ", KindOf(event), " for ", sink));
    } else if (message->kind != KindOf(event)) {
      Violated("outbox", row.reservation_id, absl::StrCat(message->kind, " is told of ", KindOf(event)));
    }
  }
}

template <typename Asked>
void LifeChecker::OnChanges(ActorId actor, absl::Span<const Asked> batch, absl::Span<const ChangeResult> results) {
  std::vector<Reservation> lapsed;
  std::vector<Uuid> members;
  for (size_t i = 0; i < batch.size(); ++i) {
    const Uuid& id = batch[i].reservation_id;
    if (groups_->IsMember(id)) {
      members.push_back(id);
      CheckMemberResult(results[i], FollowMember(actor, id, &lapsed));
      CheckMember(actor, batch[i], results[i]);
      continue;
    }
    const std::optional<LifeEvent> event = Follow(actor, id);
    if (event == LifeEvent::kCancelled) lapsed.push_back(rows_.at(id));
    if (IsUnknown(id, results[i])) continue;
    CheckResult(results[i], event);
    CheckOutcome(batch[i], results[i]);
  }
  // The last seat confirms all.
  for (const Uuid& id : members) FollowMembers(actor, groups_->FellowsOf(id), &lapsed);
  groups_->Verify(members);
  checker_->OnReturned(actor, lapsed);
}

template void LifeChecker::OnChanges(ActorId, absl::Span<const storage::Payment>, absl::Span<const ChangeResult>);
template void LifeChecker::OnChanges(ActorId, absl::Span<const storage::Cancellation>, absl::Span<const ChangeResult>);
template void LifeChecker::OnChanges(ActorId, absl::Span<const storage::Extension>, absl::Span<const ChangeResult>);

// All reservations that anybody asks for were made; only a ledger that has lost one does not know it.
bool LifeChecker::IsUnknown(const Uuid& id, const ChangeResult& result) {
  if (result.refusal != Refusal::kReservationNotFound) return false;
  if (rows_.contains(id) || !lost_.contains(id)) Violated("states", id, "the ledger does not know it, and must");
  return true;
}

void LifeChecker::CheckResult(const ChangeResult& result, std::optional<LifeEvent> event) {
  const Uuid& id = result.reservation.reservation_id;
  const auto row = rows_.find(id);
  if (row == rows_.end() || !Same(row->second, result.reservation)) {
    return Violated("replay", id, "the answer is not what the ledger has");
  }
  if ((result.outcome == ChangeOutcome::kDone) == event.has_value()) return;
  Violated("replay", id, event.has_value() ? "a replay changed it again" : "done, and nothing has changed");
}

void LifeChecker::CheckOutcome(const storage::Payment& payment, const ChangeResult& result) {
  const Reservation& row = result.reservation;
  const bool paid = PaidBy(payment, row);
  switch (result.outcome) {
    case ChangeOutcome::kDone:
    case ChangeOutcome::kReplayed:
      if (!paid) Violated("replay", row.reservation_id, "confirmed, but not by this payment");
      return;
    default:
      if (result.refusal != Refusal::kReservationState) return NeverSo("confirmed", result);
      if (!paid && row.state != ReservationState::kPending) return;
      return Violated("replay", row.reservation_id, "this very payment was refused");
  }
}

void LifeChecker::CheckOutcome(const storage::Cancellation&, const ChangeResult& result) {
  const Reservation& row = result.reservation;
  switch (result.outcome) {
    case ChangeOutcome::kDone:
    case ChangeOutcome::kReplayed:
      if (row.state != ReservationState::kCancelled) Violated("replay", row.reservation_id, "not cancelled at all");
      return;
    default:
      if (result.refusal != Refusal::kReservationState) return NeverSo("cancelled", result);
      if (row.state == ReservationState::kConfirmed || row.state == ReservationState::kExpired) return;
      return Violated("replay", row.reservation_id, absl::StrCat("cannot be cancelled as ", NameOf(row.state)));
  }
}

void LifeChecker::CheckOutcome(const storage::Extension& extension, const ChangeResult& result) {
  const Reservation& row = result.reservation;
  const bool over = row.state != ReservationState::kPending || row.expires_at <= scheduler_->Now();
  switch (result.outcome) {
    case ChangeOutcome::kDone:
      if (row.extensions != extension.number) Violated("replay", row.reservation_id, "another extension was made");
      return;
    case ChangeOutcome::kReplayed:
      if (row.extensions < extension.number) Violated("replay", row.reservation_id, "was never extended so");
      return;
    case ChangeOutcome::kRefused:
      return CheckRefusedExtension(result, over);
    default:
      NeverSo("extended", result);
  }
}

void LifeChecker::CheckRefusedExtension(const ChangeResult& result, bool over) {
  switch (result.refusal) {
    case Refusal::kReservationState:
      if (!over) Violated("replay", result.reservation.reservation_id, "a hold that lasts cannot be extended");
      return;
    case Refusal::kTooManyExtensions:
    case Refusal::kHoldTooLong:
    case Refusal::kExtensionOutOfOrder:
      return;
    default:
      NeverSo("extended", result);
  }
}

void LifeChecker::NeverSo(const char* change, const ChangeResult& result) {
  Violated("states", result.reservation.reservation_id,
           absl::StrCat(change, " as ", static_cast<int>(result.outcome), "/", static_cast<int>(result.refusal)));
}

void LifeChecker::OnConfirmedLate(ActorId actor, const storage::Payment& payment, const ChangeResult& result) {
  const Uuid& id = payment.reservation_id;
  if (groups_->IsMember(id)) return OnMemberConfirmedLate(actor, payment, result);
  const std::optional<LifeEvent> event = Follow(actor, id);
  if (IsUnknown(id, result)) return;
  if (result.outcome == ChangeOutcome::kDone || result.outcome == ChangeOutcome::kReplayed) {
    CheckResult(result, event);
    return CheckOutcome(payment, result);
  }
  const Reservation& row = rows_.at(id);
  const bool rebooked = result.outcome == ChangeOutcome::kRebooked;
  const bool refunded =
      result.outcome == ChangeOutcome::kPaidUnfulfilled || result.refusal == Refusal::kReservationState;
  if (rebooked == refunded || (rebooked && !result.rebooked.has_value())) {
    return Violated("late payment", id, absl::StrCat("answered as ", static_cast<int>(result.outcome)));
  }
  // Another payment may have booked something although its own answer was lost.
  const bool by_another = result.outcome == ChangeOutcome::kPaidUnfulfilled && rebooked_.contains(id);
  if (by_another && !result.rebooked.has_value()) {
    return Violated("late payment", id, "not told what another payment has booked");
  }
  if (result.rebooked.has_value() && result.rebooked->rebooked_from != id) {
    return Violated("late payment", id, "told of what was booked for another hold");
  }
  Decision decision{result.outcome, std::nullopt};
  if (rebooked) decision.rebooked_as = result.rebooked->reservation_id;
  const auto [first, decided_now] = late_.try_emplace({id, payment.payment_reference}, decision);
  if (!(first->second == decision)) return Violated("late payment", id, "decided again, and otherwise");
  if (decided_now == result.replayed) return Violated("late payment", id, "a replay that is none, or the reverse");
  if (!decided_now || rebooked) {
    if (event.has_value()) Violated("late payment", id, absl::StrCat(KindOf(*event), " in spite of the decision"));
    if (decided_now) CheckRebooked(actor, payment, *result.rebooked);
    return;
  }
  if (event != LifeEvent::kRefundRequested) return Violated("late payment", id, "neither booked again nor refunded");
  const bool expired = row.state == ReservationState::kExpired;
  if (expired != (result.outcome == ChangeOutcome::kPaidUnfulfilled)) {
    return Violated("late payment", id, absl::StrCat("refunded as ", static_cast<int>(result.outcome)));
  }
  if (expired && !rebooked_.contains(id) && checker_->HasRoomFor(row)) {
    Violated("late payment", id, "refunded although it could be booked again");
  }
}

void LifeChecker::CheckRebooked(ActorId actor, const storage::Payment& payment, const Reservation& told) {
  const Uuid& id = payment.reservation_id;
  const Reservation& old = rows_.at(id);
  if (!rebooked_.insert(id).second) return Violated("late payment", id, "one hold was booked again twice");
  if (!rows_.try_emplace(told.reservation_id, told).second) {
    return Violated("late payment", id, "booked as what somebody has");
  }
  const bool the_same = told.sku_id == old.sku_id && told.user_id == old.user_id && told.quantity == old.quantity &&
                        told.amount_minor == old.amount_minor && told.currency == old.currency;
  if (!the_same || told.rebooked_from != id || !PaidBy(payment, told) || told.revision != 2) {
    return Violated("late payment", id, "what was booked is not what was paid for");
  }
  if (old.state != ReservationState::kExpired) Violated("late payment", id, "booked again for a hold that is not over");
  Note(actor, LifeEvent::kRebooked, told);
  checker_->OnRebooked(actor, told);
}

void LifeChecker::OnExpired(ActorId actor, int limit, const storage::ExpiredHolds& holds) {
  const absl::Time now = scheduler_->Now();
  std::vector<Uuid> due;
  for (const auto& [end, id] : holds_) {
    if (end > now) break;
    due.push_back(id);
    if (now - end > longest_overdue_) {
      Violated("hold", id, absl::StrCat("expired ", absl::FormatDuration(now - end), " late"));
    }
  }
  std::vector<Reservation> lapsed;
  for (const Uuid& id : due) {
    if (groups_->IsMember(id)) {
      if (!FollowMember(actor, id, &lapsed).empty()) groups_->OnLapsed(actor, id);
    } else if (Follow(actor, id) == LifeEvent::kExpired) {
      lapsed.push_back(rows_.at(id));
    }
  }
  const auto expected = std::min<size_t>(due.size(), static_cast<size_t>(limit));
  if (lapsed.size() != expected || holds.expired != static_cast<int64_t>(expected)) {
    checker_->Violated("hold", absl::StrCat(due.size(), " holds were due, ", lapsed.size(), " expired, ", holds.expired,
                                            " were said to"));
  }
  if (holds.more != (expected < due.size())) checker_->Violated("hold", "wrong about whether others are due");
  checker_->OnReturned(actor, lapsed);
}

Reservation LifeChecker::RowNow(const Uuid& id) {
  const auto found = ledger_->FindReservation(id);
  return found.value_or(Reservation{});
}

void LifeChecker::OnAnswer(ActorId actor, const Change& change, const ChangeResult& result) {
  trace_->Add(scheduler_->Now(), actor, "answer: changed", static_cast<int64_t>(change.index()),
              static_cast<int64_t>(result.outcome), result.reservation.revision);
  if (const auto* payment = std::get_if<storage::Payment>(&change)) return CheckPaid(*payment, result);
  if (result.outcome != ChangeOutcome::kDone && result.outcome != ChangeOutcome::kReplayed) return;
  const Reservation row = RowNow(IdOf(change));
  const auto* extension = std::get_if<storage::Extension>(&change);
  const bool kept =
      extension == nullptr ? row.state == ReservationState::kCancelled : row.extensions >= extension->number;
  if (!kept) Violated("acknowledged", IdOf(change), "the buyer was told of a change that is not there");
}

void LifeChecker::CheckPaid(const storage::Payment& payment, const ChangeResult& result) {
  if (result.refusal == Refusal::kReservationNotFound && lost_.contains(payment.reservation_id)) return;
  if (groups_->IsMember(payment.reservation_id)) {
    const bool seated = result.outcome == ChangeOutcome::kDone || result.outcome == ChangeOutcome::kReplayed;
    const bool is_true = seated ? groups_->HadSeat(payment) : groups_->IsRefunded(payment);
    if (!is_true) Violated("acknowledged", payment.reservation_id, "neither a seat nor a refund, as was told");
    return;
  }
  const auto decided = late_.find({payment.reservation_id, payment.payment_reference});
  bool kept = false;
  switch (result.outcome) {
    case ChangeOutcome::kDone:
    case ChangeOutcome::kReplayed:
      kept = PaidBy(payment, RowNow(payment.reservation_id));
      break;
    case ChangeOutcome::kRebooked:
      kept = PaidBy(payment, RowNow(result.rebooked->reservation_id));
      break;
    default:
      kept = decided != late_.end() && decided->second.outcome == result.outcome;
  }
  if (!kept) Violated("acknowledged", payment.reservation_id, "the ledger does not say of the payment what was told");
}

LifeChecker::Past LifeChecker::Save() const { return {rows_, holds_, late_, rebooked_}; }

void LifeChecker::GoBack(const Past& past) {
  for (const auto& [id, row] : rows_) {
    if (!past.rows.contains(id)) lost_.insert(id);
  }
  rows_ = past.rows;
  holds_ = past.holds;
  late_ = past.late;
  rebooked_ = past.rebooked;
}

void LifeChecker::VerifyAll() {
  int64_t changes = 0;
  for (const auto& [id, row] : rows_) {
    if (!Same(RowNow(id), row)) Violated("states", id, "has changed by itself");
    changes += row.revision - 1;
  }
  const auto depths = outbox_->Depths();
  for (const storage::OutboxDepth& depth : *depths) {
    if (depth.pending == changes && depth.dead == 0) continue;
    checker_->Violated("outbox",
                       absl::StrCat(depth.pending, " messages for ", depth.sink, " about ", changes, " changes"));
  }
}

}  // namespace tranche::simulation
