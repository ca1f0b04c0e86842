// A front node's side of the coordination: registers its incarnation, follows its slices, reports what it sells and
// what it lacks, begins a new incarnation when its session expires, and hands its units back when it is drained.
//
// Level-triggered: every event only wakes the agent, which then reads the current state and applies it. Reading the
// same announcement twice changes nothing. All work is done in turns (RunOnce), by a thread of the agent or by its
// owner, as in the simulation.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"
#include "quota/node/demand_reporter.h"
#include "quota/node/node_drain.h"
#include "quota/node/node_host.h"
#include "quota/node/slice_reader.h"
#include "quota/slices/slice_table.h"
#include "storage/base/histogram.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

struct NodeAgentOptions {
  std::string node_name;
  std::string address;  // host:port that callers reach
  // Time between looks at the slices, whatever was or was not heard: at all if there are few, otherwise at many in
  // turn.
  absl::Duration resync_interval = absl::Seconds(2);
  // Time between tries to begin an incarnation while ZooKeeper or the ledger does not answer.
  absl::Duration restart_pause = absl::Milliseconds(200);
  // A drained node returns its units after this long at the latest, even if claims are undecided: the ledger refuses
  // those.
  absl::Duration drain_patience = absl::Seconds(5);
  DemandReporterOptions demand;
  // It sells what is queued, to no buyers of its own: it is given units by demand only.
  bool consumer = false;
};

class NodeAgent : public CoordinationObserver, public SessionSource {
 public:
  // Dependencies outlive the agent. `waiting` says how many requests wait for units of a SKU.
  NodeAgent(CoordinationConnector* connector, storage::StockLedger* ledger, SliceTable* slices, NodeHost* host,
            storage::Clock* clock, DemandReporter::WaitingCount waiting, NodeAgentOptions options);
  ~NodeAgent() override;

  // Begin, then turns on a thread of its own.
  absl::Status Start();

  // Connects and registers the first incarnation. Fails if ZooKeeper or the ledger does not answer, and with an error
  // of IsAnotherLedgersTree if the two do not belong together. Later incarnations do not begin either, until they do.
  absl::Status Begin();
  // One turn: does what there is to do now and returns without waiting for more.
  void RunOnce();
  // Has something been heard since the last turn began? If not, the next turn is due after TurnInterval.
  bool HasWork() const;
  absl::Duration TurnInterval() const;

  // Stops following, returns all units to the pool and removes the node's registration. Call it when the pipeline is
  // drained. A failure is harmless: the balancer reclaims what is left.
  absl::Status Release();

  storage::IncarnationId incarnation() const { return incarnation_.load(std::memory_order_acquire); }

  const std::string& name() const { return options_.node_name; }
  // For metrics; any thread may ask. What buyers ask for, by SKU, as measured last.
  std::shared_ptr<const TrafficBySku> traffic() const { return reporter_.traffic(); }
  // Does ZooKeeper answer on the present session?
  bool connected() const { return connected_.load(std::memory_order_relaxed); }
  // From the first event of a turn until what has changed is applied.
  const Histogram& applying_s() const { return applying_s_; }

  // SessionSource: for announcing from admin calls.
  std::shared_ptr<Coordination> Session() override;

  // CoordinationObserver.
  void OnChanged(const std::string& path) override;
  void OnConnected() override;
  void OnDisconnected() override;
  void OnSessionExpired() override;

 private:
  struct Work {
    bool expired = false;                           // the session is over
    storage::IncarnationId ended = storage::kPool;  // the ledger or the tree says that this one has ended
    bool everything = false;                        // re-read all
    bool resync = false;                            // re-read a part, in turn
    std::set<std::string> changed;                  // otherwise only these paths
    absl::Time changed_at = absl::InfinitePast();   // when the first of them was heard of
    std::map<std::string, PoolNews> pool_news;      // by SKU, to be announced
  };

  void Run();
  Work TakeWork();
  void EndIncarnation();
  absl::Status NewSession();
  absl::Status BeginIncarnation();
  absl::StatusOr<storage::IncarnationId> RegisterInLedger();
  absl::Status Register(Coordination& session, storage::IncarnationId incarnation);

  absl::Status Sync(const Work& work);
  absl::Status SyncAll(Coordination& session, SliceReader::Which which);
  absl::Status SyncChanged(Coordination& session, const std::set<std::string>& changed);
  void ReadFrontDoor(Coordination& session);
  absl::Status RegisterAgain(Coordination& session);
  void RestoreRegistration(Coordination& session, int32_t version);

  void AnnouncePoolNews(const Work& work);
  absl::Status ReportDemand();
  void NotePoolNews(PoolNews news);
  void Wake(absl::FunctionRef<void(Work&)> note);

  CoordinationConnector* const connector_;
  storage::StockLedger* const ledger_;
  SliceTable* const slices_;
  NodeHost* const host_;
  storage::Clock* const clock_;
  const NodeAgentOptions options_;
  Announcer announcer_;

  std::atomic<storage::IncarnationId> incarnation_{storage::kPool};
  std::atomic<bool> connected_{false};
  Histogram applying_s_{LatencyBounds()};

  mutable absl::Mutex mutex_;
  std::shared_ptr<Coordination> session_ ABSL_GUARDED_BY(mutex_);
  Work work_ ABSL_GUARDED_BY(mutex_);
  bool work_to_do_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // Used only in turns.
  bool begun_ = false;  // the current incarnation is registered
  // Registered in the ledger, not yet in ZooKeeper.
  storage::IncarnationId beginning_ = storage::kPool;
  // What an incarnation wrote about itself.
  std::string registration_;
  storage::IncarnationId registration_of_ = storage::kPool;
  absl::Time last_full_sync_ = absl::InfinitePast();
  SliceReader reader_;
  NodeDrain drain_;
  DemandReporter reporter_;

  std::thread thread_;
};

}  // namespace tranche::quota
