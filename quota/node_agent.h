// A front node's side of the coordination: registers its incarnation, follows its slices, reports what it runs out of,
// starts over with a new incarnation when its session expires, and hands its units back at the end.
//
// Level-triggered: every event only wakes the agent's thread, which then reads what is there (Sync) and applies it.
// Reading the same announcement twice changes nothing.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "quota/announcer.h"
#include "quota/coordination.h"
#include "quota/slice_table.h"
#include "storage/ledger.h"

namespace tranche::quota {

struct NodeAgentOptions {
  std::string node_name;
  std::string address;                                // host:port that callers reach
  absl::Duration resync_interval = absl::Seconds(2);  // full re-read, whatever was or was not heard
};

class NodeAgent : public CoordinationObserver, public SessionSource {
 public:
  // `drain_requested` is called once, on the agent's thread, when an operator asks this node to drain.
  NodeAgent(CoordinationConnector* connector, storage::StockLedger* ledger, SliceTable* slices,
            NodeAgentOptions options, std::function<void()> drain_requested);
  ~NodeAgent() override;

  // Connects, registers the first incarnation and starts following. Fails if ZooKeeper or the ledger does not answer.
  absl::Status Start();

  // Stops following, returns all units to the pool and removes the node's registration. Call it when the pipeline is
  // drained. Failing is harmless: the balancer reclaims what is left.
  absl::Status Release();

  storage::IncarnationId incarnation() const { return incarnation_.load(std::memory_order_acquire); }

  // SessionSource: for announcing from admin calls.
  std::shared_ptr<Coordination> Session() override;

  // CoordinationObserver.
  void OnChanged(const std::string& path) override;
  void OnConnected() override;
  void OnDisconnected() override;
  void OnSessionExpired() override;

 private:
  struct Work {
    bool stop = false;
    bool expired = false;                           // the session is over
    storage::IncarnationId ended = storage::kPool;  // the ledger or the tree says that this one is over
    bool everything = false;                        // re-read all
    absl::flat_hash_set<std::string> changed;       // else only these paths
  };

  void Run();
  Work WaitForWork();
  void Restart(bool new_session);
  absl::Status BeginIncarnation();
  absl::StatusOr<storage::IncarnationId> RegisterInLedger();
  absl::Status Register(Coordination& session, storage::IncarnationId incarnation);
  absl::Status Sync(const Work& work);
  absl::Status SyncAll(Coordination& session);
  absl::Status SyncChanged(Coordination& session, const absl::flat_hash_set<std::string>& changed);
  absl::Status ReadSlices(Coordination& session, const std::vector<std::string>& skus);
  absl::Status ReadSkus(Coordination& session, const std::vector<std::string>& skus);
  absl::Status ReadDrain(Coordination& session);
  absl::Status ReportDemand();
  void Wake(absl::FunctionRef<void(Work&)> note);

  CoordinationConnector* const connector_;
  storage::StockLedger* const ledger_;
  SliceTable* const slices_;
  const NodeAgentOptions options_;
  const std::function<void()> drain_requested_;

  std::atomic<storage::IncarnationId> incarnation_{storage::kPool};

  absl::Mutex mutex_;
  std::shared_ptr<Coordination> session_ ABSL_GUARDED_BY(mutex_);
  Work work_ ABSL_GUARDED_BY(mutex_);
  bool work_to_do_ ABSL_GUARDED_BY(mutex_) = false;

  // Only on the agent's thread.
  // Registered in the ledger, not yet in ZooKeeper.
  storage::IncarnationId beginning_ = storage::kPool;
  int64_t report_sequence_ = 0;
  std::string last_report_;
  bool drain_seen_ = false;

  std::thread thread_;
};

}  // namespace tranche::quota
