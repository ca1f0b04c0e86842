#include "tests/scale/scenarios.h"

#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "glog/logging.h"
#include "quota/coordination/announcement_repair.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination_paths.h"

namespace tranche::testing {
namespace {

constexpr absl::Duration kAtMost = absl::Minutes(1);
// How long a state that does not change is watched: several full reads of everything.
constexpr absl::Duration kWatched = absl::Seconds(10);
// SKUs that each node sells while there is steady traffic.
constexpr int kSkusSoldPerNode = 50;

class Deaf : public quota::CoordinationObserver {
 public:
  void OnChanged(const std::string&) override {}
  void OnConnected() override {}
  void OnDisconnected() override {}
  void OnSessionExpired() override {}
};

class OneSession : public quota::SessionSource {
 public:
  explicit OneSession(std::shared_ptr<quota::Coordination> session) : session_(std::move(session)) {}
  std::shared_ptr<quota::Coordination> Session() override { return session_; }

 private:
  const std::shared_ptr<quota::Coordination> session_;
};

int64_t ResidentBytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  int64_t size = 0, resident = 0;
  const int read = std::fscanf(file, "%ld %ld", &size, &resident);
  std::fclose(file);
  return read == 2 ? resident * 4096 : 0;
}

class Scenarios {
 public:
  Scenarios(const ScaleOptions& options, const std::function<void(const Phase&)>& note)
      : options_(options), note_(note), cluster_(options) {
    result_.options = options;
    cluster_.Build();
  }

  ScaleResult Run() {
    FirstSplit();
    Note(cluster_.RunFor("nothing happens", kWatched));
    OneDryNode();
    EverySkuAskedFor();
    SteadyTraffic();
    MeasureReports();
    NodeJoins();
    NodeDies();
    LeaderDies();
    FullRepair();
    Check();
    return std::move(result_);
  }

 private:
  void Note(Phase phase) {
    note_(phase);
    result_.phases.push_back(std::move(phase));
  }
  void RunUntilServed(const std::string& name) {
    Note(cluster_.Run(name, kAtMost, [this] { return cluster_.Waiting() == 0 && cluster_.Settled(); }));
  }

  void FirstSplit() {
    Note(cluster_.Run("first split", kAtMost, [this] { return cluster_.Settled(); }));
    // The first repair has looked at everything, so that the next phases are not part of it.
    cluster_.Run("", absl::Seconds(1), [] { return false; });
  }

  void OneDryNode() {
    cluster_.Ask(options_.nodes / 2, options_.active - 1, 1);
    RunUntilServed("1 node runs dry");
  }

  // The presplit ones are sold out where buyers are; the others have no units there yet.
  void EverySkuAskedFor() {
    std::uniform_int_distribution<int> any_node(1, options_.nodes - 1);
    for (int sku = 0; sku < options_.active; ++sku) {
      // Node 0 gets all of them: it is the one that dies later.
      cluster_.RunDry(0, sku);
      for (int i = 1; i < options_.askers; ++i) cluster_.RunDry(any_node(cluster_.random()), sku);
    }
    RunUntilServed("every active SKU asked for");
  }

  // Requests at every node, none of which runs dry: reports, and what they cost.
  void SteadyTraffic() {
    const absl::Duration interval = absl::Seconds(1);
    Phase total;
    total.name = "steady traffic";
    total.reached = true;
    std::uniform_int_distribution<int> any_sku(0, options_.active - 1);
    std::uniform_int_distribution<int> units(5, 15);
    for (absl::Duration passed; passed < kWatched; passed += interval) {
      for (int node = 0; node < options_.nodes; ++node) {
        for (int i = 0; i < kSkusSoldPerNode; ++i) {
          cluster_.node(node).CountTraffic(cluster_.active_sku((node * 7 + i) % options_.active),
                                           units(cluster_.random()));
        }
      }
      Append(cluster_.RunFor("", interval), &total);
    }
    Note(std::move(total));
  }

  static void Append(const Phase& part, Phase* total) {
    total->rounds += part.rounds;
    total->simulated += part.simulated;
    total->wall += part.wall;
    total->balancer += part.balancer;
    total->nodes += part.nodes;
    total->balancer_cpu += part.balancer_cpu;
    total->longest_round_cpu = std::max(total->longest_round_cpu, part.longest_round_cpu);
    if (part.longest_estimate > total->longest_estimate) {
      total->longest_estimate = part.longest_estimate;
      total->most = part.most;
    }
  }

  void MeasureReports() {
    const auto session = *cluster_.connector().Connect(&deaf_);
    const auto names = session->List(quota::kDemandPath, quota::Watch::kNo);
    for (const std::string& name : *names) {
      const auto report = session->Get(quota::DemandPath(quota::ParseIncarnation(name)), quota::Watch::kNo);
      const auto bytes = static_cast<int64_t>(report->data.size());
      result_.largest_report = std::max(result_.largest_report, bytes);
      result_.reports_bytes += bytes;
    }
  }

  void NodeJoins() {
    const int newcomer = cluster_.AddNode();
    const auto has_its_share = [&] {
      int held = 0;
      for (int sku = 0; sku < options_.presplit; ++sku) {
        const auto slice = cluster_.node(newcomer).slices().Find(cluster_.active_sku(sku));
        if (slice != nullptr && slice->counter().free() > 0) ++held;
      }
      return held == options_.presplit && cluster_.Settled();
    };
    Note(cluster_.Run("a node joins", kAtMost, has_its_share));
  }

  void NodeDies() {
    result_.most_slices =
        static_cast<int64_t>(cluster_.ledger().ListSlices(cluster_.node(0).agent().incarnation())->size());
    const storage::IncarnationId died = cluster_.KillNode(0);
    const auto reclaimed = [&] { return cluster_.ledger().ListSlices(died)->empty() && cluster_.Settled(); };
    Note(cluster_.Run("a node dies", kAtMost, reclaimed));
  }

  // Until the successor has met a demand that came up meanwhile.
  void LeaderDies() {
    cluster_.AddBalancer();
    cluster_.RunFor("", absl::Milliseconds(300));
    const int64_t before = static_cast<int64_t>(mallinfo2().uordblks);
    cluster_.KillLeader();
    result_.balancer_bytes = before - static_cast<int64_t>(mallinfo2().uordblks);
    for (int sku = 0; sku < options_.active; sku += std::max(1, options_.active / 10)) cluster_.RunDry(1, sku);
    RunUntilServed("a new leader");
  }

  void FullRepair() {
    Traffic traffic;
    CountingConnector connector(&cluster_.connector(), &traffic);
    CountingLedger ledger(&cluster_.ledger(), &traffic);
    const std::shared_ptr<quota::Coordination> session = *connector.Connect(&deaf_);
    OneSession source(session);
    quota::Announcer announcer(&source);
    quota::AnnouncementRepair repair(&ledger, &announcer);
    const CostModel costs;
    Phase phase;
    phase.name = "a full repair pass";
    phase.reached = true;
    const int64_t start = absl::GetCurrentTimeNanos();
    repair.Begin();
    while (repair.running()) {
      const Traffic before = traffic;
      const int64_t step_start = absl::GetCurrentTimeNanos();
      CHECK(repair.Step(*session).ok());
      const absl::Duration wall = absl::Nanoseconds(absl::GetCurrentTimeNanos() - step_start);
      const Traffic step = traffic - before;
      ++phase.rounds;
      if (costs.Of(step) > phase.longest_estimate) {
        phase.longest_estimate = costs.Of(step);
        phase.most = step;
      }
      phase.longest_round_cpu = std::max(phase.longest_round_cpu, wall - step.inside);
      phase.balancer_cpu += wall - step.inside;
      // One piece per round, and one round per poll interval when nothing else happens.
      phase.simulated += std::max(costs.Of(step), quota::BalancerOptions().poll_interval);
    }
    phase.wall = absl::Nanoseconds(absl::GetCurrentTimeNanos() - start);
    phase.balancer = traffic;
    Note(std::move(phase));
  }

  void Check() {
    const auto session = *cluster_.connector().Connect(&deaf_);
    result_.tree = MeasureTree(*session);
    result_.differences = CompareWithLedger(*session, cluster_.ledger());
    result_.violations = static_cast<int64_t>(cluster_.ledger().Verify("")->violations.size());
    result_.resident_bytes = ResidentBytes();
    std::set<storage::IncarnationId> holders = {storage::kPool};
    const auto live = cluster_.ledger().ListLiveIncarnations();
    for (const storage::Incarnation& incarnation : *live) holders.insert(incarnation.id);
    for (int sku = 0; sku < options_.active; ++sku) {
      const auto quota = cluster_.ledger().ReadQuota(cluster_.active_sku(sku));
      for (const storage::HeldSlice& slice : quota->slices) {
        const bool idle = slice.holder == storage::kPool && sku < options_.presplit;
        if (idle || !holders.contains(slice.holder)) result_.stranded += slice.remaining;
      }
    }
  }

  const ScaleOptions options_;
  const std::function<void(const Phase&)>& note_;
  Deaf deaf_;
  ScaleCluster cluster_;
  ScaleResult result_;
};

}  // namespace

ScaleResult RunScenarios(const ScaleOptions& options, const std::function<void(const Phase&)>& note) {
  return Scenarios(options, note).Run();
}

}  // namespace tranche::testing
