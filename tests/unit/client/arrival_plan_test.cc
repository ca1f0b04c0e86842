#include "client/load/arrival_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace tranche::load {
namespace {

Scenario ScenarioOf(std::vector<Phase> phases) {
  Scenario scenario;
  scenario.skus = {"tv", "phone"};
  scenario.phases = std::move(phases);
  scenario.visitors = {{.name = "buyer", .weight = 3}, {.name = "bot", .weight = 1}};
  return scenario;
}

// Up to 1,000 a second within a second, two seconds so, and down to 10 in three.
Scenario Spike() {
  return ScenarioOf({{.shape = Phase::Shape::kRamp, .from = 0, .to = 1000, .length = absl::Seconds(1)},
                     {.shape = Phase::Shape::kHold, .from = 1000, .to = 1000, .length = absl::Seconds(2)},
                     {.shape = Phase::Shape::kFade, .from = 1000, .to = 10, .length = absl::Seconds(3)}});
}

std::vector<Arrival> All(const Scenario& scenario, Share share = {}) {
  ArrivalPlan plan(scenario, share);
  std::vector<Arrival> arrivals;
  while (std::optional<Arrival> next = plan.Next()) arrivals.push_back(*std::move(next));
  return arrivals;
}

int64_t Between(const std::vector<Arrival>& arrivals, double from_s, double to_s) {
  return std::count_if(arrivals.begin(), arrivals.end(), [&](const Arrival& arrival) {
    return arrival.at >= absl::Seconds(from_s) && arrival.at < absl::Seconds(to_s);
  });
}

TEST(ArrivalPlanTest, EvenArrivalsFollowTheCurve) {
  Scenario scenario = Spike();
  scenario.poisson = false;
  // 500 + 2,000 + 990 * 3 / ln(100).
  EXPECT_NEAR(ExpectedArrivals(scenario), 2500 + 990 * 3 / std::log(100.0), 1e-6);
  const std::vector<Arrival> arrivals = All(scenario);
  EXPECT_EQ(arrivals.size(), 3144u);
  EXPECT_NEAR(static_cast<double>(Between(arrivals, 0, 0.5)), 125, 1) << "a quarter of the ramp's in its first half";
  EXPECT_NEAR(static_cast<double>(Between(arrivals, 0, 1)), 500, 1);
  EXPECT_NEAR(static_cast<double>(Between(arrivals, 1, 3)), 2000, 1);
  // The rate falls to a tenth in half of the time.
  EXPECT_NEAR(static_cast<double>(Between(arrivals, 3, 4.5)), 900 * 3 / std::log(100.0), 1);
  EXPECT_TRUE(
      std::is_sorted(arrivals.begin(), arrivals.end(), [](const Arrival& a, const Arrival& b) { return a.at < b.at; }));
  EXPECT_LE(arrivals.back().at, LengthOf(scenario));
}

TEST(ArrivalPlanTest, EvenArrivalsAreEvenlySpaced) {
  Scenario scenario = ScenarioOf({{.from = 50, .to = 50, .length = absl::Seconds(2)}});
  scenario.poisson = false;
  const std::vector<Arrival> arrivals = All(scenario);
  ASSERT_EQ(arrivals.size(), 100u);
  for (size_t i = 0; i < arrivals.size(); ++i) {
    EXPECT_NEAR(absl::ToDoubleSeconds(arrivals[i].at), static_cast<double>(i + 1) / 50, 1e-6);
  }
}

// With this seed, and within six standard deviations with any other.
TEST(ArrivalPlanTest, RandomArrivalsHaveTheCurveAsTheirMean) {
  Scenario scenario = ScenarioOf({{.from = 1000, .to = 1000, .length = absl::Seconds(10)}});
  const std::vector<Arrival> arrivals = All(scenario);
  EXPECT_NEAR(static_cast<double>(arrivals.size()), 10'000, 600);
  // In a Poisson process, the variance of a second's arrivals is their mean; evenly spaced ones have none.
  double squares = 0;
  constexpr int kWindows = 1000;
  for (int window = 0; window < kWindows; ++window) {
    const auto count = static_cast<double>(Between(arrivals, window * 0.01, (window + 1) * 0.01));
    squares += (count - 10) * (count - 10);
  }
  EXPECT_NEAR(squares / kWindows, 10, 3);
}

TEST(ArrivalPlanTest, TheSharesTogetherAreThePlan) {
  const Scenario scenario = Spike();
  const std::vector<Arrival> whole = All(scenario);
  std::map<int64_t, Arrival> together;
  for (int64_t share = 0; share < 3; ++share) {
    for (const Arrival& arrival : All(scenario, {.share = share, .shares = 3})) {
      EXPECT_TRUE(together.emplace(arrival.number, arrival).second) << arrival.number << " has two generators";
    }
  }
  ASSERT_EQ(together.size(), whole.size());
  for (const Arrival& arrival : whole) {
    Arrival shared = together.at(arrival.number);
    Arrival alone = arrival;
    EXPECT_EQ(shared.at, alone.at);
    EXPECT_EQ(shared.kind, alone.kind);
    EXPECT_EQ(shared.sku, alone.sku);
    EXPECT_EQ(shared.random.Next(), alone.random.Next()) << "what the visitor decides";
  }
}

TEST(ArrivalPlanTest, ASeedIsAPlan) {
  Scenario scenario = Spike();
  const std::vector<Arrival> first = All(scenario);
  const std::vector<Arrival> again = All(scenario);
  ASSERT_EQ(first.size(), again.size());
  EXPECT_EQ(first[7].at, again[7].at);
  scenario.seed = 2;
  EXPECT_NE(All(scenario)[7].at, first[7].at);
}

TEST(ArrivalPlanTest, KindsComeByTheirWeightsAndSkusAlike) {
  const std::vector<Arrival> arrivals = All(ScenarioOf({{.from = 1000, .to = 1000, .length = absl::Seconds(10)}}));
  const auto part = [&](auto is_such) {
    return static_cast<double>(std::count_if(arrivals.begin(), arrivals.end(), is_such)) /
           static_cast<double>(arrivals.size());
  };
  EXPECT_NEAR(part([](const Arrival& arrival) { return arrival.kind == 0; }), 0.75, 0.03);
  EXPECT_NEAR(part([](const Arrival& arrival) { return arrival.sku == "tv"; }), 0.5, 0.03);
}

TEST(ArrivalPlanTest, AJumpTakesNoTimeAndHasNoArrivals) {
  Scenario scenario = ScenarioOf({{.shape = Phase::Shape::kRamp, .from = 0, .to = 10},
                                  {.from = 10, .to = 10, .length = absl::Seconds(1)},
                                  {.shape = Phase::Shape::kRamp, .from = 10, .to = 0}});
  scenario.poisson = false;
  EXPECT_EQ(All(scenario).size(), 10u);
}

TEST(VisitRandomTest, ItsDistributionsHaveTheirMoments) {
  VisitRandom random(1);
  double uniform = 0, exponential = 0, normal = 0, squares = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    uniform += random.Uniform();
    exponential += random.Exponential();
    const double drawn = random.Normal();
    normal += drawn;
    squares += drawn * drawn;
  }
  EXPECT_NEAR(uniform / kDraws, 0.5, 0.01);
  EXPECT_NEAR(exponential / kDraws, 1, 0.02);
  EXPECT_NEAR(normal / kDraws, 0, 0.02);
  EXPECT_NEAR(squares / kDraws, 1, 0.04);
}

// The numbers of the published generator: a change of them would change every plan.
TEST(VisitRandomTest, IsSplitMix64) {
  VisitRandom random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317u);
  EXPECT_EQ(random.Next(), 3203168211198807973u);
}

}  // namespace
}  // namespace tranche::load
