#include "tests/simulation/simulation.h"

#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/aftersale.h"
#include "tests/simulation/buyers.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/door/door_simulation.h"
#include "tests/simulation/fault_injector.h"
#include "tests/simulation/operators.h"
#include "tests/simulation/world.h"

namespace tranche::simulation {
namespace {

constexpr size_t kPrintedLines = 60;
constexpr absl::Duration kVerifyEvery = absl::Seconds(5);
// Longer than the slowest self-repair: the balancer's repair every 10 s, its grace of 30 s for an incarnation that
// never registered, a process's restart.
constexpr absl::Duration kLongestSettling = absl::Seconds(60);
constexpr absl::Duration kQuiet = absl::Seconds(12);
constexpr absl::Duration kLongestSale = absl::Seconds(60);
constexpr absl::Duration kLongestAnswering = absl::Seconds(15);
constexpr absl::Duration kSoldOutStaleness = absl::Seconds(20);
// Until nodes forget sales that were lost; docs/operations.md.
constexpr absl::Duration kRestoredStaleness = absl::Seconds(10);
// From the balancer's look for returned units, every 100 ms, to the slowest announcement. Nodes that nobody tells find
// out later: their doubts are up to 8 s apart.
constexpr absl::Duration kReturnedStaleness = absl::Seconds(2);
// Many holds may end at once, and a worker takes a few at a time.
constexpr absl::Duration kLongestOverdueHold = absl::Seconds(5);
// No short hold can last this long, and no long one can end this soon.
constexpr absl::Duration kSoon = absl::Hours(1);
constexpr absl::Duration kFickleSale = absl::Seconds(3);
constexpr absl::Duration kStep = absl::Milliseconds(500);

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : random_(options.seed),
        world_(Choose(random_, options.scenario), random_, options.print_trace),
        world_actor_(world_.trace.AddActor("world")),
        aftersale_(&world_, &cluster_),
        buyers_(&world_, &cluster_, &aftersale_),
        cluster_(&world_),
        operators_(&world_, &cluster_),
        injector_(&world_, &cluster_) {}

  void Run() {
    if (world_.scenario.name == "calm") ExpectFresh();
    if (world_.scenario.name == "restores") world_.checker.ExpectFreshSoldOut(kRestoredStaleness, kRestoredStaleness);
    cluster_.Launch();
    world_.scheduler.Spawn([this] { operators_.Run(); });
    world_.scheduler.Spawn([this] { injector_.Run(); });
    buyers_.Start(world_.scenario.between_requests, /*everybody_new=*/false, /*all_to_one_node=*/false);
    RunFor(world_.scenario.faulty_phase);
    Settle();
    SellOut();
    End();
  }

  // Ends every fiber.
  void Finish() {
    world_.scheduler.Stop();
    world_.scheduler.Finish();
  }

  World& world() { return world_; }
  const Buyers& buyers() const { return buyers_; }

 private:
  static Scenario Choose(Random& random, const std::string& name) {
    return ScenarioFor(random, name, absl::FromUnixSeconds(Scheduler::kStart));
  }

  void RunFor(absl::Duration duration) {
    const absl::Time end = world_.scheduler.Now() + duration;
    while (world_.scheduler.Now() < end && !world_.scheduler.stopping()) {
      world_.scheduler.RunUntil(std::min(end, world_.scheduler.Now() + kVerifyEvery));
      Verify();
    }
  }

  void Verify() {
    world_.checker.VerifyLedger();
    world_.life.VerifyAll();
    world_.groups.VerifyAll();
  }

  void ExpectFresh() {
    // Without a balancer, nobody announces what comes back: whoever is refused makes the node ask.
    if (world_.scenario.balancers > 0) {
      world_.checker.ExpectFreshSoldOut(kSoldOutStaleness, kReturnedStaleness);
    }
    world_.life.ExpectPromptExpiry(kLongestOverdueHold);
    world_.groups.ExpectPromptEnd(kLongestOverdueHold);
  }

  // Units that may come back: unpaid ones, and those of groups.
  bool HoldsLapseSoon() const {
    return world_.groups.AnyForming() || world_.life.AnyEndsBefore(world_.scheduler.Now() + kSoon);
  }

  // Runs until `done`. False when it takes too long.
  template <typename Done>
  bool RunUntil(absl::Duration longest, const Done& done) {
    const absl::Time end = world_.scheduler.Now() + longest;
    while (!world_.scheduler.stopping() && !done()) {
      if (world_.scheduler.Now() >= end) return false;
      world_.scheduler.RunUntil(world_.scheduler.Now() + kStep);
    }
    return true;
  }
  // The same, with a complaint.
  template <typename Done>
  void RunUntil(absl::Duration longest, const Done& done, const char* rule, absl::string_view complaint) {
    if (!RunUntil(longest, done)) world_.checker.Violated(rule, std::string(complaint));
  }

  bool AllAnswered() const {
    return buyers_.open_tries() == 0 && aftersale_.open() == 0 && buyers_.open_claims() == 0 &&
           world_.claims.undecided() == 0;
  }

  // Describes what buyers still wait for, and who should have answered.
  std::string Unanswered() const {
    std::string text =
        absl::StrCat(buyers_.open_tries(), " tries to buy and ", aftersale_.open(), " errands are not done");
    if (buyers_.open_claims() > 0 || world_.claims.undecided() > 0) {
      absl::StrAppend(&text, "; ", buyers_.open_claims(), " buyers wait for what becomes of their queued claims, ",
                      world_.claims.undecided(), " lines are not decided ", world_.claims.Undecided());
    }
    for (int i = 0; i < cluster_.nodes(); ++i) {
      const auto node = cluster_.node(i);
      if (node == nullptr || node->requests().empty()) continue;
      absl::StrAppend(&text, "; ", node->name(), " has not answered ", node->requests().size(), ": ",
                      node->requests().Oldest(world_.scheduler.Now()));
    }
    return text;
  }

  bool AllServe() const {
    for (int i = 0; i < cluster_.nodes(); ++i) {
      const auto node = cluster_.node(i);
      if (node == nullptr || !node->serving() || node->draining()) return false;
    }
    return true;
  }

  void Settle() {
    Note("the faults end");
    buyers_.Stop();
    injector_.Heal();
    const auto everything_is_up = [&] { return operators_.settled() && AllServe(); };
    RunUntil(kLongestSettling, everything_is_up, "recovery", "not everything is up again in time");
    Note("everything serves");
    const auto dead_hold_nothing = [&] { return !world_.checker.AnyHeldByOthersThan(Incarnations()); };
    RunUntil(kLongestSettling, dead_hold_nothing, "stranded", "an incarnation that is gone still holds units");
    if (!RunUntil(kLongestSettling, [&] { return AllAnswered() && !HoldsLapseSoon(); })) {
      AllAnswered()
          ? world_.checker.Violated("hold", absl::StrCat(world_.life.EndingBefore(world_.scheduler.Now() + kSoon),
                                                         " short holds that nobody has paid for do not come back, ",
                                                         world_.groups.Forming().size(), " groups do not end"))
          : world_.checker.Violated(world_.claims.undecided() > 0 ? "decided" : "one answer", Unanswered());
    }
    // Until no unit has moved for a while.
    int64_t moves = -1;
    absl::Time quiet_since = world_.scheduler.Now();
    const auto quiet = [&] {
      if (moves != world_.checker.moves()) quiet_since = world_.scheduler.Now();
      moves = world_.checker.moves();
      return world_.scheduler.Now() - quiet_since >= kQuiet;
    };
    RunUntil(kLongestSettling, quiet, "quiet", "units still move although nobody asks for any");
    CheckCounters();
  }

  std::set<storage::IncarnationId> Incarnations() const {
    std::set<storage::IncarnationId> incarnations;
    for (int i = 0; i < cluster_.nodes(); ++i) {
      if (const auto node = cluster_.node(i); node != nullptr) incarnations.insert(node->incarnation());
    }
    return incarnations;
  }

  void CheckCounters() {
    for (int i = 0; i < cluster_.nodes(); ++i) {
      const auto node = cluster_.node(i);
      if (node == nullptr) continue;
      for (const storage::Sku& sku : world_.scenario.skus) {
        world_.checker.CheckCounter(node->slices(), sku.sku_id, /*settled=*/true);
      }
    }
  }

  bool SoldOut() const {
    for (const storage::Sku& sku : world_.scenario.skus) {
      if (!world_.checker.Frozen(sku.sku_id) && world_.checker.Unsold(sku.sku_id) > 0) return false;
    }
    return true;
  }

  // Who holds what is left.
  std::string Unsold() {
    std::string text;
    for (const storage::Sku& sku : world_.scenario.skus) {
      const auto quota = world_.ledger.ReadQuota(sku.sku_id);
      if (!quota.ok()) continue;
      for (const storage::HeldSlice& slice : quota->slices) {
        if (slice.remaining == 0) continue;
        absl::StrAppend(&text, " ", slice.remaining, " of ", sku.sku_id, " at ", slice.holder, ", version ",
                        slice.version, ";");
      }
    }
    return text;
  }

  void SellOut() {
    Note("buyers come for what is left");
    ExpectFresh();
    buyers_.Start(absl::Milliseconds(20), /*everybody_new=*/true, world_.scenario.one_buyer_node_at_the_end);
    RunFor(kFickleSale);
    aftersale_.EverybodyPays();
    if (!RunUntil(kLongestSale, [this] { return SoldOut() && !HoldsLapseSoon(); })) {
      world_.checker.Violated("stranded", absl::StrCat("buyers come and units stay unsold:", Unsold()));
    }
    buyers_.Stop();
  }

  void End() {
    Note("the sale is over");
    // What is queued is decided by its deadline.
    const absl::Duration longest = kLongestAnswering + world_.scenario.decide_within;
    if (!RunUntil(longest, [this] { return AllAnswered(); })) {
      world_.checker.Violated(world_.claims.undecided() > 0 ? "decided" : "one answer", Unanswered());
    }
    Verify();
  }

  void Note(const char* what) { world_.trace.Add(world_.scheduler.Now(), world_actor_, what); }

  Random random_;
  World world_;
  const ActorId world_actor_;
  Aftersale aftersale_;
  Buyers buyers_;
  Cluster cluster_;  // its nodes hold requests that buyers wait for
  Operators operators_;
  FaultInjector injector_;
};

}  // namespace

SimulationResult Simulate(const SimulationOptions& options) {
  if (options.scenario == kDoorScenario) return SimulateDoor(options);
  Simulation simulation(options);
  World& world = simulation.world();
  const absl::Time start = world.scheduler.Now();
  simulation.Run();
  SimulationResult result;
  result.seed = options.seed;
  result.scenario = world.scenario.name;
  result.violation = world.checker.violation();
  if (result.violation.has_value()) result.last_lines = world.trace.LastLines(kPrintedLines);
  result.trace_hash = world.trace.hash();
  result.steps = world.scheduler.steps();
  result.virtual_time = world.scheduler.Now() - start;
  result.requests = simulation.buyers().requests();
  result.reservations = world.checker.reservations();
  result.moves = world.checker.moves();
  result.pool_requests = world.checker.pool_requests();
  result.life = world.life.counts();
  result.faults = world.fault_counts;
  result.claims = world.claims.counts();
  result.groups = world.groups.counts();
  simulation.Finish();
  return result;
}

}  // namespace tranche::simulation
