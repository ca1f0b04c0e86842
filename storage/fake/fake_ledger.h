// The ledger in memory, with the same rules as the procedures under sql/: for unit tests and the simulation.
// tests/contract runs one suite on both. It is one shard, and no SKU ever moves.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "storage/clock.h"
#include "storage/fake/fake_group_tables.h"
#include "storage/fake/fake_outbox.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/health_ledger.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/ledger/stock_ledger.h"
#include "storage/ledger/upkeep_ledger.h"

namespace tranche::storage {

// Thread-safe: one mutex around every call.
class FakeLedger : public ReservationLedger,
                   public StockLedger,
                   public LifecycleLedger,
                   public UpkeepLedger,
                   public HealthLedger,
                   public GroupLedger {
 public:
  // `clock` is the database's: it opens and closes sales, dates reservations and ends holds. `outbox`, if given, gets
  // the messages about changes. Neither is owned.
  explicit FakeLedger(Clock* clock, FakeOutbox* outbox = nullptr) : clock_(clock), outbox_(outbox) {}

  absl::StatusOr<std::vector<CommitResult>> CommitReservations(IncarnationId incarnation, LockMode mode,
                                                               absl::Span<const ReservationClaim> claims) override;
  absl::StatusOr<Reservation> FindReservation(const Uuid& reservation_id) override;
  absl::StatusOr<std::vector<Reservation>> FindReplicated(absl::Span<const Uuid> reservation_ids) override;

  absl::StatusOr<Sku> CreateSku(const Sku& sku, const Actor& actor) override;
  absl::StatusOr<Sku> GetSku(const std::string& sku_id) override;
  absl::StatusOr<std::vector<Sku>> ListSkus(const std::string& after, int limit) override;
  absl::StatusOr<Sku> CloseSku(const std::string& sku_id, const Actor& actor) override;
  absl::StatusOr<Sku> ReopenSku(const std::string& sku_id, const Actor& actor) override;
  absl::StatusOr<Sku> SetSkuPaused(const std::string& sku_id, bool paused, const std::string& reason,
                                   std::optional<int64_t> expected_terms_version, const Actor& actor) override;
  absl::StatusOr<Sku> UpdateSku(const Sku& sku, const Actor& actor) override;
  absl::StatusOr<Sku> AddStock(const std::string& sku_id, int64_t units, std::optional<int64_t> expected_stock,
                               const Actor& actor) override;
  absl::StatusOr<ReducedStock> ReduceStock(const std::string& sku_id, int64_t units,
                                           std::optional<int64_t> expected_stock, const Actor& actor) override;
  absl::StatusOr<Sku> SetQuotaFrozen(const std::string& sku_id, bool frozen, const Actor& actor) override;
  absl::StatusOr<Sku> RaiseVersion(const std::string& sku_id, int64_t above, const Actor& actor) override;
  absl::StatusOr<std::vector<SkuQuota>> ReadQuotas(absl::Span<const std::string> sku_ids) override;
  absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> MoveUnitsBatch(absl::Span<const QuotaMove> moves,
                                                                       const Actor& actor) override;
  absl::StatusOr<PoolTake> TakeFromPool(const PoolRequest& request) override;
  absl::StatusOr<std::vector<std::string>> ListPooledSkus(const std::string& after, int limit) override;
  absl::StatusOr<std::vector<std::string>> ListReturnedSkus(const std::string& after, int limit) override;
  absl::Status AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) override;
  absl::StatusOr<std::vector<std::pair<std::string, HeldSlice>>> ListSlices(IncarnationId incarnation) override;
  absl::StatusOr<IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                    bool draining = false) override;
  absl::StatusOr<std::vector<Incarnation>> ListLiveIncarnations() override;
  absl::StatusOr<Incarnation> SetDraining(IncarnationId incarnation, bool draining, const Actor& actor,
                                          const DrainTelling& telling = {}) override;
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(IncarnationId incarnation) override;
  absl::StatusOr<std::vector<AuditEntry>> ListAudit(const AuditFilter& filter, int64_t before, int limit) override;
  absl::StatusOr<int64_t> BeginAudit(const AuditNote& note) override;
  absl::StatusOr<bool> EndAudit(int64_t id, const std::string& result) override;
  absl::StatusOr<VerifyReport> Verify(const std::string& sku_id) override;
  absl::StatusOr<VerifyReport> VerifyPage(const VerifyPosition& after, int max_skus) override;
  absl::StatusOr<LedgerMark> Mark(const std::optional<LedgerMark>& earlier) override;
  absl::StatusOr<IncarnationId> BeginHistory(IncarnationId above, const Actor& actor) override;
  absl::Status SetClusterFrozen(bool frozen, const Actor& actor) override;
  absl::Status SetClaimsPaused(bool paused, const Actor& actor) override;
  absl::StatusOr<ClusterSettings> ReadClusterSettings() override;

  using LifecycleLedger::CancelReservations;
  using LifecycleLedger::CommitCart;
  using LifecycleLedger::ConfirmReservations;
  using LifecycleLedger::ExtendReservations;
  absl::StatusOr<std::vector<ChangeResult>> ConfirmReservations(LockMode mode,
                                                                absl::Span<const Payment> batch) override;
  absl::StatusOr<std::vector<ChangeResult>> CancelReservations(LockMode mode,
                                                               absl::Span<const Cancellation> batch) override;
  absl::StatusOr<std::vector<ChangeResult>> ExtendReservations(LockMode mode,
                                                               absl::Span<const Extension> batch) override;
  absl::StatusOr<ChangeResult> ConfirmLate(const Payment& payment) override;
  absl::StatusOr<ChangeResult> PreviewChange(const Change& change) override;
  absl::StatusOr<CartResult> CommitCart(IncarnationId incarnation, LockMode mode,
                                        absl::Span<const ReservationClaim> lines) override;
  absl::StatusOr<std::vector<RefuseResult>> RefuseClaims(absl::Span<const ClaimRefusal> batch) override;
  absl::StatusOr<std::vector<Reservation>> ReadReservations(absl::Span<const Uuid> reservation_ids) override;
  absl::StatusOr<ReservationPage> ListReservations(const ReservationFilter& filter, const ReservationCursor& after,
                                                   int limit) override;

  absl::StatusOr<ExpiredHolds> ExpireDue(int limit) override;
  absl::StatusOr<RemindedHolds> RemindHolds(absl::Duration within, int limit) override;
  absl::StatusOr<int64_t> RetireReservations(absl::Duration age, int limit, Retired retired) override;
  absl::StatusOr<int64_t> RetireAudit(absl::Duration age, int limit, absl::Time now) override;

  absl::StatusOr<GroupOffer> CreateGroupOffer(const GroupOffer& offer, bool preview, const Actor& actor) override;
  absl::StatusOr<GroupOffer> CloseGroupOffer(const std::string& sku_id, const std::string& offer_id, bool preview,
                                             const Actor& actor) override;
  absl::StatusOr<std::vector<GroupOffer>> ListGroupOffers(const std::string& sku_id) override;
  absl::StatusOr<Group> CancelGroup(const Uuid& group_id, const std::string& sku_id, const std::string& reason,
                                    bool preview, const Actor& actor) override;
  absl::StatusOr<GroupWithMembers> GetGroup(const Uuid& group_id, const GroupLookup& lookup) override;
  absl::StatusOr<GroupPage> ListGroups(const GroupFilter& filter, const GroupCursor& after, int limit) override;
  absl::StatusOr<GroupCounts> CountGroups() override;
  absl::StatusOr<ExpiredGroups> ExpireGroups(int limit) override;
  absl::StatusOr<int64_t> RetireGroups(absl::Duration age, int limit) override;

  // Heartbeats are in no backup.
  absl::Status Beat(const Heartbeat& heartbeat) override;
  absl::Status EndBeat(Heartbeat::Kind kind, const Uuid& instance) override;
  absl::StatusOr<std::vector<Heartbeat>> Heartbeats() override;
  absl::Status Ping() override;
  absl::StatusOr<LedgerHealth> Health() override;
  absl::StatusOr<std::vector<GoneIncarnation>> GoneIncarnations(absl::Span<const IncarnationId> serving) override;
  absl::StatusOr<std::vector<SkuHolds>> CountHolds(absl::Span<const std::string> sku_ids) override;

  // For FakeDrawLedger.

  // As book_awards does it: commits claims with distinct ids, in their order, out of the pools, until `most` are
  // created or one is refused for another reason than its buyer's limit. One result for each that had its turn. Each
  // created one is told of, with these members (one for each claim).
  absl::StatusOr<std::vector<CommitResult>> CommitFromPool(absl::Span<const ReservationClaim> claims, size_t most,
                                                           absl::Span<const FakeOutbox::Extra> members);
  // As settle_awards sees it, also if retention has removed it. kConfirmed also if a late payment has had it booked
  // again, or if it was dropped and may have been paid.
  ReservationState WhatBecameOf(const std::string& sku_id, const Uuid& reservation_id) const;
  // Whether the SKU has a draw that is not over: late payments book nothing then. In no backup.
  void NoteDraw(const std::string& sku_id, bool runs);

  // Puts an entry into the audit log, as another fake's changes do: its id is set here.
  void AddAuditEntry(AuditEntry entry);

  // Faults. They apply to calls in the order in which these arrive.

  // The next `calls` calls of any method return kUnavailable and do nothing.
  void FailNext(int calls);
  // The next CommitReservations returns an unknown commit, performed or not.
  void LoseNextCommit(bool performed);
  // Calls wait at their start until ReleaseCalls.
  void BlockCalls();
  void ReleaseCalls();
  // Waits until `calls` calls are waiting.
  void AwaitBlocked(int calls);
  // Calls of CommitReservations so far, failed ones included.
  int commit_calls() const;

  // All that is stored now, and the return to it: a backup that is restored, with its outbox. With a new line of
  // history if a standby is promoted, or the server recovers to a point in time. Ids that the ledger chooses by chance
  // do not come again.
  struct Backup;
  std::shared_ptr<const Backup> Save() const;
  enum class Line { kSame, kNew };
  void Restore(const Backup& backup, Line line);

  // The line of history that it begins with. All fakes have the same id.
  static constexpr char kFirstLine[] = "00000000-0000-4000-8000-00000000fa4e/1";

 private:
  struct Slot {
    int number = 0;
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
    Sku sku;                    // without the fields that are read from the slots
    std::map<int, Slot> slots;  // by slot number; 0 is the pool
    // The slots of each slice, ascending by number: a SKU may have a thousand slices, and a call looks at few of them.
    std::map<IncarnationId, std::vector<Slot*>> slices;
    int32_t highest_limit = 0;  // per buyer, that it ever had: verification must not blame buyers of before
    int64_t pending = 0;        // number of reservations that wait for their payment

    SkuState() = default;
    SkuState(const SkuState& other);
    SkuState& operator=(const SkuState&) = delete;

    Slot& pool() { return slots.begin()->second; }
    const Slot& pool() const { return slots.begin()->second; }
  };
  struct StoredReservation {
    Reservation reservation;
    IncarnationId incarnation = kPool;
    int32_t ordinal = 0;  // its number among the buyer's live ones of the SKU when it was created
  };
  // The decision on a late payment: it paid for another reservation, or is to be refunded.
  struct LateDecision {
    std::optional<Uuid> rebooked_as;
    absl::Time received_at;
  };
  // Sums of the reservations that retention has removed.
  struct RetiredUnits {
    int64_t units = 0;
    int64_t live_units = 0;
  };
  struct StoredIncarnation {
    Incarnation incarnation;
    bool reclaimed = false;
    absl::Time reclaimed_at = absl::InfiniteFuture();
  };
  struct StoredBeat {
    Heartbeat heartbeat;
    absl::Time beat_at;
  };
  // The slots that one commit has locked, by SKU.
  using LockedSlots = std::map<std::string, std::vector<Slot*>>;
  using UnitsBySku = std::map<std::string, int64_t>;

  absl::Time DatabaseNow() const;

  // Waits while calls are blocked, then returns the injected error, if any.
  absl::Status Enter() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The steps of commit_reservations.
  absl::StatusOr<std::vector<CommitResult>> Commit(IncarnationId incarnation, LockMode mode,
                                                   absl::Span<const ReservationClaim> claims)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // With these slots locked.
  absl::StatusOr<std::vector<CommitResult>> Book(IncarnationId incarnation, LockMode mode,
                                                 absl::Span<const ReservationClaim> claims, const LockedSlots& locked)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  LockedSlots LockSlots(IncarnationId incarnation, LockMode mode, absl::Span<const ReservationClaim> claims)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Fits(const ReservationClaim& claim, const LockedSlots& locked) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  CommitResult Insert(IncarnationId incarnation, const ReservationClaim& claim, const std::vector<Slot*>& slots)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Adds the row of a new reservation; its units are taken elsewhere.
  StoredReservation& AddRow(IncarnationId incarnation, const ReservationClaim& claim)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveRow(const Uuid& reservation_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  CommitResult Classify(const ReservationClaim& claim, IncarnationId incarnation, LockMode mode,
                        const LockedSlots& locked) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t LiveUnits(const std::string& sku_id, const std::string& user_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // What one change of a reservation does, without doing it. For kDone with the reservation as it will be, but for its
  // end's time and its revision.
  ChangeResult Decide(const Payment& payment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ChangeResult Decide(const Cancellation& cancellation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ChangeResult Decide(const Extension& extension) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<ChangeResult> ConfirmAll(absl::Span<const Payment> batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // One change of a reservation each.
  ChangeResult Confirm(const Payment& payment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ChangeResult Cancel(const Cancellation& cancellation, UnitsBySku* returned) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ChangeResult Extend(const Extension& extension) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ChangeResult ConfirmRetired(const Payment& payment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of the amount that the reservation costs.
  static bool Same(const Payment& payment, const Reservation& reservation);
  // The rest of PreviewChange, for a payment that is late.
  ChangeResult PreviewLate(const Payment& payment, ChangeResult decided) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ChangeResult ReplayLate(const Reservation& asked, const LateDecision& decided) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Uuid> RebookedAs(const Uuid& reservation_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Reservation> Known(const std::optional<Uuid>& id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has retention removed confirmed reservations of the SKU?
  bool ConfirmedOnesRetired(const std::string& sku_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Are there units for the same again, and may the buyer have them?
  bool MayRebook(const Reservation& old) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Books the same again, already paid. nullopt: there is no unit, or the buyer may not have it.
  std::optional<Reservation> Rebook(const Payment& payment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  RefuseResult Refuse(const ClaimRefusal& one) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  StoredReservation* FindStored(const Uuid& reservation_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves the reservation out of kPending.
  void Finish(StoredReservation& stored, ReservationState state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts units that reservations of the SKUs have given up into the pools.
  void ReturnUnits(const UnitsBySku& units_by_sku) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Cancels a hold that nobody has asked to cancel; its units are added to `returned`.
  void EndHold(StoredReservation& stored, const char* reason, UnitsBySku* returned, const TraceTag& trace = {})
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Records a payment that paid for nothing, and asks for its refund.
  void RequestRefund(Reservation& row, const std::string& payment_reference, const TraceTag& trace = {})
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes up to `units` units: from the pool, then from the fullest slots. Returns how many. Bumps the quota version.
  static int64_t TakeUnits(SkuState& state, int64_t units);
  // Writes the message about the reservation's latest revision. `trace`: of the call that changed it, if one did.
  // `all`: further members.
  void Tell(const char* kind, const Reservation& reservation, const TraceTag& trace = {}, FakeOutbox::Extra all = {})
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Adds one SKU's part to a page. False when the page is full: then `page->next` says where to continue.
  bool ListSku(const std::string& sku_id, const ReservationFilter& filter, const ReservationCursor& after, size_t limit,
               ReservationPage* page) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Pending reservations whose time is over, the longest overdue first.
  std::vector<const Reservation*> OverdueHolds() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t UnitsHeldBy(IncarnationId incarnation) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  bool MayRetire(const Reservation& reservation, absl::Duration age) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Joins, in fake_group_join.cc: the steps of join_groups.
  absl::StatusOr<std::vector<CommitResult>> Join(IncarnationId incarnation, LockMode mode,
                                                 absl::Span<const ReservationClaim> claims)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why the claim may not join its group, or not open it.
  Refusal LookAtGroup(const ReservationClaim& claim) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Refusal LookAtOffer(const ReservationClaim& claim) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has its buyer a group of its offer that forms?
  bool HasOpened(const ReservationClaim& claim) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes the new reservation one of its group, which is opened if need be.
  void Enrol(const ReservationClaim& claim, Reservation* answer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // What becomes of members' holds, in fake_group_seats.cc.
  bool HasFreeSeat(const Group* group) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The membership, if its seat is paid.
  GroupMember* SeatOf(const StoredReservation& stored) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ChangeResult DecideSeat(const Payment& payment, const StoredReservation& stored)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeSeat(const Payment& payment, StoredReservation& stored) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // After a payment that was taken: a member whose group is not full by it waits.
  void AwaitGroup(const Payment& payment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a reservation that has just been cancelled.
  void GiveUpSeat(StoredReservation& stored, const TraceTag& trace) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends the hold of a payment for which there is no seat.
  ChangeResult RefuseSeat(const Payment& payment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ChangeResult PreviewRefusedSeat(Reservation row) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has it ended by itself or with its group, and not because its buyer wanted it?
  static bool IsUnfulfilled(const Reservation& row);

  // Ends of groups, in fake_group_end.cc. `last`: the payment that does it, if one does.
  void Fill(Group& group, bool partial, const Payment* last = nullptr) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // With all that have paid. Returns how many.
  int64_t Fail(Group& group, GroupState state, UnitsBySku* returned) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A group that forms, if no member's reservation is live since the hold of `ended` is over.
  void EndIfEmpty(const Reservation& ended) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndAtDeadline(Group& group, ExpiredGroups* done, UnitsBySku* returned) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of unpaid members of a group that is over, up to `most`.
  int64_t EndUnpaid(const Group& group, int64_t most, UnitsBySku* returned) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The member's reservation, if it is pending.
  StoredReservation* PendingOf(const GroupMember& member) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsWhatWasPaid(const Group& group, const GroupMember& seated, const Reservation& row) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  using Violated = std::function<void(const char* rule, const std::string& detail)>;
  void VerifyGroups(const std::string& sku_id, const Violated& violated) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  bool IsLive(IncarnationId incarnation) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<SkuState*> Find(const std::string& sku_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static Sku Read(const SkuState& state);
  // The CHECK constraints of the table sku.
  static absl::Status CheckSku(const Sku& sku);
  // Raises both versions, and keeps what depends on the terms.
  void NoteNewTerms(SkuState& state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static HeldSlice SumOf(IncarnationId holder, absl::Span<Slot* const> slots);
  static QuotaSnapshot Quota(const SkuState& state);
  // Keeps `pooled_` exact. Call it after every change of a pool, or of anything else that it depends on.
  void ListIfPooled(const SkuState& state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static bool IsPooled(const SkuState& state);

  // The steps of move_units.
  absl::StatusOr<SkuQuota> Move(const QuotaMove& move, const Actor& actor) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Withdraw(SkuState& state, const QuotaDelta& delta);
  void AddSlots(SkuState& state, absl::Span<const QuotaDelta> deltas) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Deposit(SkuState& state, const QuotaDelta& delta);
  // What the pool and the deltas' holders have left, in the form of the audit log.
  static std::string Holdings(const SkuState& state, absl::Span<const QuotaDelta> deltas);

  // Values in the text form of jsonb, so that entries compare with the database's.
  void Audit(const Actor& actor, const char* action, const std::string& sku_id, IncarnationId incarnation,
             std::string before, std::string after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives it its id, and the names of the nodes in it.
  int64_t AddEntry(AuditEntry entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  struct SoldUnits {
    int64_t reservations = 0;
    int64_t live_units = 0;
    std::map<IncarnationId, int64_t> by_incarnation;  // including lapsed ones: it has spent those units
    std::map<std::string, int64_t> live_by_user;
  };
  std::map<std::string, SoldUnits> SoldBySku() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void VerifySku(const SkuState& state, const SoldUnits& sold, VerifyReport& report) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock* const clock_;
  FakeOutbox* const outbox_;
  mutable absl::Mutex mutex_;
  std::map<std::string, SkuState> skus_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Uuid, StoredReservation> reservations_ ABSL_GUARDED_BY(mutex_);
  // Units of live reservations by (SKU, buyer).
  absl::flat_hash_map<std::pair<std::string, std::string>, int64_t> live_units_ ABSL_GUARDED_BY(mutex_);
  // Indexes of reservations: live ones by (SKU, buyer, ordinal), lapsed ones, and pending ones by when they lapse.
  std::map<std::tuple<std::string, std::string, int32_t>, Uuid> live_ ABSL_GUARDED_BY(mutex_);
  std::set<std::tuple<std::string, std::string, Uuid>> lapsed_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<absl::Time, Uuid>> due_ ABSL_GUARDED_BY(mutex_);
  // The entry of due_ that RemindHolds looked at last.
  std::pair<absl::Time, Uuid> reminded_ ABSL_GUARDED_BY(mutex_) = {absl::InfinitePast(), Uuid{}};
  std::map<std::pair<Uuid, std::string>, LateDecision> late_payments_ ABSL_GUARDED_BY(mutex_);  // by payment reference
  absl::flat_hash_map<Uuid, StoredReservation> archive_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, IncarnationId>, RetiredUnits> retired_ ABSL_GUARDED_BY(mutex_);
  FakeGroupTables groups_ ABSL_GUARDED_BY(mutex_);
  uint64_t rebookings_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<std::string> drawn_ ABSL_GUARDED_BY(mutex_);  // SKUs with a draw that is not over
  std::map<IncarnationId, StoredIncarnation> incarnations_ ABSL_GUARDED_BY(mutex_);
  IncarnationId next_incarnation_ ABSL_GUARDED_BY(mutex_) = 1;
  std::string line_ ABSL_GUARDED_BY(mutex_) = kFirstLine;
  int64_t marks_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t histories_ ABSL_GUARDED_BY(mutex_) = 0;  // that were ever begun, also those that were lost
  // Indexes, so that a call costs what it returns: what ListPooledSkus lists, and the SKUs of each holder's slices.
  std::set<std::string> pooled_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> returned_ ABSL_GUARDED_BY(mutex_);  // not acknowledged yet
  std::map<IncarnationId, std::set<std::string>> held_skus_ ABSL_GUARDED_BY(mutex_);
  std::vector<AuditEntry> audit_ ABSL_GUARDED_BY(mutex_);  // by id
  int64_t next_audit_ ABSL_GUARDED_BY(mutex_) = 1;
  ClusterSettings settings_ ABSL_GUARDED_BY(mutex_);
  std::map<Uuid, StoredBeat> beats_ ABSL_GUARDED_BY(mutex_);

  int fail_next_ ABSL_GUARDED_BY(mutex_) = 0;
  enum class LostCommit { kNone, kPerformed, kNotPerformed };
  LostCommit lose_next_commit_ ABSL_GUARDED_BY(mutex_) = LostCommit::kNone;
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  int commit_calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::storage
