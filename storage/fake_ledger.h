// The ledger in memory, with the same rules as the procedures under sql/: for unit tests and the simulation.
// tests/contract runs one suite on both.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "storage/clock.h"
#include "storage/ledger.h"

namespace tranche::storage {

// Thread-safe: one mutex around every call.
class FakeLedger : public ReservationLedger, public StockLedger {
 public:
  // `clock` is the database's: it opens and closes sales and dates reservations. Not owned.
  explicit FakeLedger(Clock* clock) : clock_(clock) {}

  absl::StatusOr<std::vector<CommitResult>> CommitReservations(IncarnationId incarnation, LockMode mode,
                                                               absl::Span<const ReservationClaim> claims) override;
  absl::StatusOr<CommitResult> FindReservation(const Uuid& reservation_id) override;
  absl::StatusOr<std::vector<Uuid>> FindExisting(absl::Span<const Uuid> reservation_ids) override;

  absl::StatusOr<Sku> CreateSku(const Sku& sku, const std::string& actor) override;
  absl::StatusOr<Sku> GetSku(const std::string& sku_id) override;
  absl::StatusOr<std::vector<Sku>> ListSkus(const std::string& after, int limit) override;
  absl::StatusOr<Sku> CloseSku(const std::string& sku_id, const std::string& actor) override;
  absl::StatusOr<Sku> AddStock(const std::string& sku_id, int64_t units, const std::string& actor) override;
  absl::StatusOr<ReducedStock> ReduceStock(const std::string& sku_id, int64_t units, const std::string& actor) override;
  absl::StatusOr<QuotaSnapshot> ReadQuota(const std::string& sku_id) override;
  absl::StatusOr<QuotaSnapshot> MoveUnits(const std::string& sku_id, absl::Span<const QuotaDelta> deltas,
                                          std::optional<int64_t> expected_quota_version,
                                          const std::string& actor) override;
  absl::StatusOr<std::vector<std::string>> ListPooledSkus(const std::string& after, int limit) override;
  absl::StatusOr<std::vector<std::pair<std::string, Slice>>> ListSlices(IncarnationId incarnation) override;
  absl::StatusOr<IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address) override;
  absl::StatusOr<std::vector<Incarnation>> ListLiveIncarnations() override;
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(IncarnationId incarnation) override;
  absl::StatusOr<VerifyReport> Verify(const std::string& sku_id) override;

  // Faults. They meet calls in the order of arrival.

  // The next `calls` calls of any method are kUnavailable and do nothing.
  void FailNext(int calls);
  // The next CommitReservations is an unknown commit, performed or not.
  void LoseNextCommit(bool performed);
  // Calls wait at their start until ReleaseCalls.
  void BlockCalls();
  void ReleaseCalls();
  // Waits until `calls` calls are waiting.
  void AwaitBlocked(int calls);
  // Calls of CommitReservations so far, failed ones included.
  int commit_calls() const;

 private:
  struct Slot {
    IncarnationId holder = kPool;
    int64_t allotted = 0;
    int64_t remaining = 0;
    int64_t version = 1;

    void Move(int64_t units, int64_t at_version) {
      allotted += units;
      remaining += units;
      version = at_version;
    }
  };
  struct SkuState {
    Sku sku;                    // without what is read from the slots
    std::map<int, Slot> slots;  // by slot number; 0 is the pool
    int64_t pending = 0;        // reservations that wait for their payment
  };
  struct StoredReservation {
    Reservation reservation;
    IncarnationId incarnation = kPool;
  };
  struct StoredIncarnation {
    Incarnation incarnation;
    bool reclaimed = false;
  };
  // The slots that one commit has locked, by SKU.
  using LockedSlots = std::map<std::string, std::vector<Slot*>>;

  // Waits while calls are blocked, then says whether the call is to fail.
  absl::Status Enter() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // commit_reservations, by its steps.
  absl::StatusOr<std::vector<CommitResult>> Commit(IncarnationId incarnation, LockMode mode,
                                                   absl::Span<const ReservationClaim> claims)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  LockedSlots LockSlots(IncarnationId incarnation, LockMode mode, absl::Span<const ReservationClaim> claims)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Fits(const ReservationClaim& claim, const LockedSlots& locked) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  CommitResult Insert(IncarnationId incarnation, const ReservationClaim& claim, const std::vector<Slot*>& slots)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  CommitResult Classify(const ReservationClaim& claim, IncarnationId incarnation, LockMode mode,
                        const LockedSlots& locked) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t LiveUnits(const std::string& sku_id, const std::string& user_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  bool IsLive(IncarnationId incarnation) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<SkuState*> Find(const std::string& sku_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static Sku Read(const SkuState& state);
  static QuotaSnapshot Quota(const SkuState& state);
  static void Withdraw(SkuState& state, const QuotaDelta& delta);
  static void Deposit(SkuState& state, const QuotaDelta& delta);
  void VerifySku(const SkuState& state, VerifyReport& report) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock* const clock_;
  mutable absl::Mutex mutex_;
  std::map<std::string, SkuState> skus_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Uuid, StoredReservation> reservations_ ABSL_GUARDED_BY(mutex_);
  // Units of live reservations by (SKU, buyer).
  absl::flat_hash_map<std::pair<std::string, std::string>, int64_t> live_units_ ABSL_GUARDED_BY(mutex_);
  std::map<IncarnationId, StoredIncarnation> incarnations_ ABSL_GUARDED_BY(mutex_);

  int fail_next_ ABSL_GUARDED_BY(mutex_) = 0;
  enum class LostCommit { kNone, kPerformed, kNotPerformed };
  LostCommit lose_next_commit_ ABSL_GUARDED_BY(mutex_) = LostCommit::kNone;
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  int commit_calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::storage
