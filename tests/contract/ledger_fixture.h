// Shared by the suites of the ledger's contract.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "tests/contract/ledger_backend.h"
#include "tests/support/claims.h"

namespace tranche::storage {

// What became of a claim, to compare with an outcome or with a refusal.
class Answer {
 public:
  Answer(const CommitResult& result) : outcome_(result.outcome), refusal_(result.refusal) {}  // NOLINT: implicit

  friend bool operator==(const Answer&, const Answer&) = default;
  friend bool operator==(const Answer& answer, CommitOutcome outcome) { return answer.outcome_ == outcome; }
  friend bool operator==(const Answer& answer, Refusal refusal) { return answer.refusal_ == refusal; }
  friend void PrintTo(const Answer& answer, std::ostream* out) {
    *out << "outcome " << static_cast<int>(answer.outcome_) << ", refusal " << static_cast<int>(answer.refusal_);
  }

 private:
  CommitOutcome outcome_;
  Refusal refusal_;
};

// Every test ends with a check of the ledger's own rules.
class LedgerContractTest : public ::testing::TestWithParam<LedgerKind> {
 protected:
  void TearDown() override { ExpectConserved(); }

  ReservationLedger& reservations() { return backend_->reservations(); }
  StockLedger& stock() { return backend_->stock(); }
  LifecycleLedger& lifecycle() { return backend_->lifecycle(); }
  UpkeepLedger& upkeep() { return backend_->upkeep(); }
  OutboxLedger& outbox() { return backend_->outbox(); }
  HealthLedger& health() { return backend_->health(); }
  FrontLedger& front() { return backend_->front(); }
  DrawLedger& draws() { return backend_->draws(); }
  GroupLedger& groups() { return backend_->groups(); }
  void LetPass(absl::Duration duration) { backend_->LetPass(duration); }
  void CountFrontChanges(int64_t changes) { backend_->CountFrontChanges(changes); }
  int64_t StoredFrontRows() { return backend_->StoredFrontRows(); }
  void FillAccessList() { backend_->FillAccessList(); }

  void ExpectConserved() {
    const auto report = stock().Verify("");
    ASSERT_TRUE(report.ok()) << report.status();
    for (const LedgerViolation& violation : report->violations) {
      ADD_FAILURE() << violation.rule << " of " << violation.sku_id << ": " << violation.detail;
    }
  }

  static Sku SkuOf(const std::string& sku_id, int64_t units, int32_t per_user_limit = 1, int32_t slots = 1) {
    Sku sku;
    sku.sku_id = sku_id;
    sku.title = "A thing";
    sku.price_minor = 1999;
    sku.currency = "EUR";
    sku.stock = units;
    sku.per_user_limit = per_user_limit;
    sku.slots_per_slice = slots;
    return sku;
  }

  void Create(const Sku& sku) {
    const auto created = stock().CreateSku(sku, "test");
    ASSERT_TRUE(created.ok()) << created.status();
  }

  IncarnationId Register(const std::string& name = "node") {
    const auto id = stock().RegisterIncarnation(name, "127.0.0.1:1");
    EXPECT_TRUE(id.ok()) << id.status();
    return id.value_or(kPool);
  }

  QuotaSnapshot Move(const std::string& sku_id, std::vector<QuotaDelta> deltas) {
    const auto quota = stock().MoveUnits(sku_id, deltas, std::nullopt, "test");
    EXPECT_TRUE(quota.ok()) << quota.status();
    return quota.value_or(QuotaSnapshot{});
  }

  // A new incarnation that holds `units` of the SKU.
  IncarnationId HolderOf(const std::string& sku_id, int64_t units) {
    const IncarnationId id = Register();
    Move(sku_id, {{id, units}});
    return id;
  }

  std::vector<CommitResult> Commit(IncarnationId incarnation, const std::vector<ReservationClaim>& claims,
                                   LockMode mode = LockMode::kWait) {
    const auto results = reservations().CommitReservations(incarnation, mode, claims);
    EXPECT_TRUE(results.ok()) << results.status();
    if (!results.ok() || results->size() != claims.size()) {
      ADD_FAILURE() << "not one result per claim";
      return std::vector<CommitResult>(claims.size());
    }
    return *results;
  }

  std::vector<Answer> Outcomes(IncarnationId incarnation, const std::vector<ReservationClaim>& claims,
                               LockMode mode = LockMode::kWait) {
    const std::vector<CommitResult> results = Commit(incarnation, claims, mode);
    return {results.begin(), results.end()};
  }

  Answer Outcome(IncarnationId incarnation, const ReservationClaim& claim, LockMode mode = LockMode::kWait) {
    return Outcomes(incarnation, {claim}, mode).front();
  }

  // Remaining units by holder, the pool as 0.
  std::map<IncarnationId, int64_t> Remaining(const std::string& sku_id) {
    const auto quota = stock().ReadQuota(sku_id);
    EXPECT_TRUE(quota.ok()) << quota.status();
    std::map<IncarnationId, int64_t> remaining;
    if (!quota.ok()) return remaining;
    for (const HeldSlice& slice : quota->slices) remaining[slice.holder] = slice.remaining;
    return remaining;
  }

 private:
  std::unique_ptr<LedgerBackend> backend_ = GetParam().make();
};

inline std::string LedgerName(const ::testing::TestParamInfo<LedgerKind>& info) { return info.param.name; }

inline auto BothLedgers() {
  return ::testing::Values(LedgerKind{"Fake", &LedgerBackend::Fake}, LedgerKind{"Postgres", &LedgerBackend::Postgres});
}

}  // namespace tranche::storage
