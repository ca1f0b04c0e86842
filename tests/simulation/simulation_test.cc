// The simulation itself, and a thousand seeds of it; scripts/simulate runs more.
#include "tests/simulation/simulation.h"

#include <glog/logging.h>

#include <set>

#include "gtest/gtest.h"
#include "tests/simulation/campaign.h"
#include "tests/simulation/random.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/scheduler.h"

namespace tranche::simulation {
namespace {

// A sanitizer costs a factor of ten and more, and looks for something else.
#if defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kSeeds = 30;
#else
constexpr uint64_t kSeeds = 1000;
#endif

TEST(RandomTest, IsTheSameEverywhere) {
  Random random(42);
  EXPECT_EQ(random.Next(), 1546998764402558742u);
  EXPECT_EQ(random.Next(), 6990951692964543102u);
  std::set<int64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.Between(-1, 3));
  EXPECT_EQ(seen, (std::set<int64_t>{-1, 0, 1, 2, 3}));
}

TEST(SchedulerTest, RunsWhatIsDueInOrderAndWaitsTakeVirtualTime) {
  Scheduler scheduler{Random(1)};
  const absl::Time start = scheduler.Now();
  std::vector<int> order;
  scheduler.Spawn([&] {
    scheduler.Sleep(absl::Seconds(2));
    order.push_back(2);
  });
  scheduler.Spawn([&] {
    scheduler.Sleep(absl::Seconds(1));
    order.push_back(1);
    scheduler.Sleep(absl::Hours(2));
    order.push_back(4);
  });
  scheduler.After(absl::Seconds(3), [&] { order.push_back(3); });
  scheduler.RunUntil(start + absl::Hours(1));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(scheduler.Now(), start + absl::Hours(1));
  scheduler.Stop();
  scheduler.Finish();
  EXPECT_EQ(order.back(), 4) << "the fiber was run to its end";
}

TEST(SchedulerTest, ASignalWakesThoseWhoseConditionHolds) {
  Scheduler scheduler{Random(1)};
  const absl::Time start = scheduler.Now();
  Signal signal(&scheduler);
  int value = 0;
  absl::Time woken_at, timed_out_at;
  scheduler.Spawn([&] {
    scheduler.AwaitSignal(
        &signal, [&] { return value == 2; }, absl::InfiniteDuration());
    woken_at = scheduler.Now();
  });
  scheduler.Spawn([&] {
    scheduler.AwaitSignal(
        &signal, [&] { return value == 3; }, absl::Seconds(5));
    timed_out_at = scheduler.Now();
  });
  for (int i = 1; i <= 2; ++i) {
    scheduler.After(absl::Seconds(i), [&, i] {
      value = i;
      signal.Notify();
    });
  }
  scheduler.RunUntil(start + absl::Seconds(10));
  EXPECT_GE(woken_at, start + absl::Seconds(2));
  EXPECT_LT(woken_at, start + absl::Seconds(2.1));
  EXPECT_EQ(timed_out_at, start + absl::Seconds(5));
}

TEST(SimulationTest, OneSeedReplaysExactly) {
  for (const std::string& scenario : ScenarioNames()) {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      const SimulationResult first = Simulate({.seed = seed, .scenario = scenario});
      const SimulationResult again = Simulate({.seed = seed, .scenario = scenario});
      EXPECT_EQ(first.trace_hash, again.trace_hash) << scenario << ", seed " << seed;
      EXPECT_EQ(first.steps, again.steps) << scenario << ", seed " << seed;
      EXPECT_NE(first.trace_hash, Simulate({.seed = seed + 100, .scenario = scenario}).trace_hash);
    }
  }
}

TEST(SimulationTest, AThousandSeedsFindNothing) {
  CampaignOptions options;
  options.seeds = kSeeds;
  options.on_violation = [](const SimulationResult& result) { ADD_FAILURE() << Describe(result, "of this build"); };
  const CampaignSummary summary = RunCampaign(options);
  std::fputs(Describe(summary).c_str(), stdout);
  EXPECT_EQ(summary.seeds, kSeeds);
  EXPECT_GT(summary.reservations, static_cast<int64_t>(kSeeds));
  for (const int64_t events : summary.life) EXPECT_GT(events, static_cast<int64_t>(kSeeds) / 10);
}

}  // namespace
}  // namespace tranche::simulation

int main(int argc, char** argv) {
  FLAGS_minloglevel = google::GLOG_FATAL;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
