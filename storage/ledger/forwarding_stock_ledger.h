// A stock ledger that forwards every call through one hook of the derived class: `Around`, see
// storage/ledger/ledger_call.h. The derived class overrides the methods that it does differently.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/ledger/ledger_call.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::storage {

template <typename Derived>
class ForwardingStockLedger : public StockLedger {
 public:
  absl::StatusOr<Sku> CreateSku(const Sku& sku, const Actor& actor) override {
    return Forward(LedgerCall::ChangeStock("CreateSku"),
                   [&](SkuLedger& target) { return target.CreateSku(sku, actor); });
  }
  absl::StatusOr<Sku> GetSku(const std::string& sku_id) override {
    return Forward(LedgerCall::ReadSku("GetSku"), [&](SkuLedger& target) { return target.GetSku(sku_id); });
  }
  absl::StatusOr<std::vector<Sku>> ListSkus(const std::string& after, int limit) override {
    return Forward(LedgerCall::Read("ListSkus"), [&](SkuLedger& target) { return target.ListSkus(after, limit); });
  }
  absl::StatusOr<Sku> CloseSku(const std::string& sku_id, const Actor& actor) override {
    return Forward(LedgerCall::ChangeSku("CloseSku"),
                   [&](SkuLedger& target) { return target.CloseSku(sku_id, actor); });
  }
  absl::StatusOr<Sku> ReopenSku(const std::string& sku_id, const Actor& actor) override {
    return Forward(LedgerCall::ChangeSku("ReopenSku"),
                   [&](SkuLedger& target) { return target.ReopenSku(sku_id, actor); });
  }
  absl::StatusOr<Sku> SetSkuPaused(const std::string& sku_id, bool paused, const std::string& reason,
                                   std::optional<int64_t> expected_terms_version, const Actor& actor) override {
    return Forward(LedgerCall::ChangeSku("SetSkuPaused"), [&](SkuLedger& target) {
      return target.SetSkuPaused(sku_id, paused, reason, expected_terms_version, actor);
    });
  }
  absl::StatusOr<Sku> UpdateSku(const Sku& sku, const Actor& actor) override {
    return Forward(LedgerCall::ChangeSku("UpdateSku"), [&](SkuLedger& target) { return target.UpdateSku(sku, actor); });
  }
  absl::StatusOr<Sku> AddStock(const std::string& sku_id, int64_t units, std::optional<int64_t> expected_stock,
                               const Actor& actor) override {
    return Forward(LedgerCall::ChangeSku("AddStock"),
                   [&](SkuLedger& target) { return target.AddStock(sku_id, units, expected_stock, actor); });
  }
  absl::StatusOr<ReducedStock> ReduceStock(const std::string& sku_id, int64_t units,
                                           std::optional<int64_t> expected_stock, const Actor& actor) override {
    return Forward(LedgerCall::ChangeSku("ReduceStock"),
                   [&](SkuLedger& target) { return target.ReduceStock(sku_id, units, expected_stock, actor); });
  }

  absl::StatusOr<Sku> SetQuotaFrozen(const std::string& sku_id, bool frozen, const Actor& actor) override {
    return Forward(LedgerCall::ChangeSku("SetQuotaFrozen"),
                   [&](QuotaLedger& target) { return target.SetQuotaFrozen(sku_id, frozen, actor); });
  }
  absl::StatusOr<Sku> RaiseVersion(const std::string& sku_id, int64_t above, const Actor& actor) override {
    return Forward(LedgerCall::ChangeSku("RaiseVersion"),
                   [&](QuotaLedger& target) { return target.RaiseVersion(sku_id, above, actor); });
  }
  absl::StatusOr<std::vector<SkuQuota>> ReadQuotas(absl::Span<const std::string> sku_ids) override {
    return Forward(LedgerCall::Read("ReadQuotas"), [&](QuotaLedger& target) { return target.ReadQuotas(sku_ids); });
  }
  absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> MoveUnitsBatch(absl::Span<const QuotaMove> moves,
                                                                       const Actor& actor) override {
    return Forward(LedgerCall::ChangeStock("MoveUnitsBatch"),
                   [&](QuotaLedger& target) { return target.MoveUnitsBatch(moves, actor); });
  }
  absl::StatusOr<PoolTake> TakeFromPool(const PoolRequest& request) override {
    return Forward(LedgerCall::ChangeSku("TakeFromPool"),
                   [&](QuotaLedger& target) { return target.TakeFromPool(request); });
  }
  absl::StatusOr<std::vector<std::string>> ListPooledSkus(const std::string& after, int limit) override {
    return Forward(LedgerCall::Read("ListPooledSkus"),
                   [&](QuotaLedger& target) { return target.ListPooledSkus(after, limit); });
  }
  absl::StatusOr<std::vector<std::string>> ListReturnedSkus(const std::string& after, int limit) override {
    return Forward(LedgerCall::Read("ListReturnedSkus"),
                   [&](QuotaLedger& target) { return target.ListReturnedSkus(after, limit); });
  }
  absl::Status AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) override {
    return Forward(LedgerCall::ChangeStock("AckReturnedSkus"),
                   [&](QuotaLedger& target) { return target.AckReturnedSkus(announced); });
  }
  absl::StatusOr<std::vector<std::pair<std::string, HeldSlice>>> ListSlices(IncarnationId incarnation) override {
    return Forward(LedgerCall::Read("ListSlices"), [&](QuotaLedger& target) { return target.ListSlices(incarnation); });
  }

  absl::StatusOr<IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                    bool draining) override {
    return Forward(LedgerCall::ChangeStock("RegisterIncarnation"),
                   [&](IncarnationLedger& target) { return target.RegisterIncarnation(node_name, address, draining); });
  }
  absl::StatusOr<std::vector<Incarnation>> ListLiveIncarnations() override {
    return Forward(LedgerCall::Read("ListLiveIncarnations"),
                   [&](IncarnationLedger& target) { return target.ListLiveIncarnations(); });
  }
  absl::StatusOr<Incarnation> SetDraining(IncarnationId incarnation, bool draining, const Actor& actor,
                                          const DrainTelling& telling = {}) override {
    return Forward(LedgerCall::ChangeStock("SetDraining"), [&](IncarnationLedger& target) {
      return target.SetDraining(incarnation, draining, actor, telling);
    });
  }
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(IncarnationId incarnation) override {
    return Forward(LedgerCall::ChangeStock("ReclaimIncarnation"),
                   [&](IncarnationLedger& target) { return target.ReclaimIncarnation(incarnation); });
  }

  absl::StatusOr<std::vector<AuditEntry>> ListAudit(const AuditFilter& filter, int64_t before, int limit) override {
    return Forward(LedgerCall::Read("ListAudit"),
                   [&](AuditLedger& target) { return target.ListAudit(filter, before, limit); });
  }
  absl::StatusOr<int64_t> BeginAudit(const AuditNote& note) override {
    return Forward(LedgerCall::ChangeStock("BeginAudit"), [&](AuditLedger& target) { return target.BeginAudit(note); });
  }
  absl::StatusOr<bool> EndAudit(int64_t id, const std::string& result) override {
    return Forward(LedgerCall::ChangeStock("EndAudit"),
                   [&](AuditLedger& target) { return target.EndAudit(id, result); });
  }
  absl::StatusOr<VerifyReport> Verify(const std::string& sku_id) override {
    return Forward(LedgerCall::Read("Verify"), [&](AuditLedger& target) { return target.Verify(sku_id); });
  }
  absl::StatusOr<VerifyReport> VerifyPage(const VerifyPosition& after, int max_skus) override {
    return Forward(LedgerCall::Read("VerifyPage"),
                   [&](AuditLedger& target) { return target.VerifyPage(after, max_skus); });
  }

  absl::StatusOr<LedgerMark> Mark(const std::optional<LedgerMark>& earlier) override {
    return Forward(LedgerCall::ChangeStock("Mark"), [&](HistoryLedger& target) { return target.Mark(earlier); });
  }
  absl::StatusOr<IncarnationId> BeginHistory(IncarnationId above, const Actor& actor) override {
    return Forward(LedgerCall::ChangeStock("BeginHistory"),
                   [&](HistoryLedger& target) { return target.BeginHistory(above, actor); });
  }

  absl::Status SetClusterFrozen(bool frozen, const Actor& actor) override {
    return Forward(LedgerCall::ChangeStock("SetClusterFrozen"),
                   [&](SettingsLedger& target) { return target.SetClusterFrozen(frozen, actor); });
  }
  absl::Status SetClaimsPaused(bool paused, const Actor& actor) override {
    return Forward(LedgerCall::ChangeStock("SetClaimsPaused"),
                   [&](SettingsLedger& target) { return target.SetClaimsPaused(paused, actor); });
  }
  absl::StatusOr<ClusterSettings> ReadClusterSettings() override {
    return Forward(LedgerCall::Read("ReadClusterSettings"),
                   [](SettingsLedger& target) { return target.ReadClusterSettings(); });
  }

 private:
  template <typename Ask>
  auto Forward(const LedgerCall& call, const Ask& ask) {
    return static_cast<Derived*>(this)->Around(call, ask);
  }
};

}  // namespace tranche::storage
