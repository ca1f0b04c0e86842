// The quota: who holds how much of a SKU, and how units move between the pool and the holders' slices.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::storage {

// What one holder has of one SKU: the sum over its slots. The pool is the slice of kPool.
struct HeldSlice {
  IncarnationId holder = kPool;
  int64_t allotted = 0;   // units moved in minus units moved out; allotted - remaining = spent
  int64_t remaining = 0;  // >= 0
  int64_t version = 0;    // the SKU's quota version when a move last changed the slice
};

// One SKU's quota, read in one snapshot.
struct QuotaSnapshot {
  std::string sku_id;
  int64_t quota_version = 0;
  bool closed = false;
  // The pool first (always there), then ascending by holder.
  std::vector<HeldSlice> slices;
};

// A SKU and its quota, read in one snapshot.
struct SkuQuota {
  Sku sku;
  QuotaSnapshot quota;
};

// Changes what a holder has left: negative withdraws into the pool (at most what remains), positive deposits out of the
// pool (at most what the pool then has, in the order given).
struct QuotaDelta {
  IncarnationId holder = kPool;
  int64_t units = 0;
};

// A node that has run dry asks the pool.
struct PoolRequest {
  std::string sku_id;
  IncarnationId incarnation = kPool;
  int64_t wanted = 1;  // units that it lacks, >= 1; fewer are of no use
};

// What came of it, as of afterwards.
struct PoolTake {
  Sku sku;
  bool ended = false;  // has the incarnation? Not if the ledger does not know it yet, as a shard of a new node
  int64_t taken = 0;   // units that it got from the pool: none, or at least as many as it wanted
  HeldSlice slice;     // its own; version 0 if it has none
};

// The deltas of one SKU; holders are distinct.
struct QuotaMove {
  std::string sku_id;
  std::vector<QuotaDelta> deltas;
  // If set, the move is only made at this quota version.
  std::optional<int64_t> expected_quota_version;
};

// SKUs per call of ReadQuotas and MoveUnitsBatch: a bound on how long one transaction holds its locks.
inline constexpr int kMaxQuotaBatch = 64;

// How far a SKU's version is raised at once: to this one from anywhere, and beyond it by small steps. So no number of
// absurd requests uses up the versions that later moves need (raise_version.sql has the rule, too).
inline constexpr int64_t kMostRaisedVersion = int64_t{1} << 61;
inline constexpr int64_t kSmallRaise = int64_t{1} << 40;
inline bool MayRaise(int64_t version, int64_t above) {
  return above <= kMostRaisedVersion || above - version <= kSmallRaise;
}

class QuotaLedger {
 public:
  virtual ~QuotaLedger() = default;

  // In all of these, `actor` is written into the audit log with the state before and after. "" for moves that nobody
  // has asked for: they are not audited.

  // Freezes or thaws the SKU's quota. Repeating it changes and audits nothing.
  virtual absl::StatusOr<Sku> SetQuotaFrozen(const std::string& sku_id, bool frozen, const Actor& actor) = 0;
  // Makes the SKU's quota version, and that of all its slices, higher than `above` and than they are. Nothing moves.
  // For when a version was announced that this ledger has not reached: nodes obey the highest one. kInvalidArgument
  // unless MayRaise. Repeating it raises the version once more.
  virtual absl::StatusOr<Sku> RaiseVersion(const std::string& sku_id, int64_t above, const Actor& actor) = 0;

  // Those of the SKUs that exist, ascending by id, all in one snapshot. At most kMaxQuotaBatch distinct ids.
  virtual absl::StatusOr<std::vector<SkuQuota>> ReadQuotas(absl::Span<const std::string> sku_ids) = 0;
  // Applies the moves in one transaction. Each SKU is moved, withdrawals before deposits, or refused by itself:
  // kNotFound, or kAborted when its version is not the expected one. Results are in the order of `moves`, with the SKU
  // as it is after its move. A deposit to an incarnation that is not live stays in the pool. At most kMaxQuotaBatch
  // moves of distinct SKUs.
  virtual absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> MoveUnitsBatch(absl::Span<const QuotaMove> moves,
                                                                               const Actor& actor) = 0;
  // Moves a lot from the pool to the slice: what is wanted, or the pool divided by twice the number of live
  // incarnations if that is more. Nothing if the pool has fewer units than are wanted, if the SKU is closed or frozen,
  // or if the incarnation drains or has ended. A pool with too few units is found so without a lock. kNotFound if there
  // is no such SKU.
  virtual absl::StatusOr<PoolTake> TakeFromPool(const PoolRequest& request) = 0;
  // ReadQuotas and MoveUnitsBatch for one SKU.
  absl::StatusOr<QuotaSnapshot> ReadQuota(const std::string& sku_id);
  absl::StatusOr<QuotaSnapshot> MoveUnits(const std::string& sku_id, absl::Span<const QuotaDelta> deltas,
                                          std::optional<int64_t> expected_quota_version, const Actor& actor);
  // SKUs whose units should be handed out: presplit, neither closed nor frozen, with units in the pool; ascending by
  // id, those after `after`, at most `limit`. Costs in proportion to what it returns, however many SKUs there are.
  virtual absl::StatusOr<std::vector<std::string>> ListPooledSkus(const std::string& after, int limit) = 0;
  // SKUs with units that came back into a pool with few units (ScarceBelow) since they were last acknowledged, so they
  // may be announced as sold out or scarce. Ascending by id, those after `after`, at most `limit`. Costs in proportion
  // to what it returns.
  virtual absl::StatusOr<std::vector<std::string>> ListReturnedSkus(const std::string& after, int limit) = 0;
  // They were announced with these quota versions. One that has another version by now stays listed.
  virtual absl::Status AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) = 0;
  // Every slice of one incarnation, keyed by SKU; for announcing them (again).
  virtual absl::StatusOr<std::vector<std::pair<std::string, HeldSlice>>> ListSlices(IncarnationId incarnation) = 0;
};

}  // namespace tranche::storage
