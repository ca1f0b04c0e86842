// FakeLedger's part for late payments: as confirm_late.sql and confirm_retired.sql.
#include <algorithm>
#include <utility>

#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"
#include "storage/mutation.h"

namespace tranche::storage {

bool FakeLedger::Same(const Payment& payment, const Reservation& reservation) {
  return payment.amount_minor == reservation.amount_minor && payment.currency == reservation.currency;
}

void FakeLedger::RequestRefund(Reservation& row, const std::string& payment_reference, const TraceTag& trace) {
  late_payments_[{row.reservation_id, payment_reference}] = {.rebooked_as = std::nullopt, .received_at = DatabaseNow()};
  ++row.revision;
  // The reference of the payment to refund, not of the one that paid for the reservation.
  Reservation told = row;
  told.payment_reference = payment_reference;
  Tell("payment.refund_requested", told, trace);
}

absl::StatusOr<ChangeResult> FakeLedger::ConfirmLate(const Payment& payment) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const auto key = std::make_pair(payment.reservation_id, payment.payment_reference);
  ChangeResult result = ConfirmAll(absl::MakeConstSpan(&payment, 1)).front();
  if (result.refusal == Refusal::kReservationNotFound) return ConfirmRetired(payment);
  if (result.refusal == Refusal::kGroupOver) return RefuseSeat(payment);
  if (result.refusal != Refusal::kReservationState) return result;
  const auto decided = late_payments_.find(key);
  if (decided != late_payments_.end() && !Mutated(Mutation::kLateBookedTwice)) {
    return ReplayLate(result.reservation, decided->second);
  }
  const bool expired = result.reservation.state == ReservationState::kExpired;
  const std::optional<Uuid> rebooked_as = RebookedAs(payment.reservation_id);
  if (expired && !rebooked_as.has_value()) {
    result.rebooked = Rebook(payment);
    if (result.rebooked.has_value()) {
      late_payments_[key] = {.rebooked_as = result.rebooked->reservation_id, .received_at = DatabaseNow()};
      result.outcome = ChangeOutcome::kRebooked;
      result.refusal = Refusal::kNone;
      return result;
    }
  }
  Reservation& row = FindStored(payment.reservation_id)->reservation;
  RequestRefund(row, payment.payment_reference, payment.trace);
  if (IsUnfulfilled(row)) {
    return ChangeResult{.outcome = ChangeOutcome::kPaidUnfulfilled, .reservation = row, .rebooked = Known(rebooked_as)};
  }
  return RefusedChange(Refusal::kReservationState, row);
}

// Like ConfirmLate and ConfirmRetired.
ChangeResult FakeLedger::PreviewLate(const Payment& payment, ChangeResult decided) {
  if (decided.refusal == Refusal::kGroupOver) return PreviewRefusedSeat(std::move(decided.reservation));
  if (decided.refusal == Refusal::kReservationNotFound) {
    const auto found = archive_.find(payment.reservation_id);
    if (found == archive_.end()) return decided;
    const Reservation& retired = found->second.reservation;
    if (!Same(payment, retired)) return RefusedChange(Refusal::kPaymentMismatch, retired);
    if (retired.payment_reference == payment.payment_reference) {
      return {.outcome = ChangeOutcome::kReplayed, .reservation = retired};
    }
    decided.reservation = retired;
  } else if (decided.refusal != Refusal::kReservationState) {
    return decided;
  }
  const Reservation& row = decided.reservation;
  const auto known = late_payments_.find({payment.reservation_id, payment.payment_reference});
  if (known != late_payments_.end()) return ReplayLate(row, known->second);
  const bool kept = FindStored(payment.reservation_id) != nullptr;
  if (row.state == ReservationState::kExpired && kept && !RebookedAs(payment.reservation_id).has_value() &&
      MayRebook(row)) {
    ChangeResult rebooked{.outcome = ChangeOutcome::kRebooked, .reservation = row, .rebooked = row};
    Reservation& fresh = *rebooked.rebooked;
    fresh.reservation_id = {};
    fresh.rebooked_from = row.reservation_id;
    fresh.state = ReservationState::kConfirmed;
    fresh.payment_reference = payment.payment_reference;
    fresh.created_at = DatabaseNow();
    fresh.finished_at = fresh.created_at;
    fresh.expires_at = fresh.created_at + skus_.at(row.sku_id).sku.hold;
    fresh.extensions = 0;
    fresh.revision = 2;
    return rebooked;
  }
  ChangeResult refund = IsUnfulfilled(row) ? ChangeResult{.outcome = ChangeOutcome::kPaidUnfulfilled,
                                                          .reservation = row,
                                                          .rebooked = Known(RebookedAs(row.reservation_id))}
                                           : RefusedChange(Refusal::kReservationState, row);
  ++refund.reservation.revision;
  return refund;
}

// Like confirm_retired: nothing is booked any more, but the payment is recorded.
ChangeResult FakeLedger::ConfirmRetired(const Payment& payment) {
  const auto found = archive_.find(payment.reservation_id);
  if (found == archive_.end()) return RefusedChange(Refusal::kReservationNotFound);
  Reservation& row = found->second.reservation;
  if (row.amount_minor != payment.amount_minor || row.currency != payment.currency) {
    return RefusedChange(Refusal::kPaymentMismatch, row);
  }
  if (row.payment_reference == payment.payment_reference) {
    return {.outcome = ChangeOutcome::kReplayed, .reservation = row};
  }
  const auto decided = late_payments_.find({payment.reservation_id, payment.payment_reference});
  if (decided != late_payments_.end()) return ReplayLate(row, decided->second);
  RequestRefund(row, payment.payment_reference, payment.trace);
  if (IsUnfulfilled(row)) return {.outcome = ChangeOutcome::kPaidUnfulfilled, .reservation = row};
  return RefusedChange(Refusal::kReservationState, row);
}

ChangeResult FakeLedger::ReplayLate(const Reservation& asked, const LateDecision& decided) const {
  ChangeResult result{.outcome = ChangeOutcome::kPaidUnfulfilled, .reservation = asked};
  if (decided.rebooked_as.has_value()) {
    result.outcome = ChangeOutcome::kRebooked;
    result.rebooked = Known(decided.rebooked_as);
  } else if (!IsUnfulfilled(asked)) {
    result = RefusedChange(Refusal::kReservationState, asked);
  } else {
    result.rebooked = Known(RebookedAs(asked.reservation_id));
  }
  result.replayed = true;
  return result;
}

std::optional<Reservation> FakeLedger::Known(const std::optional<Uuid>& id) const {
  if (!id.has_value()) return std::nullopt;
  const auto known = reservations_.find(*id);
  return known == reservations_.end() ? std::nullopt : std::make_optional(known->second.reservation);
}

// By another payment: each hold is rebooked only once.
std::optional<Uuid> FakeLedger::RebookedAs(const Uuid& reservation_id) const {
  if (Mutated(Mutation::kLateBookedTwice)) return std::nullopt;
  for (auto it = late_payments_.lower_bound({reservation_id, ""});
       it != late_payments_.end() && it->first.first == reservation_id; ++it) {
    if (it->second.rebooked_as.has_value()) return it->second.rebooked_as;
  }
  return std::nullopt;
}

bool FakeLedger::ConfirmedOnesRetired(const std::string& sku_id) const {
  return std::any_of(retired_.begin(), retired_.end(),
                     [&](const auto& entry) { return entry.first.first == sku_id && entry.second.live_units > 0; });
}

bool FakeLedger::MayRebook(const Reservation& old) const {
  // Its seat may be another's by now, and nobody buys alone at a group's price.
  if (old.group_id.has_value()) return false;
  const SkuState& state = skus_.at(old.sku_id);
  const int64_t live_units = Mutated(Mutation::kLateForgetsLimit) ? 0 : LiveUnits(old.sku_id, old.user_id);
  if (state.sku.closed || state.sku.paused || live_units + old.quantity > state.sku.per_user_limit) return false;
  // While a draw goes on, units are for those whose turn it is.
  if (drawn_.contains(old.sku_id)) return false;
  // Those that retention has removed may have been this buyer's.
  if (ConfirmedOnesRetired(old.sku_id)) return false;
  return Read(state).unsold >= old.quantity;
}

std::optional<Reservation> FakeLedger::Rebook(const Payment& payment) {
  const Reservation old = FindStored(payment.reservation_id)->reservation;
  if (!MayRebook(old)) return {};
  SkuState& state = skus_.at(old.sku_id);
  TakeUnits(state, Mutated(Mutation::kLateTakesNoUnits) ? 0 : old.quantity);
  ListIfPooled(state);
  returned_.insert(old.sku_id);  // to be announced again: a slice may have become smaller
  // Unlike any id that a caller chooses.
  Uuid id;
  id.bytes[0] = 0xfa;
  id.bytes[6] = 0x40;
  const uint64_t number = ++rebookings_;
  for (size_t i = 0; i < 8; ++i) id.bytes[15 - i] = static_cast<uint8_t>(number >> (8 * i));
  StoredReservation& fresh = AddRow(kPool, {id, old.sku_id, old.user_id, old.quantity, old.order_reference});
  Reservation& row = fresh.reservation;
  row.amount_minor = old.amount_minor;
  row.currency = old.currency;
  row.rebooked_from = old.reservation_id;
  row.payment_reference = payment.payment_reference;
  Finish(fresh, ReservationState::kConfirmed);
  Tell("reservation.rebooked", row, payment.trace);
  return row;
}

}  // namespace tranche::storage
