// A ledger that counts the calls that pass through it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/ledger/forwarding_stock_ledger.h"
#include "tests/scale/traffic.h"

namespace tranche::testing {

// Outlived by `inner` and `traffic`.
class CountingLedger : public storage::ForwardingStockLedger<CountingLedger> {
 public:
  CountingLedger(storage::StockLedger* inner, Traffic* traffic) : inner_(inner), traffic_(traffic) {}

  // For the base.
  template <typename Ask>
  auto Around(const storage::LedgerCall&, const Ask& ask) {
    const InsideTimer timer(traffic_);
    ++traffic_->ledger_calls;
    auto answer = ask(*inner_);
    if (answer.ok()) traffic_->ledger_rows += RowsIn(answer);
    return answer;
  }

  absl::StatusOr<std::vector<absl::StatusOr<storage::SkuQuota>>> MoveUnitsBatch(
      absl::Span<const storage::QuotaMove> moves, const storage::Actor& actor) override;
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(storage::IncarnationId incarnation) override;

 private:
  // The rows of an answer: a list's entries, a quota's slices, otherwise none.
  template <typename Answer>
  static int64_t RowsIn(const Answer&) {
    return 0;
  }
  template <typename Row>
  static int64_t RowsIn(const absl::StatusOr<std::vector<Row>>& rows) {
    return static_cast<int64_t>(rows->size());
  }
  static int64_t RowsIn(const absl::StatusOr<std::vector<storage::SkuQuota>>& quotas);
  static int64_t RowsIn(const absl::StatusOr<std::vector<absl::StatusOr<storage::SkuQuota>>>& moved);

  storage::StockLedger* const inner_;
  Traffic* const traffic_;
};

}  // namespace tranche::testing
