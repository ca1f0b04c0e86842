// The ledger as one process sees it: every call waits, on its way there and on its way back, and may fail, be late, be
// lost or be the last thing that the process does. What happens in between is the fake ledger's, in one moment, and the
// checker looks at it in that moment.
//
// A late call is in time, or what the real client makes of it: a statement that takes too long in the ledger is
// cancelled there, and nothing happened; of an answer that does not come in time, with the connection given up, nobody
// knows.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/ledger/stock_ledger.h"
#include "storage/ledger/upkeep_ledger.h"
#include "tests/simulation/process.h"

namespace tranche::simulation {

class SimLedger : public storage::ReservationLedger,
                  public storage::StockLedger,
                  public storage::LifecycleLedger,
                  public storage::UpkeepLedger {
 public:
  explicit SimLedger(Process* process) : process_(process) {}

  absl::StatusOr<std::vector<storage::CommitResult>> CommitReservations(
      storage::IncarnationId incarnation, storage::LockMode mode,
      absl::Span<const storage::ReservationClaim> claims) override;
  absl::StatusOr<storage::CommitResult> FindReservation(const storage::Uuid& reservation_id) override;

  absl::StatusOr<storage::Sku> CreateSku(const storage::Sku& sku, const std::string& actor) override;
  absl::StatusOr<storage::Sku> GetSku(const std::string& sku_id) override;
  absl::StatusOr<std::vector<storage::Sku>> ListSkus(const std::string& after, int limit) override;
  absl::StatusOr<storage::Sku> CloseSku(const std::string& sku_id, const std::string& actor) override;
  absl::StatusOr<storage::Sku> AddStock(const std::string& sku_id, int64_t units, std::optional<int64_t> expected_stock,
                                        const std::string& actor) override;
  absl::StatusOr<storage::ReducedStock> ReduceStock(const std::string& sku_id, int64_t units,
                                                    std::optional<int64_t> expected_stock,
                                                    const std::string& actor) override;
  absl::StatusOr<storage::Sku> SetQuotaFrozen(const std::string& sku_id, bool frozen,
                                              const std::string& actor) override;
  absl::StatusOr<std::vector<storage::SkuQuota>> ReadQuotas(absl::Span<const std::string> sku_ids) override;
  absl::StatusOr<std::vector<absl::StatusOr<storage::SkuQuota>>> MoveUnitsBatch(
      absl::Span<const storage::QuotaMove> moves, const std::string& actor) override;
  absl::StatusOr<std::vector<std::string>> ListPooledSkus(const std::string& after, int limit) override;
  absl::StatusOr<std::vector<std::string>> ListReturnedSkus(const std::string& after, int limit) override;
  absl::Status AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) override;
  absl::StatusOr<std::vector<std::pair<std::string, storage::Slice>>> ListSlices(
      storage::IncarnationId incarnation) override;
  absl::StatusOr<storage::IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                             bool draining) override;
  absl::StatusOr<std::vector<storage::Incarnation>> ListLiveIncarnations() override;
  absl::StatusOr<storage::Incarnation> SetDraining(storage::IncarnationId incarnation, bool draining,
                                                   const std::string& actor) override;
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(storage::IncarnationId incarnation) override;
  absl::StatusOr<std::vector<storage::AuditEntry>> ListAudit(const std::string& sku_id, int64_t before,
                                                             int limit) override;
  absl::StatusOr<storage::VerifyReport> Verify(const std::string& sku_id) override;

  absl::StatusOr<std::vector<storage::ChangeResult>> ConfirmReservations(
      absl::Span<const storage::Confirmation> batch) override;
  absl::StatusOr<std::vector<storage::ChangeResult>> CancelReservations(
      absl::Span<const storage::Cancellation> batch) override;
  absl::StatusOr<std::vector<storage::ChangeResult>> ExtendReservations(
      absl::Span<const storage::Extension> batch) override;
  absl::StatusOr<storage::ChangeResult> ConfirmLate(const storage::Confirmation& payment) override;
  absl::StatusOr<storage::CartResult> CommitCart(storage::IncarnationId incarnation,
                                                 absl::Span<const storage::ReservationClaim> lines) override;
  absl::StatusOr<std::vector<storage::Reservation>> ReadReservations(
      absl::Span<const storage::Uuid> reservation_ids) override;
  absl::StatusOr<storage::ReservationPage> ListReservations(const storage::ReservationFilter& filter,
                                                            const storage::ReservationCursor& after,
                                                            int limit) override;

  absl::StatusOr<storage::ExpiredHolds> ExpireDue(int limit) override;
  absl::StatusOr<int64_t> RetireReservations(absl::Duration age, int limit, storage::Retired retired) override;

 private:
  enum class Kind { kRead, kChange, kCommit };
  enum class Fate { kAnswered, kFails, kAnswerLost, kCallLost, kDeadlock, kHeldUp, kAnswerLate };

  Fate ChooseFate(Kind kind);
  absl::Duration ChooseLateness();
  // The wait before the call; an error when it does not come to the call.
  absl::Status Begin(Fate fate);
  // The wait in the ledger of a call that has come there; an error when nothing comes of it.
  absl::Status BeHeldUp(Kind kind);
  // The wait after the call; an error when its answer does not come.
  absl::Status End(Kind kind, Fate fate);
  static absl::Status Lost(Kind kind, const char* why);

  template <typename Perform>
  auto Call(Kind kind, Perform perform) -> decltype(perform()) {
    const Fate fate = ChooseFate(kind);
    if (absl::Status begun = Begin(fate); !begun.ok()) return begun;
    if (fate == Fate::kHeldUp) {
      if (absl::Status held_up = BeHeldUp(kind); !held_up.ok()) return held_up;
    }
    auto result = perform();
    if (absl::Status ended = End(kind, fate); !ended.ok()) return ended;
    return result;
  }
  template <typename Asked, typename Perform>
  absl::StatusOr<std::vector<storage::ChangeResult>> ChangeAll(absl::Span<const Asked> batch, Perform perform);
  void OnCommitted(storage::IncarnationId incarnation, absl::Span<const storage::ReservationClaim> claims,
                   absl::Span<const storage::CommitResult> results);

  Process* const process_;
};

}  // namespace tranche::simulation
