// A lifecycle ledger that forwards every call through one hook of the derived class: `Around`, see
// storage/ledger/ledger_call.h. The derived class overrides the methods that it does differently.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/ledger/ledger_call.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::storage {

template <typename Derived>
class ForwardingLifecycleLedger : public LifecycleLedger {
 public:
  using LifecycleLedger::CancelReservations;
  using LifecycleLedger::CommitCart;
  using LifecycleLedger::ConfirmReservations;
  using LifecycleLedger::ExtendReservations;
  absl::StatusOr<std::vector<ChangeResult>> ConfirmReservations(LockMode mode,
                                                                absl::Span<const Payment> batch) override {
    return Forward(LedgerCall::ChangeReservations("ConfirmReservations"),
                   [&](LifecycleLedger& target) { return target.ConfirmReservations(mode, batch); });
  }
  absl::StatusOr<std::vector<ChangeResult>> CancelReservations(LockMode mode,
                                                               absl::Span<const Cancellation> batch) override {
    return Forward(LedgerCall::ChangeReservations("CancelReservations"),
                   [&](LifecycleLedger& target) { return target.CancelReservations(mode, batch); });
  }
  absl::StatusOr<std::vector<ChangeResult>> ExtendReservations(LockMode mode,
                                                               absl::Span<const Extension> batch) override {
    return Forward(LedgerCall::ChangeReservations("ExtendReservations"),
                   [&](LifecycleLedger& target) { return target.ExtendReservations(mode, batch); });
  }
  absl::StatusOr<ChangeResult> ConfirmLate(const Payment& payment) override {
    return Forward(LedgerCall::ChangeReservations("ConfirmLate"),
                   [&](LifecycleLedger& target) { return target.ConfirmLate(payment); });
  }
  absl::StatusOr<ChangeResult> PreviewChange(const Change& change) override {
    return Forward(LedgerCall::Read("PreviewChange"),
                   [&](LifecycleLedger& target) { return target.PreviewChange(change); });
  }
  absl::StatusOr<CartResult> CommitCart(IncarnationId incarnation, LockMode mode,
                                        absl::Span<const ReservationClaim> lines) override {
    return Forward(LedgerCall::ChangeReservations("CommitCart"),
                   [&](LifecycleLedger& target) { return target.CommitCart(incarnation, mode, lines); });
  }
  absl::StatusOr<std::vector<RefuseResult>> RefuseClaims(absl::Span<const ClaimRefusal> batch) override {
    return Forward(LedgerCall::ChangeReservations("RefuseClaims"),
                   [&](LifecycleLedger& target) { return target.RefuseClaims(batch); });
  }
  absl::StatusOr<std::vector<Reservation>> ReadReservations(absl::Span<const Uuid> reservation_ids) override {
    return Forward(LedgerCall::Read("ReadReservations"),
                   [&](LifecycleLedger& target) { return target.ReadReservations(reservation_ids); });
  }
  absl::StatusOr<ReservationPage> ListReservations(const ReservationFilter& filter, const ReservationCursor& after,
                                                   int limit) override {
    return Forward(LedgerCall::Read("ListReservations"),
                   [&](LifecycleLedger& target) { return target.ListReservations(filter, after, limit); });
  }

 private:
  template <typename Ask>
  auto Forward(const LedgerCall& call, const Ask& ask) {
    return static_cast<Derived*>(this)->Around(call, ask);
  }
};

}  // namespace tranche::storage
