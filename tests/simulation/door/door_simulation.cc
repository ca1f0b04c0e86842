#include "tests/simulation/door/door_simulation.h"

#include <sodium.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "tests/simulation/door/door_checker.h"
#include "tests/simulation/door/door_cluster.h"
#include "tests/simulation/door/door_crowd.h"
#include "tests/simulation/door/door_plan.h"
#include "tests/simulation/door/door_staff.h"
#include "tests/simulation/random.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"

namespace tranche::simulation {
namespace {

constexpr size_t kDoorPrintedLines = 60;
constexpr absl::Duration kDoorSettling = absl::Minutes(1);
// A buyer at the end may have to wait for many others' tries, or for a token's expiry, and comes again.
constexpr absl::Duration kDoorLongestEnd = absl::Minutes(20);

// Of the present run.
Random& DoorChance() {
  static Random chance(0);
  return chance;
}

const char* NameOfDoorChance() { return "the seed's"; }
uint32_t NextOfDoorChance() { return static_cast<uint32_t>(DoorChance().Next()); }
void FillFromDoorChance(void* const buffer, const size_t size) {
  auto* const bytes = static_cast<unsigned char*>(buffer);
  std::generate(bytes, bytes + size, [] { return static_cast<unsigned char>(DoorChance().Next()); });
}

// Nonces, ids of tokens, and the hash keys of rate tables come from there.
void UseDoorChance(Random random) {
  static randombytes_implementation implementation = {.implementation_name = NameOfDoorChance,
                                                      .random = NextOfDoorChance,
                                                      .stir = nullptr,
                                                      .uniform = nullptr,
                                                      .buf = FillFromDoorChance,
                                                      .close = nullptr};
  // Its own first use of chance is not the run's.
  CHECK_GE(sodium_init(), 0);
  DoorChance() = random;
  randombytes_set_implementation(&implementation);
}

class DoorSimulation {
 public:
  DoorSimulation(Random random, bool print_trace)
      : trace_(print_trace),
        scheduler_(random.Fork()),
        plan_(DoorPlanFor(random)),
        checker_(plan_.nodes, plan_.roomy, &scheduler_),
        cluster_(plan_, random.Fork(), &scheduler_, &trace_, &checker_),
        balancer_(&cluster_, random.Fork(), &scheduler_),
        operators_(&cluster_, random.Fork(), &scheduler_, DoorCrowd::KnownSubjects()),
        crowd_(&cluster_, &balancer_, &checker_, random.Fork(), &scheduler_) {}

  void Run() {
    cluster_.Start();
    balancer_.Start();
    operators_.Start();
    crowd_.Start();
    RunFor(plan_.length);
    operators_.Stop();
    crowd_.Stop();
    cluster_.Heal();
    balancer_.LetAllIn();
    RunFor(kDoorSettling);
    // In a table where all keys meet, nobody is promised anything.
    if (!plan_.roomy || scheduler_.stopping()) return;
    crowd_.SendLastBuyers();
    RunFor(kDoorLongestEnd);
    if (crowd_.still_waiting() == 0) return;
    checker_.Violated("all get in", absl::StrCat(crowd_.still_waiting(), " honest buyers have not got in at the end"));
  }

  SimulationResult Finish() {
    scheduler_.Stop();
    scheduler_.Finish();
    SimulationResult result;
    result.scenario = kDoorScenario;
    result.violation = checker_.violation();
    if (result.violation.has_value()) result.last_lines = trace_.LastLines(kDoorPrintedLines);
    result.trace_hash = trace_.hash();
    result.steps = scheduler_.steps();
    result.virtual_time = scheduler_.Now() - absl::FromUnixSeconds(Scheduler::kStart);
    result.requests = crowd_.visits();
    result.reservations = crowd_.bought();
    result.door_answers = checker_.answers();
    return result;
  }

 private:
  void RunFor(absl::Duration duration) { scheduler_.RunUntil(scheduler_.Now() + duration); }

  Trace trace_;
  Scheduler scheduler_;
  const DoorPlan plan_;
  DoorChecker checker_;
  DoorCluster cluster_;
  DoorBalancer balancer_;
  DoorOperators operators_;
  DoorCrowd crowd_;
};

}  // namespace

SimulationResult SimulateDoor(const SimulationOptions& options) {
  Random random(options.seed);
  UseDoorChance(random.Fork());
  DoorSimulation simulation(random.Fork(), options.print_trace);
  simulation.Run();
  SimulationResult result = simulation.Finish();
  result.seed = options.seed;
  return result;
}

}  // namespace tranche::simulation
