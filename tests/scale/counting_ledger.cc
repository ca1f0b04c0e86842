#include "tests/scale/counting_ledger.h"

namespace tranche::testing {
namespace {

using storage::AuditEntry;
using storage::Incarnation;
using storage::IncarnationId;
using storage::QuotaMove;
using storage::ReducedStock;
using storage::Sku;
using storage::SkuQuota;
using storage::VerifyReport;

// Counts the call and its time.
class Call : public InsideTimer {
 public:
  explicit Call(Traffic* traffic) : InsideTimer(traffic) { ++traffic->ledger_calls; }
};

template <typename Rows>
absl::StatusOr<Rows> CountRows(absl::StatusOr<Rows> answer, Traffic* traffic) {
  if (answer.ok()) traffic->ledger_rows += static_cast<int64_t>(answer->size());
  return answer;
}

int64_t RowsOf(const SkuQuota& quota) { return static_cast<int64_t>(quota.quota.slices.size()); }

}  // namespace

absl::StatusOr<Sku> CountingLedger::CreateSku(const Sku& sku, const std::string& actor) {
  const Call call(traffic_);
  return inner_->CreateSku(sku, actor);
}

absl::StatusOr<Sku> CountingLedger::GetSku(const std::string& sku_id) {
  const Call call(traffic_);
  return inner_->GetSku(sku_id);
}

absl::StatusOr<std::vector<Sku>> CountingLedger::ListSkus(const std::string& after, int limit) {
  const Call call(traffic_);
  return CountRows(inner_->ListSkus(after, limit), traffic_);
}

absl::StatusOr<Sku> CountingLedger::CloseSku(const std::string& sku_id, const std::string& actor) {
  const Call call(traffic_);
  return inner_->CloseSku(sku_id, actor);
}

absl::StatusOr<Sku> CountingLedger::AddStock(const std::string& sku_id, int64_t units,
                                             std::optional<int64_t> expected_stock, const std::string& actor) {
  const Call call(traffic_);
  return inner_->AddStock(sku_id, units, expected_stock, actor);
}

absl::StatusOr<ReducedStock> CountingLedger::ReduceStock(const std::string& sku_id, int64_t units,
                                                         std::optional<int64_t> expected_stock,
                                                         const std::string& actor) {
  const Call call(traffic_);
  return inner_->ReduceStock(sku_id, units, expected_stock, actor);
}

absl::StatusOr<Sku> CountingLedger::SetQuotaFrozen(const std::string& sku_id, bool frozen, const std::string& actor) {
  const Call call(traffic_);
  return inner_->SetQuotaFrozen(sku_id, frozen, actor);
}

absl::StatusOr<std::vector<SkuQuota>> CountingLedger::ReadQuotas(absl::Span<const std::string> sku_ids) {
  const Call call(traffic_);
  auto quotas = inner_->ReadQuotas(sku_ids);
  if (quotas.ok()) {
    for (const SkuQuota& quota : *quotas) traffic_->ledger_rows += RowsOf(quota);
  }
  return quotas;
}

absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> CountingLedger::MoveUnitsBatch(absl::Span<const QuotaMove> moves,
                                                                                     const std::string& actor) {
  const Call call(traffic_);
  auto moved = inner_->MoveUnitsBatch(moves, actor);
  if (!moved.ok()) return moved;
  for (size_t i = 0; i < moves.size(); ++i) {
    if (!(*moved)[i].ok()) continue;
    ++traffic_->moves;
    traffic_->slots_changed += static_cast<int64_t>(moves[i].deltas.size());
    traffic_->ledger_rows += RowsOf(*(*moved)[i]);
  }
  return moved;
}

absl::StatusOr<std::vector<std::string>> CountingLedger::ListPooledSkus(const std::string& after, int limit) {
  const Call call(traffic_);
  return CountRows(inner_->ListPooledSkus(after, limit), traffic_);
}

absl::StatusOr<std::vector<std::string>> CountingLedger::ListReturnedSkus(const std::string& after, int limit) {
  const Call call(traffic_);
  return CountRows(inner_->ListReturnedSkus(after, limit), traffic_);
}

absl::Status CountingLedger::AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) {
  const Call call(traffic_);
  return inner_->AckReturnedSkus(announced);
}

absl::StatusOr<std::vector<std::pair<std::string, storage::Slice>>> CountingLedger::ListSlices(
    IncarnationId incarnation) {
  const Call call(traffic_);
  return CountRows(inner_->ListSlices(incarnation), traffic_);
}

absl::StatusOr<IncarnationId> CountingLedger::RegisterIncarnation(const std::string& node_name,
                                                                  const std::string& address, bool draining) {
  const Call call(traffic_);
  return inner_->RegisterIncarnation(node_name, address, draining);
}

absl::StatusOr<std::vector<Incarnation>> CountingLedger::ListLiveIncarnations() {
  const Call call(traffic_);
  return CountRows(inner_->ListLiveIncarnations(), traffic_);
}

absl::StatusOr<Incarnation> CountingLedger::SetDraining(IncarnationId incarnation, bool draining,
                                                        const std::string& actor) {
  const Call call(traffic_);
  return inner_->SetDraining(incarnation, draining, actor);
}

absl::StatusOr<std::vector<std::string>> CountingLedger::ReclaimIncarnation(IncarnationId incarnation) {
  const Call call(traffic_);
  auto skus = CountRows(inner_->ReclaimIncarnation(incarnation), traffic_);
  if (skus.ok()) traffic_->slots_changed += static_cast<int64_t>(skus->size());
  return skus;
}

absl::StatusOr<std::vector<AuditEntry>> CountingLedger::ListAudit(const std::string& sku_id, int64_t before,
                                                                  int limit) {
  const Call call(traffic_);
  return CountRows(inner_->ListAudit(sku_id, before, limit), traffic_);
}

absl::StatusOr<VerifyReport> CountingLedger::Verify(const std::string& sku_id) {
  const Call call(traffic_);
  return inner_->Verify(sku_id);
}

}  // namespace tranche::testing
