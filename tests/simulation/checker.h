// Checks everything that happens against the rules of the design, at the moment when it happens.
//
//   ownership       a commit takes units only from slots that its incarnation holds, and only while that is live
//   conservation    unsold + reserved = stock, after every change of the ledger
//   acknowledged    a buyer who is told "sold" has the row at that very moment, with the values of the answer
//   one answer      every try is answered at most once; a refusal that says "nothing happened" is true for ever
//   replay          the same id gives the first answer again
//   cart            all lines of a cart are sold, or none
//   user limit      no buyer has more than the limit
//   sold out        answered only if no unsold unit existed at some moment; without faults: at a recent moment
//   versions        an older announcement never replaces a newer one: not in ZooKeeper, not in a node's counter
//   exact plans     the balancer never hands out more than the pool and its withdrawals have
//   returned        units of a reservation that ended go to the pool; nodes that answer SOLD_OUT soon hear of it
//   counter         without a lost answer a node's free units never exceed what the ledger has for it
//   restore         when the ledger has become an older state of itself, no incarnation from before goes on for long.
//                   From then on everything is judged by what the ledger says now: what it has lost, nobody has
//
// LifeChecker checks what happens to a reservation after it was created. The checker keeps its own books from the
// arguments and results of calls, and does not trust the fake ledger's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"
#include "quota/slices/slice_table.h"
#include "storage/fake/fake_ledger.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"

namespace tranche::simulation {

struct Violation {
  std::string rule;
  std::string detail;
};

class Checker {
 public:
  Checker(storage::FakeLedger* ledger, Scheduler* scheduler, Trace* trace);

  // The ledger changed.
  void OnSkuCreated(const storage::Sku& sku);
  void OnCommit(ActorId actor, storage::IncarnationId incarnation, absl::Span<const storage::ReservationClaim> claims,
                absl::Span<const storage::CommitResult> results);
  // `planned`: by the balancer, which knows what there is.
  // The ledger was asked for units of a pool.
  void OnTaken(ActorId actor, const storage::PoolRequest& request, const storage::PoolTake& take);
  void OnMoved(ActorId actor, bool automatic, absl::Span<const storage::QuotaMove> moves,
               absl::Span<const absl::StatusOr<storage::SkuQuota>> results);
  // A cart reached the ledger and was not committed: none of its lines may be.
  void OnCartRefused(absl::Span<const storage::ReservationClaim> lines);
  // Stock changed by `units`, or the SKU's state or terms did.
  void OnStock(ActorId actor, const storage::Sku& sku, int64_t units);
  // The units of these reservations have come back; they are cancelled or expired.
  void OnReturned(ActorId actor, absl::Span<const storage::Reservation> lapsed);
  // A late payment has booked again.
  void OnRebooked(ActorId actor, const storage::Reservation& rebooked);
  void OnRegistered(ActorId actor, storage::IncarnationId incarnation);
  void OnReclaimed(ActorId actor, storage::IncarnationId incarnation);
  // A commit whose answer is lost: from now on the counter may be too high by its units.
  void OnCommitUnknown(storage::IncarnationId incarnation, absl::Span<const storage::ReservationClaim> claims);

  // A buyer's try: it begins, and ends with an answer, or with the death of the process that should have answered.
  void OnTryBegun(const storage::ReservationClaim& claim);
  void OnAnswer(ActorId actor, const storage::ReservationClaim& claim, bool may_exist, bool existed_before,
                const quota::SaleResult& result);
  // The same for a cart, whose lines are tries of one buyer that begin and end together.
  void OnCartAnswer(ActorId actor, absl::Span<const storage::ReservationClaim> lines, bool may_exist,
                    bool existed_before, const quota::CartSale& sale);
  // The answer is what became of an earlier try, which was queued: see ClaimChecker::OnTold.
  void OnDecidedBefore(const storage::Uuid& reservation_id);
  void OnTryLost(const storage::Uuid& reservation_id);
  // How often a commit of it reached the ledger.
  int64_t TimesSent(const storage::Uuid& reservation_id) { return tries_[reservation_id].sent; }
  bool Exists(const storage::Uuid& reservation_id) const { return reservations_.contains(reservation_id); }

  // A node's counter of one SKU, at any moment. `settled`: nothing is under way, so nothing may be missing either.
  void CheckCounter(const quota::SliceTable& slices, const std::string& sku_id, bool settled);
  // A slice's announcement was written, or its znode is gone.
  void OnAnnounced(ActorId actor, const std::string& path, int64_t version);
  void OnAnnouncementGone(const std::string& path) { announced_.erase(path); }
  void OnTreeDeleted() { announced_.clear(); }

  // What the books say now, and the return to it with the ledger.
  struct Past;
  Past Save() const;
  void GoBack(const Past& past);
  void OnHistoryBegun(ActorId actor, storage::IncarnationId first);
  // The ledger was restored, and no new history has begun since.
  bool history_broke_off() const { return history_broke_off_; }
  // Live incarnations that may have counted what the ledger has lost.
  std::set<storage::IncarnationId> LiveFromBefore() const;
  bool IsFromBefore(storage::IncarnationId incarnation) const {
    return history_broke_off_ || incarnation < first_of_history_;
  }

  // The ledger's own verification.
  void VerifyLedger();
  // SOLD_OUT must have been true within the last `staleness`, from now on.
  // `returned`: the same when only a returned unit has ended it.
  void ExpectFreshSoldOut(absl::Duration staleness, absl::Duration returned) {
    sold_out_staleness_ = staleness;
    returned_staleness_ = returned;
  }

  int64_t Unsold(const std::string& sku_id) const;
  // Whether an incarnation that is not one of these has units.
  bool AnyHeldByOthersThan(const std::set<storage::IncarnationId>& incarnations) const;
  // Whether the same could be booked again for its buyer.
  bool HasRoomFor(const storage::Reservation& lapsed) const;
  bool Frozen(const std::string& sku_id) const;
  // Changes of who holds units, so far.
  int64_t moves() const { return moves_; }
  // Requests that nodes made to the pool, those that got nothing included.
  int64_t pool_requests() const { return pool_requests_; }
  int64_t reservations() const { return static_cast<int64_t>(reservations_.size()); }

  void Violated(std::string rule, std::string detail);
  const std::optional<Violation>& violation() const { return violation_; }

 private:
  struct Shortage {
    // While it lasts, the future.
    absl::Time last = absl::InfinitePast();
    bool ended_by_return = false;  // only returned units ended it
  };
  struct SkuBooks {
    storage::QuotaSnapshot quota;
    int64_t number = 0;  // for the trace
    int64_t stock = 0;
    int64_t reserved = 0;
    int32_t per_user_limit = 0;
    bool frozen = false;
    bool paused = false;
    int64_t price_minor = 0;
    // By quantity: when fewer units were last unsold.
    std::map<int64_t, Shortage> shortages;
    std::map<std::string, int64_t> units_by_user;
  };
  struct Tries {
    int open = 0;
    bool lost = false;     // an earlier try may still be under way
    bool unknown = false;  // an answer said that it may have happened
    bool sold = false;     // an answer said that it has happened
    int64_t sent = 0;      // how often it reached the ledger
  };

  // Reads the ledger's present state, checks what no change may do, and makes it the books' state.
  storage::QuotaSnapshot Update(SkuBooks& books);
  void CheckCreated(SkuBooks& books, const storage::ReservationClaim& claim, const storage::CommitResult& result);
  void CheckSpent(const SkuBooks& books, const storage::QuotaSnapshot& before, storage::IncarnationId incarnation,
                  int64_t units);
  void CheckPlan(const storage::QuotaMove& move, const storage::QuotaSnapshot& before);
  void CheckSold(const storage::ReservationClaim& claim, const quota::Sold& sold);
  void CheckRefused(const storage::ReservationClaim& claim, const Tries& tries, bool may_exist, bool existed_before,
                    const quota::Refused& refused);
  void CheckUserLimit(const storage::ReservationClaim& claim);
  void CheckReturned(const SkuBooks& books, const storage::QuotaSnapshot& before, int64_t units);
  void NoteShortages(SkuBooks& books, int64_t unsold);
  // Were fewer than `quantity` units unsold?
  void CheckShortage(SkuBooks& books, const char* rule, int64_t quantity);
  void CheckReplay(const storage::Reservation& again);

  storage::FakeLedger* const ledger_;
  Scheduler* const scheduler_;
  Trace* const trace_;
  // What follows the ledger into the past is in Past, too.
  std::map<std::string, SkuBooks> books_;
  std::set<storage::IncarnationId> live_;
  absl::flat_hash_map<storage::Uuid, storage::Reservation> reservations_;
  absl::flat_hash_map<storage::Uuid, Tries> tries_;
  // Units of commits whose answer was lost, by incarnation and SKU.
  std::map<std::pair<storage::IncarnationId, std::string>, int64_t> lost_units_;
  // The version last announced, by path, and last applied, by incarnation and SKU.
  std::map<std::string, int64_t> announced_;
  std::map<std::pair<storage::IncarnationId, std::string>, int64_t> applied_;
  bool history_broke_off_ = false;
  absl::Time broke_off_at_ = absl::InfinitePast();
  // Of the latest history.
  storage::IncarnationId first_of_history_ = storage::kPool;
  // Reservations that the ledger has lost, at some time. Buyers may have been told of them.
  std::set<storage::Uuid> lost_;
  std::set<std::string> lost_skus_;
  absl::Duration sold_out_staleness_ = absl::InfiniteDuration();
  absl::Duration returned_staleness_ = absl::InfiniteDuration();
  int64_t moves_ = 0;
  int64_t pool_requests_ = 0;
  std::optional<Violation> violation_;
};

struct Checker::Past {
  std::map<std::string, SkuBooks> books;
  std::set<storage::IncarnationId> live;
  absl::flat_hash_map<storage::Uuid, storage::Reservation> reservations;
};

}  // namespace tranche::simulation
