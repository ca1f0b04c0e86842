// The payments of all shards as one, for reconciliation. Blocks.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "server/shards/shard_set.h"
#include "storage/payment_ledger.h"

namespace tranche::server {

// Thread-safe. Outlived by the shards.
class RoutingPaymentLedger : public storage::PaymentLedger {
 public:
  explicit RoutingPaymentLedger(ShardSet* shards) : shards_(shards) {}

  // Every shard must answer: books with a part missing are not to be compared.
  absl::StatusOr<storage::PaymentPage> ExportPayments(const std::optional<storage::Uuid>& after, absl::Time from,
                                                      absl::Time to, int limit) override;
  absl::StatusOr<std::vector<storage::PaymentEntry>> LookUpPayments(
      absl::Span<const storage::Uuid> reservation_ids) override;

  // Shard after shard, until one has the reservation.
  absl::StatusOr<storage::AppliedPayment> ApplyPayment(const storage::Confirmation& payment,
                                                       const std::string& actor) override;
  absl::StatusOr<std::vector<storage::RefundMark>> MarkRefunded(
      absl::Span<const std::pair<storage::Uuid, std::string>> payments, const std::string& actor) override;

 private:
  ShardSet* const shards_;
};

}  // namespace tranche::server
