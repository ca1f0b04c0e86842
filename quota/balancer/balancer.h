// The balancer. Several may run; they elect a leader. It splits what comes into the pool among the live nodes, gives
// newcomers their share, reclaims what dead incarnations held, moves units to where the demand is, announces when a SKU
// is sold out, and repairs announcements that a crash left out.
//
// Every step reads the current state and is safe to repeat; leadership only saves work. Two leaders at once, or none,
// cost efficiency and never a unit, since the ledger decides each move by itself. Each round does a bounded piece of
// every kind of work, the urgent first, so that a hundred thousand SKUs do not delay one dry node.
//
// This class decides when to run a round; who leads is in leadership.h, what a leader does in round/.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "quota/balancer/balancer_counts.h"
#include "quota/balancer/balancer_options.h"
#include "quota/balancer/balancer_pulse.h"
#include "quota/balancer/inbox.h"
#include "quota/balancer/leadership.h"
#include "quota/balancer/node_probe.h"
#include "quota/coordination/coordination.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

class LeaderRound;

class Balancer : public CoordinationObserver {
 public:
  // Dependencies outlive the balancer.
  Balancer(CoordinationConnector* connector, storage::StockLedger* ledger, storage::Clock* clock,
           BalancerOptions options);
  ~Balancer() override;

  // Connects and starts the thread. Fails if ZooKeeper does not answer.
  absl::Status Start();
  // Gives up leadership and ends the thread.
  void Stop();

  // One round, as the thread runs it: stands for election and, as the leader, brings everything into order. For tests
  // and the simulation, which call it after Connect, instead of Start.
  absl::Status Connect();
  absl::Status RunOnce();
  // Is there more to do at once? If not, the next round is due after the poll interval.
  bool HasWork() const { return inbox_.HasWork(); }

  bool leading() const { return leadership_.leading(); }
  // As of the thread's last round. From any thread.
  BalancerPulse::State pulse() const { return pulse_.Read(); }
  std::shared_ptr<Coordination> Session() { return leadership_.Session(); }

  // For those who watch it, from any thread. None of these waits for ZooKeeper or the ledger.
  const BalancerCounts& counts() const { return counts_; }
  // Is it connected, with a session that has not expired?
  bool zookeeper_up() const { return zookeeper_up_; }
  // Nothing without a probe.
  std::optional<NodeProbeStats> ProbeStats() const;

  void OnChanged(const std::string& path) override;
  void OnConnected() override;
  void OnDisconnected() override;
  void OnSessionExpired() override;

 private:
  enum class Protection { kDue, kBegun, kDone };

  void Run();
  absl::Status Round();
  absl::Status CheckLeadership(Coordination& session);
  absl::Status Lead(Coordination& session);
  absl::Status Balance(Coordination& session);
  void ProtectTree(Coordination& session);
  absl::Status RestoreTree(Coordination& session);

  storage::Clock* const clock_;
  const BalancerOptions options_;
  Inbox inbox_;
  Leadership leadership_;
  BalancerPulse pulse_;
  BalancerCounts counts_;
  std::atomic<bool> zookeeper_up_ = false;

  // Only on the thread that runs the rounds.
  News pending_{.everything = true};  // heard, but not looked at successfully yet
  absl::Time refreshed_at_ = absl::InfinitePast();
  // Since this process leads; not at other shards than home.
  Protection protection_ = Protection::kDue;
  const std::unique_ptr<LeaderRound> round_;

  std::thread thread_;
};

}  // namespace tranche::quota
