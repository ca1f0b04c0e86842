// The payment ledger on PostgreSQL.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/ledger/payment_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool.
class PostgresPaymentLedger : public PaymentLedger {
 public:
  explicit PostgresPaymentLedger(ConnectionPool* pool) : pool_(pool) {}

  absl::StatusOr<PaymentPage> ExportPayments(const std::optional<Uuid>& after, absl::Time from, absl::Time to,
                                             int limit) override;
  absl::StatusOr<std::vector<PaymentEntry>> LookUpPayments(absl::Span<const Uuid> reservation_ids) override;
  absl::StatusOr<AppliedPayment> ApplyPayment(const Payment& payment, const Actor& actor) override;
  absl::StatusOr<std::vector<RefundMark>> MarkRefunded(absl::Span<const std::pair<Uuid, std::string>> payments,
                                                       const Actor& actor) override;

 private:
  ConnectionPool* const pool_;
};

}  // namespace tranche::storage
