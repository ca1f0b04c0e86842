// SimLedger's side of what becomes of reservations.
#include "tests/simulation/sim_ledger.h"

namespace tranche::simulation {

using storage::ChangeResult;

template <typename Asked, typename Perform>
absl::StatusOr<std::vector<ChangeResult>> SimLedger::ChangeAll(absl::Span<const Asked> batch, Perform perform) {
  return Call(Kind::kCommit, [&]() -> absl::StatusOr<std::vector<ChangeResult>> {
    auto results = perform(process_->world().ledger);
    if (results.ok()) process_->world().life.OnChanges<Asked>(process_->actor(), batch, *results);
    return results;
  });
}

absl::StatusOr<std::vector<ChangeResult>> SimLedger::ConfirmReservations(
    absl::Span<const storage::Confirmation> batch) {
  return ChangeAll(batch, [batch](storage::FakeLedger& ledger) { return ledger.ConfirmReservations(batch); });
}

absl::StatusOr<std::vector<ChangeResult>> SimLedger::CancelReservations(absl::Span<const storage::Cancellation> batch) {
  return ChangeAll(batch, [batch](storage::FakeLedger& ledger) { return ledger.CancelReservations(batch); });
}

absl::StatusOr<std::vector<ChangeResult>> SimLedger::ExtendReservations(absl::Span<const storage::Extension> batch) {
  return ChangeAll(batch, [batch](storage::FakeLedger& ledger) { return ledger.ExtendReservations(batch); });
}

absl::StatusOr<ChangeResult> SimLedger::ConfirmLate(const storage::Confirmation& payment) {
  return Call(Kind::kCommit, [&]() -> absl::StatusOr<ChangeResult> {
    auto result = process_->world().ledger.ConfirmLate(payment);
    if (result.ok()) process_->world().life.OnConfirmedLate(process_->actor(), payment, *result);
    return result;
  });
}

absl::StatusOr<storage::CartResult> SimLedger::CommitCart(storage::IncarnationId incarnation,
                                                          absl::Span<const storage::ReservationClaim> lines) {
  return Call(Kind::kCommit, [&]() -> absl::StatusOr<storage::CartResult> {
    auto cart = process_->world().ledger.CommitCart(incarnation, lines);
    if (cart.ok() && cart->committed) OnCommitted(incarnation, lines, cart->lines);
    return cart;
  });
}

absl::StatusOr<std::vector<storage::Reservation>> SimLedger::ReadReservations(
    absl::Span<const storage::Uuid> reservation_ids) {
  return Call(Kind::kRead, [&] { return process_->world().ledger.ReadReservations(reservation_ids); });
}

absl::StatusOr<storage::ReservationPage> SimLedger::ListReservations(const storage::ReservationFilter& filter,
                                                                     const storage::ReservationCursor& after,
                                                                     int limit) {
  return Call(Kind::kRead, [&] { return process_->world().ledger.ListReservations(filter, after, limit); });
}

absl::StatusOr<storage::ExpiredHolds> SimLedger::ExpireDue(int limit) {
  return Call(Kind::kCommit, [&]() -> absl::StatusOr<storage::ExpiredHolds> {
    auto holds = process_->world().ledger.ExpireDue(limit);
    if (holds.ok()) process_->world().life.OnExpired(process_->actor(), limit, *holds);
    return holds;
  });
}

absl::StatusOr<int64_t> SimLedger::RetireReservations(absl::Duration age, int limit, storage::Retired retired) {
  return Call(Kind::kCommit, [&] { return process_->world().ledger.RetireReservations(age, limit, retired); });
}

}  // namespace tranche::simulation
