// The payments of all shards as one, for reconciliation. Blocks.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/ledger/payment_ledger.h"
#include "storage/shards/shard_set.h"

namespace tranche::storage {

// Thread-safe. Outlived by the shards.
class RoutingPaymentLedger : public PaymentLedger {
 public:
  explicit RoutingPaymentLedger(ShardSet* shards) : shards_(shards) {}

  // Every shard must answer: books with a missing part must not be compared.
  absl::StatusOr<PaymentPage> ExportPayments(const std::optional<Uuid>& after, absl::Time from, absl::Time to,
                                             int limit) override;
  absl::StatusOr<std::vector<PaymentEntry>> LookUpPayments(absl::Span<const Uuid> reservation_ids) override;

  // Asks shard after shard, until one has the reservation.
  absl::StatusOr<AppliedPayment> ApplyPayment(const Payment& payment, const Actor& actor) override;
  absl::StatusOr<std::vector<RefundMark>> MarkRefunded(absl::Span<const std::pair<Uuid, std::string>> payments,
                                                       const Actor& actor) override;

 private:
  ShardSet* const shards_;
};

}  // namespace tranche::storage
