// The fake ledger as one process uses it, observed by the checkers: they are told of every change at the moment when it
// happens, and who made it. SimLedger adds the waits and the faults.
#pragma once

#include <string>
#include <vector>

#include "storage/ledger/forwarding_group_ledger.h"
#include "storage/ledger/forwarding_lifecycle_ledger.h"
#include "storage/ledger/forwarding_reservation_ledger.h"
#include "storage/ledger/forwarding_stock_ledger.h"
#include "storage/ledger/forwarding_upkeep_ledger.h"
#include "tests/simulation/process.h"
#include "tests/simulation/world.h"

namespace tranche::simulation {

class WatchedLedger : public storage::ForwardingReservationLedger<WatchedLedger>,
                      public storage::ForwardingStockLedger<WatchedLedger>,
                      public storage::ForwardingLifecycleLedger<WatchedLedger>,
                      public storage::ForwardingUpkeepLedger<WatchedLedger>,
                      public storage::ForwardingGroupLedger<WatchedLedger> {
 public:
  explicit WatchedLedger(Process* process) : process_(process) {}

  // For the bases: calls that no checker needs to see.
  template <typename Ask>
  auto Around(const storage::LedgerCall&, const Ask& ask) {
    return ask(ledger());
  }

  absl::StatusOr<std::vector<storage::CommitResult>> CommitReservations(
      storage::IncarnationId incarnation, storage::LockMode mode,
      absl::Span<const storage::ReservationClaim> claims) override;

  absl::StatusOr<storage::Sku> CreateSku(const storage::Sku& sku, const storage::Actor& actor) override;
  absl::StatusOr<storage::Sku> CloseSku(const std::string& sku_id, const storage::Actor& actor) override;
  absl::StatusOr<storage::Sku> ReopenSku(const std::string& sku_id, const storage::Actor& actor) override;
  absl::StatusOr<storage::Sku> SetSkuPaused(const std::string& sku_id, bool paused, const std::string& reason,
                                            std::optional<int64_t> expected_terms_version,
                                            const storage::Actor& actor) override;
  absl::StatusOr<storage::Sku> UpdateSku(const storage::Sku& sku, const storage::Actor& actor) override;
  absl::StatusOr<storage::Sku> AddStock(const std::string& sku_id, int64_t units, std::optional<int64_t> expected_stock,
                                        const storage::Actor& actor) override;
  absl::StatusOr<storage::ReducedStock> ReduceStock(const std::string& sku_id, int64_t units,
                                                    std::optional<int64_t> expected_stock,
                                                    const storage::Actor& actor) override;
  absl::StatusOr<storage::Sku> SetQuotaFrozen(const std::string& sku_id, bool frozen,
                                              const storage::Actor& actor) override;
  absl::StatusOr<storage::Sku> RaiseVersion(const std::string& sku_id, int64_t above,
                                            const storage::Actor& actor) override;
  absl::StatusOr<std::vector<absl::StatusOr<storage::SkuQuota>>> MoveUnitsBatch(
      absl::Span<const storage::QuotaMove> moves, const storage::Actor& actor) override;
  absl::StatusOr<storage::PoolTake> TakeFromPool(const storage::PoolRequest& request) override;
  absl::StatusOr<storage::IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                             bool draining) override;
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(storage::IncarnationId incarnation) override;
  absl::StatusOr<storage::IncarnationId> BeginHistory(storage::IncarnationId above,
                                                      const storage::Actor& actor) override;

  absl::StatusOr<std::vector<storage::ChangeResult>> ConfirmReservations(
      storage::LockMode mode, absl::Span<const storage::Payment> batch) override;
  absl::StatusOr<std::vector<storage::ChangeResult>> CancelReservations(
      storage::LockMode mode, absl::Span<const storage::Cancellation> batch) override;
  absl::StatusOr<std::vector<storage::ChangeResult>> ExtendReservations(
      storage::LockMode mode, absl::Span<const storage::Extension> batch) override;
  absl::StatusOr<storage::ChangeResult> ConfirmLate(const storage::Payment& payment) override;
  absl::StatusOr<storage::CartResult> CommitCart(storage::IncarnationId incarnation, storage::LockMode mode,
                                                 absl::Span<const storage::ReservationClaim> lines) override;
  absl::StatusOr<std::vector<storage::RefuseResult>> RefuseClaims(
      absl::Span<const storage::ClaimRefusal> batch) override;

  absl::StatusOr<storage::ExpiredHolds> ExpireDue(int limit) override;

  absl::StatusOr<storage::GroupOffer> CreateGroupOffer(const storage::GroupOffer& offer, bool preview,
                                                       const storage::Actor& actor) override;
  absl::StatusOr<storage::GroupOffer> CloseGroupOffer(const std::string& sku_id, const std::string& offer_id,
                                                      bool preview, const storage::Actor& actor) override;
  absl::StatusOr<storage::Group> CancelGroup(const storage::Uuid& group_id, const std::string& sku_id,
                                             const std::string& reason, bool preview,
                                             const storage::Actor& actor) override;
  absl::StatusOr<storage::ExpiredGroups> ExpireGroups(int limit) override;

 private:
  storage::FakeLedger& ledger() { return process_->world().ledger; }
  void OnCommitted(storage::IncarnationId incarnation, absl::Span<const storage::ReservationClaim> claims,
                   absl::Span<const storage::CommitResult> results);
  template <typename Asked>
  absl::StatusOr<std::vector<storage::ChangeResult>> Watched(
      absl::Span<const Asked> batch, absl::StatusOr<std::vector<storage::ChangeResult>> results);

  Process* const process_;
};

}  // namespace tranche::simulation
