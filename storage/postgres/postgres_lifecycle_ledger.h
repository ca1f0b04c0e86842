// The life of reservations on PostgreSQL: calls the procedures of storage/sql.
#pragma once

#include <vector>

#include "storage/ledger/lifecycle_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool. Batches are tried once, like those of claims: their sender repeats them.
class PostgresLifecycleLedger : public LifecycleLedger {
 public:
  explicit PostgresLifecycleLedger(ConnectionPool* pool) : pool_(pool) {}

  using LifecycleLedger::CancelReservations;
  using LifecycleLedger::CommitCart;
  using LifecycleLedger::ConfirmReservations;
  using LifecycleLedger::ExtendReservations;
  absl::StatusOr<std::vector<ChangeResult>> ConfirmReservations(LockMode mode,
                                                                absl::Span<const Payment> batch) override;
  absl::StatusOr<std::vector<ChangeResult>> CancelReservations(LockMode mode,
                                                               absl::Span<const Cancellation> batch) override;
  absl::StatusOr<std::vector<ChangeResult>> ExtendReservations(LockMode mode,
                                                               absl::Span<const Extension> batch) override;
  absl::StatusOr<ChangeResult> ConfirmLate(const Payment& payment) override;
  absl::StatusOr<ChangeResult> PreviewChange(const Change& change) override;
  absl::StatusOr<CartResult> CommitCart(IncarnationId incarnation, LockMode mode,
                                        absl::Span<const ReservationClaim> lines) override;
  absl::StatusOr<std::vector<RefuseResult>> RefuseClaims(absl::Span<const ClaimRefusal> batch) override;
  absl::StatusOr<std::vector<Reservation>> ReadReservations(absl::Span<const Uuid> reservation_ids) override;
  absl::StatusOr<ReservationPage> ListReservations(const ReservationFilter& filter, const ReservationCursor& after,
                                                   int limit) override;

 private:
  absl::StatusOr<ChangeResult> Preview(const Payment& payment);
  absl::StatusOr<ChangeResult> Preview(const Cancellation& cancellation);
  absl::StatusOr<ChangeResult> Preview(const Extension& extension);

  ConnectionPool* const pool_;
};

}  // namespace tranche::storage
