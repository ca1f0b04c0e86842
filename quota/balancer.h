// The balancer: leader-elected, so that several may run. Splits what comes into the pool over the live nodes, evens out
// when nodes join, reclaims what dead incarnations held, moves units to nodes that run dry, tells when a SKU is sold
// out, and repairs announcements that a crash left out.
//
// Every step reads what is there and is safe to repeat; leadership only saves work. Two leaders at once, or none, cost
// efficiency and never a unit, since the ledger decides each move by itself.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/announcer.h"
#include "quota/coordination.h"
#include "quota/live_nodes.h"
#include "quota/quota_mover.h"
#include "storage/clock.h"
#include "storage/ledger.h"

namespace tranche::quota {

struct BalancerOptions {
  std::string name = "balancer";                           // written into the leader's znode, for operators
  absl::Duration poll_interval = absl::Milliseconds(100);  // what no event tells: units that come into a pool
  absl::Duration repair_interval = absl::Seconds(10);      // full comparison of ledger and announcements
  // An incarnation that never registered in ZooKeeper (it died while starting) is reclaimed after this long.
  absl::Duration unregistered_grace = absl::Seconds(30);
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

  bool leading() const;

  std::shared_ptr<Coordination> Session() override;
  void OnChanged(const std::string& path) override;
  void OnConnected() override;
  void OnDisconnected() override;
  void OnSessionExpired() override;

 private:
  // Of one SKU: who is dry, and for want of how many units.
  using Demand = std::map<storage::IncarnationId, int64_t>;

  absl::StatusOr<bool> Campaign(Coordination& session);
  absl::Status Lead(Coordination& session);
  absl::Status ReclaimDead(Coordination& session, const std::vector<LiveNode>& nodes,
                           const std::set<storage::IncarnationId>& live);
  absl::Status Reclaim(Coordination& session, storage::IncarnationId incarnation);
  absl::Status WelcomeNewNodes();
  absl::Status SharePools();
  absl::Status SharePoolOf(const std::string& sku_id);
  absl::Status MeetDemand(Coordination& session);
  absl::Status MeetDemandFor(const std::string& sku_id, const Demand& demand);
  absl::Status ShareEqually(const std::string& sku_id, const std::set<storage::IncarnationId>& dry, int64_t lot);
  absl::Status Repair(Coordination& session, const std::set<storage::IncarnationId>& live);
  absl::Status RemoveLeftovers(Coordination& session, const std::set<storage::IncarnationId>& live);
  void Run();
  void Wake();

  CoordinationConnector* const connector_;
  storage::StockLedger* const ledger_;
  storage::Clock* const clock_;
  const BalancerOptions options_;
  Announcer announcer_;
  QuotaMover mover_;

  mutable absl::Mutex mutex_;
  std::shared_ptr<Coordination> session_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool expired_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool leading_ ABSL_GUARDED_BY(mutex_) = false;

  // Only on the thread that runs the rounds.
  std::vector<storage::IncarnationId> receivers_;  // live and not draining, ascending
  std::set<storage::IncarnationId> welcomed_;      // have had their share since we lead
  std::set<storage::IncarnationId> seen_registered_;
  std::map<storage::IncarnationId, absl::Time> first_seen_unregistered_;
  absl::Time last_repair_ = absl::InfinitePast();

  std::thread thread_;
};

}  // namespace tranche::quota
