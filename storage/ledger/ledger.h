// The ledger: the only authority on stock, quota and reservations.
//
// Several interfaces, by who needs them: `ReservationLedger` is what a front node's commit pipeline calls,
// `StockLedger` is what the balancer and the admin calls use; `LifecycleLedger` (storage/ledger/lifecycle_ledger.h)
// ends and lists reservations, `OutboxLedger` (storage/ledger/outbox_ledger.h) hands out the messages about them,
// `UpkeepLedger` (storage/ledger/upkeep_ledger.h) expires and retires them. `postgres/` holds the real implementation,
// `fake_ledger.h` the one in memory; tests/contract runs one suite on both.
//
// Threads: every method may be called from any thread, blocks for at most the implementation's statement timeout, and
// has either happened completely or not at all when it returns. The one exception is a status of kUnknownCommit
// (see IsUnknownCommit): the change may or may not have been made; every call but AddStock and ReduceStock is safe to
// repeat.
//
// Errors are absl::Status with a reason (storage/ledger/ledger_error.h):
//   kUnavailable         the database does not answer; nothing happened
//   kNotFound            no such SKU, reservation or incarnation
//   kAlreadyExists       the SKU exists
//   kInvalidArgument     the ledger's own checks refused a value
//   kAborted             the SKU's quota version is not the expected one
//   kFailedPrecondition  anything else that the present state forbids
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/uuid.h"

namespace tranche::storage {

// One run of one front node. Positive; from a sequence of the ledger, never reused.
using IncarnationId = int64_t;
// As a holder: the pool, held by nobody.
inline constexpr IncarnationId kPool = 0;

// The shard that knows the others (storage/ledger/shard_ledger.h); without others, the only one.
inline constexpr char kHomeShard[] = "home";

enum class ReservationState { kPending, kConfirmed, kCancelled, kExpired };

struct Reservation {
  Uuid reservation_id;
  std::string sku_id;
  std::string user_id;
  int32_t quantity = 0;
  ReservationState state = ReservationState::kPending;
  int64_t amount_minor = 0;
  std::string currency;
  absl::Time created_at;
  absl::Time expires_at;
  std::optional<absl::Time> finished_at = {};  // when it left kPending
  std::string payment_reference = {};          // of a confirmed one
  std::string cancel_reason = {};              // of a cancelled one
  int32_t extensions = 0;
  int32_t revision = 1;                    // grows with every change
  std::optional<Uuid> rebooked_from = {};  // the lapsed reservation whose late payment paid for this one
};

// What a buyer asks for. Values are within the limits that server/handlers checks; the ledger checks what it decides
// on.
struct ReservationClaim {
  Uuid reservation_id;
  std::string sku_id;
  std::string user_id;
  int32_t quantity = 0;
};

enum class CommitOutcome {
  kCreated,
  kReplayed,          // same id, same payload: `reservation` is the first answer
  kConflict,          // same id, other payload
  kUserLimitReached,  // the buyer's live reservations leave no room
  kNotHeld,           // the incarnation holds no slot of the SKU
  kShort,             // its slots have too few units; decided with all of them locked
  kBusy,              // only with LockMode::kSkipLocked: the slots that were free had too few units
  kSkuNotFound,
  kQuantityAboveLimit,
  kNotOpen,
  kClosed,
  kMoving,  // the SKU is on its way to another shard, or gone there: nothing was decided
};

struct CommitResult {
  CommitOutcome outcome = CommitOutcome::kShort;
  // For kCreated and kReplayed: the row as committed.
  Reservation reservation;
  // For kShort: the version of the slice that was too short. The same as the announced one means that no move is on its
  // way: the node has counted too much.
  int64_t slice_version = 0;
};

// How commit_reservations meets slots that another transaction has locked.
enum class LockMode {
  kSkipLocked,  // take one free slot per SKU; answer kBusy rather than wait
  kWait,        // lock all slots of the slice in (sku, slot) order
};

class ReservationLedger {
 public:
  virtual ~ReservationLedger() = default;

  // Commits a batch in one transaction. Ids in `claims` are distinct; at most kMaxBatch of them. Results are in the
  // order of `claims`. A claim of a dead or foreign incarnation gets kNotHeld: the fence of rule 1.
  virtual absl::StatusOr<std::vector<CommitResult>> CommitReservations(IncarnationId incarnation, LockMode mode,
                                                                       absl::Span<const ReservationClaim> claims) = 0;

  // The reservation as kReplayed, or kNotFound.
  virtual absl::StatusOr<CommitResult> FindReservation(const Uuid& reservation_id) = 0;
};

inline constexpr int kMaxBatch = 1024;

struct Sku {
  std::string sku_id;
  std::string title;
  int64_t price_minor = 0;
  std::string currency;
  int64_t stock = 0;
  int32_t per_user_limit = 1;
  absl::Duration hold = absl::Minutes(15);
  int32_t max_extensions = 3;
  // From a hold's creation to its end, extensions included. Zero: `hold` for the hold and for each extension.
  absl::Duration max_hold = {};
  absl::Time opens_at = absl::InfinitePast();
  absl::Time closes_at = absl::InfiniteFuture();
  bool closed = false;
  int32_t slots_per_slice = 1;
  // Split over all live nodes before anybody asks. Otherwise the units wait in the pool until a node's first request
  // makes demand: for a long tail of SKUs, which would be one slot row and one znode per node and SKU.
  bool presplit = true;
  // The balancer leaves the units where they are. What a dead node held goes to the pool all the same, and stays there.
  bool quota_frozen = false;
  // The shard that it was read from; ignored by CreateSku.
  std::string shard = kHomeShard;
  // Read from the slots and, for `holds_may_lapse`, the reservations; ignored by CreateSku.
  int64_t unsold = 0;
  int64_t quota_version = 0;
  bool holds_may_lapse = false;
};

// What one holder has of one SKU: the sum over its slots. The pool is the slice of kPool.
struct Slice {
  IncarnationId holder = kPool;
  int64_t allotted = 0;   // units moved in less units moved out; allotted - remaining = spent
  int64_t remaining = 0;  // >= 0
  int64_t version = 0;    // the SKU's quota version at which a move last changed the slice
};

// One SKU's quota, read in one snapshot.
struct QuotaSnapshot {
  std::string sku_id;
  int64_t quota_version = 0;
  bool closed = false;
  // The pool first (always there), then ascending by holder.
  std::vector<Slice> slices;
};

// A SKU and its quota, read in one snapshot.
struct SkuQuota {
  Sku sku;
  QuotaSnapshot quota;
};

// Changes what a holder has left: negative withdraws into the pool (at most what remains), positive deposits out of the
// pool (at most what the pool then has, served in the order given).
struct QuotaDelta {
  IncarnationId holder = kPool;
  int64_t units = 0;
};

// The deltas of one SKU; holders are distinct.
struct QuotaMove {
  std::string sku_id;
  std::vector<QuotaDelta> deltas;
  // When given, the SKU's quota version must still be this one.
  std::optional<int64_t> expected_quota_version;
};

// SKUs per call of ReadQuotas and MoveUnitsBatch: a bound on how long one transaction holds its locks.
inline constexpr int kMaxQuotaBatch = 64;

struct Incarnation {
  IncarnationId id = kPool;
  std::string node_name;
  std::string address;
  absl::Time started_at;
  // An operator asked it to hand back its units and to get no more.
  bool draining = false;
};

// Who changed stock, quota or a node's part in the sale, when, from what to what.
struct AuditEntry {
  int64_t id = 0;
  absl::Time at;
  std::string actor;
  std::string action;
  std::string sku_id;                 // "" for what concerns no SKU
  IncarnationId incarnation = kPool;  // kPool for what concerns no single node
  std::string before;                 // JSON
  std::string after;                  // JSON
};

struct LedgerViolation {
  std::string rule;
  std::string sku_id;
  std::string detail;
};

struct VerifyReport {
  std::vector<LedgerViolation> violations;  // at most 1000
  int64_t skus_checked = 0;
  int64_t reservations_checked = 0;
};

struct ReducedStock {
  Sku sku;
  int64_t units_taken = 0;
};

class StockLedger {
 public:
  virtual ~StockLedger() = default;

  // `actor` is written into the audit log with what was before and after.
  virtual absl::StatusOr<Sku> CreateSku(const Sku& sku, const std::string& actor) = 0;
  virtual absl::StatusOr<Sku> GetSku(const std::string& sku_id) = 0;
  // Ascending by id, those after `after` ("" = from the start), at most `limit`.
  virtual absl::StatusOr<std::vector<Sku>> ListSkus(const std::string& after, int limit) = 0;
  virtual absl::StatusOr<Sku> CloseSku(const std::string& sku_id, const std::string& actor) = 0;
  // Adds units, into the pool. With `expected_stock`, kAborted when the SKU's stock is another: only operators change
  // it, so that this tells two of them apart, and makes a call whose answer was lost safe to repeat.
  virtual absl::StatusOr<Sku> AddStock(const std::string& sku_id, int64_t units, std::optional<int64_t> expected_stock,
                                       const std::string& actor) = 0;
  // Takes up to `units` unsold units away: from the pool, then from the slices with the most. `expected_stock` as
  // above.
  virtual absl::StatusOr<ReducedStock> ReduceStock(const std::string& sku_id, int64_t units,
                                                   std::optional<int64_t> expected_stock, const std::string& actor) = 0;
  // Freezes or thaws the SKU's quota. Repeating it changes and audits nothing.
  virtual absl::StatusOr<Sku> SetQuotaFrozen(const std::string& sku_id, bool frozen, const std::string& actor) = 0;

  // Those of the SKUs that exist, ascending by id, all in one snapshot. At most kMaxQuotaBatch distinct ids.
  virtual absl::StatusOr<std::vector<SkuQuota>> ReadQuotas(absl::Span<const std::string> sku_ids) = 0;
  // Applies the moves in one transaction; each SKU, with withdrawals before deposits, is moved or refused by itself:
  // kNotFound, or kAborted when its version is not the expected one. Results are in the order of `moves`, with the SKU
  // as it is after its move. A deposit to an incarnation that is not live stays in the pool. At most kMaxQuotaBatch
  // moves of distinct SKUs.
  virtual absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> MoveUnitsBatch(absl::Span<const QuotaMove> moves,
                                                                               const std::string& actor) = 0;
  // The same for one SKU.
  absl::StatusOr<QuotaSnapshot> ReadQuota(const std::string& sku_id);
  absl::StatusOr<QuotaSnapshot> MoveUnits(const std::string& sku_id, absl::Span<const QuotaDelta> deltas,
                                          std::optional<int64_t> expected_quota_version, const std::string& actor);
  // SKUs whose units are to be handed out: presplit, neither closed nor frozen, with units in the pool; ascending by
  // id, those after `after`, at most `limit`. Costs in proportion to what it returns, however many SKUs there are.
  virtual absl::StatusOr<std::vector<std::string>> ListPooledSkus(const std::string& after, int limit) = 0;
  // SKUs with units that came back into an empty pool since they were acknowledged: perhaps they are announced as sold
  // out. Ascending by id, those after `after`, at most `limit`. Costs in proportion to what it returns.
  virtual absl::StatusOr<std::vector<std::string>> ListReturnedSkus(const std::string& after, int limit) = 0;
  // They were announced as they were at these quota versions. One that has another version by now stays listed.
  virtual absl::Status AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) = 0;
  // Every slice of one incarnation, keyed by SKU; for (re)announcing.
  virtual absl::StatusOr<std::vector<std::pair<std::string, Slice>>> ListSlices(IncarnationId incarnation) = 0;

  // A new incarnation; `draining` when its node was draining already.
  virtual absl::StatusOr<IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                            bool draining = false) = 0;
  virtual absl::StatusOr<std::vector<Incarnation>> ListLiveIncarnations() = 0;
  // kNotFound when the incarnation is not live. Repeating it changes and audits nothing.
  virtual absl::StatusOr<Incarnation> SetDraining(IncarnationId incarnation, bool draining,
                                                  const std::string& actor) = 0;
  // Moves everything the incarnation holds into the pool and ends it: no later commit of it succeeds. Returns the SKUs
  // whose quota changed. Repeating it is harmless.
  virtual absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(IncarnationId incarnation) = 0;

  // The newest first: those of the SKU ("" = of all) with an id below `before` (0 = from the newest), at most `limit`.
  virtual absl::StatusOr<std::vector<AuditEntry>> ListAudit(const std::string& sku_id, int64_t before, int limit) = 0;

  virtual absl::StatusOr<VerifyReport> Verify(const std::string& sku_id) = 0;
};

}  // namespace tranche::storage
