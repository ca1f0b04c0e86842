#include "client/load/scenario_run.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>
#include <variant>

#include "absl/time/clock.h"

namespace tranche::load {
namespace {

// Each watch blocks a thread.
constexpr int kWatchThreads = 256;
// A buyer whose challenge waits behind so many others would have given up.
constexpr size_t kMostUnsolved = 10'000;
// How soon a signal is noticed, which cannot wake anybody.
constexpr absl::Duration kStopNotice = absl::Milliseconds(50);

// One processor is left for the calls, if there are several.
int SolverThreads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1); }

// Whether any visitor has such a step.
template <typename StepType>
bool Uses(const Scenario& scenario) {
  const auto is_such = [](const Step& step) { return std::holds_alternative<StepType>(step); };
  return std::any_of(scenario.visitors.begin(), scenario.visitors.end(), [&](const VisitorKind& kind) {
    return std::any_of(kind.steps.begin(), kind.steps.end(), is_such);
  });
}

int64_t MostOfShare(const Scenario& scenario, const Share& share) {
  return (scenario.most_under_way + share.shares - 1) / share.shares;
}

}  // namespace

ScenarioRun::ScenarioRun(const Scenario& scenario, Client& client, std::string users, Share share, absl::Time began)
    : scenario_(scenario),
      users_(std::move(users)),
      share_(share),
      began_(began),
      most_under_way_(MostOfShare(scenario, share)),
      recorder_(scenario, began),
      solvers_(Uses<EnterStep>(scenario) ? SolverThreads() : 0, kMostUnsolved),
      watchers_(Uses<WatchStep>(scenario) ? kWatchThreads : 0, 0),
      environment_{.scenario = scenario_,
                   .users = users_,
                   .client = client,
                   .recorder = recorder_,
                   .timers = timers_,
                   .solvers = solvers_,
                   .watchers = watchers_,
                   .stop = stop_,
                   .on_end = [this] {
                     absl::MutexLock lock(&mutex_);
                     --under_way_;
                   }} {}

void ScenarioRun::Run() {
  LetArrive();
  AwaitLastVisit();
}

bool ScenarioRun::TakePlace() {
  absl::MutexLock lock(&mutex_);
  if (under_way_ >= most_under_way_) return false;
  ++under_way_;
  return true;
}

void ScenarioRun::LetArrive() {
  ArrivalPlan plan(scenario_, share_);
  while (std::optional<Arrival> arrival = plan.Next()) {
    const absl::Time planned = began_ + arrival->at;
    stop_.SleepUntil(planned);
    if (stop_.IsSet()) return;
    const bool begun = TakePlace();
    recorder_.Arrive(planned, begun);
    if (begun) Visit::Begin(environment_, *std::move(arrival), planned);
  }
}

void ScenarioRun::AwaitLastVisit() {
  const auto is_last = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return under_way_ == 0; };
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&is_last), kStopNotice)) return;
    }
    // Who thinks is told at once that it is over.
    if (stop_.IsSet()) timers_.Hurry();
  }
}

internal::v1::LoadResult ScenarioRun::result() const {
  internal::v1::LoadResult result = recorder_.result();
  result.set_stopped(stop_.IsSet());
  return result;
}

}  // namespace tranche::load
