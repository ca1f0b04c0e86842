// The balancer: leader-elected, so that several may run. Splits what comes into the pool over the live nodes, gives
// newcomers their share, reclaims what dead incarnations held, moves units to where the demand is, tells when a SKU is
// sold out, and repairs announcements that a crash left out.
//
// Every step reads what is there and is safe to repeat; leadership only saves work. Two leaders at once, or none, cost
// efficiency and never a unit, since the ledger decides each move by itself. Each round does a bounded piece of every
// kind of work, the urgent first, so that a hundred thousand SKUs do not hold up one dry node.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/balancer/demand_board.h"
#include "quota/balancer/demand_plan.h"
#include "quota/balancer/quota_mover.h"
#include "quota/coordination/announcement_repair.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"
#include "quota/coordination/live_nodes.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

struct BalancerOptions {
  std::string name = "balancer";  // written into the leader's znode, for operators
  // The shard whose SKUs it balances; each has a leader of its own. What concerns no SKU (requests to drain, what ended
  // incarnations left in the tree) is home's.
  std::string shard = storage::kHomeShard;
  absl::Duration poll_interval = absl::Milliseconds(100);  // what no event tells: units that come into a pool
  // Everything that events tell is read again this often, since events can be lost.
  absl::Duration refresh_interval = absl::Seconds(1);
  absl::Duration repair_interval = absl::Seconds(10);     // between comparisons of ledger and announcements
  absl::Duration demand_retry = absl::Milliseconds(250);  // of a demand that could not be met
  // An incarnation that never registered in ZooKeeper (it died while starting) is reclaimed after this long.
  absl::Duration unregistered_grace = absl::Seconds(30);
  // When the tree was deleted, nodes have this long to register again before the missing are taken for dead. They read
  // everything every two seconds.
  absl::Duration restore_grace = absl::Seconds(5);
  // A node that cannot reach the ledger while we can loses its units after this long.
  absl::Duration cannot_commit_grace = absl::Seconds(2);
  // A leader that cannot reach the ledger for so long gives up leadership: another may reach it.
  absl::Duration resign_after = absl::Seconds(3);
  DemandPlanOptions demand;
};

class Balancer : public CoordinationObserver, public SessionSource {
 public:
  // Dependencies outlive the balancer.
  Balancer(CoordinationConnector* connector, storage::StockLedger* ledger, storage::Clock* clock,
           BalancerOptions options);
  ~Balancer() override;

  // Connects and starts the thread. Fails if ZooKeeper does not answer.
  absl::Status Start();
  // Gives up leadership and ends the thread.
  void Stop();

  // One round, as the thread runs it: campaign, and, as the leader, bring everything into order. For tests and the
  // simulation, which call it instead of Start's thread, after Connect.
  absl::Status Connect();
  absl::Status RunOnce();
  // Is there more to do at once? If not, the next round is due after the poll interval.
  bool HasWork() const;

  bool leading() const;

  std::shared_ptr<Coordination> Session() override;
  void OnChanged(const std::string& path) override;
  void OnConnected() override;
  void OnDisconnected() override;
  void OnSessionExpired() override;

 private:
  // What has been heard since the last round.
  struct News {
    bool everything = true;  // at first, and after a reconnect
    bool leader = false;
    bool nodes = false;
    bool demand = false;
    std::set<storage::IncarnationId> reports;

    static News Nothing() {
      News nothing;
      nothing.everything = false;
      return nothing;
    }
  };
  // Plans the move of one SKU; none: nothing to move.
  using PlanMove = absl::FunctionRef<std::vector<storage::QuotaDelta>(const storage::SkuQuota&)>;

  void Run();
  void Wake(absl::FunctionRef<void(News&)> note);
  News TakeNews();

  // Leadership.
  absl::StatusOr<bool> Campaign(Coordination& session);
  absl::Status CheckLeadership(Coordination& session);
  void ForgetAll();
  void MindTheLedger(Coordination& session, const absl::Status& led, absl::Time began_at);
  void Resign(Coordination& session);

  // A leader's round.
  absl::Status Lead(Coordination& session);
  absl::Status LookAround(Coordination& session);
  absl::Status TakeOver();
  void AnnounceToNewNodes();
  size_t SkusPerRound(size_t slices_per_sku) const;
  void MeetNewNodes(const std::vector<LiveNode>& nodes);
  absl::Status ReclaimDead(Coordination& session);
  // Returns how many slices it held.
  absl::StatusOr<size_t> Reclaim(Coordination& session, storage::IncarnationId incarnation);
  absl::Status EvacuateUnable();
  absl::Status MeetDemand();
  absl::Status MeetDemandFor(const std::vector<std::string>& sku_ids);
  absl::Status SharePools();
  absl::Status AnnounceReturned();
  absl::Status WelcomeNewcomers();
  absl::Status Repair(Coordination& session);
  absl::Status RestoreTree(Coordination& session);

  absl::Status MoveUnitsOf(absl::Span<const std::string> sku_ids, PlanMove plan);
  absl::Status Move(const std::vector<storage::QuotaMove>& moves);

  CoordinationConnector* const connector_;
  storage::StockLedger* const ledger_;
  storage::Clock* const clock_;
  const BalancerOptions options_;
  Announcer announcer_;
  QuotaMover mover_;

  mutable absl::Mutex mutex_;
  std::shared_ptr<Coordination> session_ ABSL_GUARDED_BY(mutex_);
  News news_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool expired_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool leading_ ABSL_GUARDED_BY(mutex_) = false;

  // Only on the thread that runs the rounds.
  News pending_;  // heard, and not yet successfully looked at
  absl::Time refreshed_at_ = absl::InfinitePast();
  absl::Time ledger_failing_since_ = absl::InfiniteFuture();
  bool abstaining_ = false;     // we resigned for want of the ledger
  bool looked_around_ = false;  // since we lead
  // Whom earlier leaders have welcomed is found out a few nodes at a time; so far, up to this one.
  std::optional<storage::IncarnationId> taking_over_after_;

  std::vector<storage::IncarnationId> receivers_;      // live, neither draining nor unable; ascending
  std::map<storage::IncarnationId, absl::Time> live_;  // by the ledger, since when
  std::set<storage::IncarnationId> registered_;        // in ZooKeeper, as last read
  std::set<storage::IncarnationId> seen_registered_;   // at some time since we lead
  std::set<storage::IncarnationId> new_nodes_;         // have not been told yet what they hold
  std::map<storage::IncarnationId, absl::Time> first_seen_unregistered_;
  absl::Time nobody_dead_before_ = absl::InfinitePast();
  std::map<storage::IncarnationId, absl::Time> unable_since_;
  std::set<storage::IncarnationId> evacuated_;

  size_t slices_changed_ = 0;  // in this round
  DemandBoard board_;
  std::string pool_cursor_;
  std::string returned_cursor_;
  std::set<storage::IncarnationId> welcomed_;  // have had their share
  // A pass over all SKUs on behalf of newcomers.
  struct Welcome {
    std::set<storage::IncarnationId> newcomers;
    std::string after_sku;
  };
  std::optional<Welcome> welcome_;
  AnnouncementRepair repair_;
  absl::Time last_repair_ = absl::InfinitePast();
  absl::Time last_repair_step_ = absl::InfinitePast();

  std::thread thread_;
};

}  // namespace tranche::quota
