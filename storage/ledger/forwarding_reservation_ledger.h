// A reservation ledger that forwards every call through one hook of the derived class: `Around`, see
// storage/ledger/ledger_call.h. The derived class overrides the methods that it does differently.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/ledger/ledger_call.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::storage {

template <typename Derived>
class ForwardingReservationLedger : public ReservationLedger {
 public:
  absl::StatusOr<std::vector<CommitResult>> CommitReservations(IncarnationId incarnation, LockMode mode,
                                                               absl::Span<const ReservationClaim> claims) override {
    return Forward(LedgerCall::ChangeReservations("CommitReservations"),
                   [&](ReservationLedger& target) { return target.CommitReservations(incarnation, mode, claims); });
  }
  absl::StatusOr<Reservation> FindReservation(const Uuid& reservation_id) override {
    return Forward(LedgerCall::Read("FindReservation"),
                   [&](ReservationLedger& target) { return target.FindReservation(reservation_id); });
  }
  absl::StatusOr<std::vector<Reservation>> FindReplicated(absl::Span<const Uuid> reservation_ids) override {
    return Forward(LedgerCall::Read("FindReplicated"),
                   [&](ReservationLedger& target) { return target.FindReplicated(reservation_ids); });
  }

 private:
  template <typename Ask>
  auto Forward(const LedgerCall& call, const Ask& ask) {
    return static_cast<Derived*>(this)->Around(call, ask);
  }
};

}  // namespace tranche::storage
