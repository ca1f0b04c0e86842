// Carries out a share of a scenario.
#pragma once

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/load/arrival_plan.h"
#include "client/load/scenario.h"
#include "client/load/stop_flag.h"
#include "client/load/task_threads.h"
#include "client/load/timer_queue.h"
#include "client/load/visit.h"
#include "client/load/visit_recorder.h"
#include "tranche/client.h"

namespace tranche::load {

// Visitors come when the plan says, however slow the answers are: an open loop. Stop() may be called from any thread
// and from a signal handler, progress() from any thread.
class ScenarioRun {
 public:
  // `scenario` and `client` outlive this. `users`: what the buyers' names begin with. `began`: of the plan.
  ScenarioRun(const Scenario& scenario, Client& client, std::string users, Share share, absl::Time began);

  // Returns when the last visit is over; after Stop(), when the steps that are under way are.
  void Run();
  void Stop() { stop_.Set(); }

  internal::v1::LoadProgress progress() const { return recorder_.progress(); }
  // After Run().
  internal::v1::LoadResult result() const;

 private:
  void LetArrive();
  // False: too many are under way.
  bool TakePlace();
  void AwaitLastVisit();

  const Scenario& scenario_;
  const std::string users_;
  const Share share_;
  const absl::Time began_;
  const int64_t most_under_way_;
  StopFlag stop_;
  VisitRecorder recorder_;

  absl::Mutex mutex_;
  int64_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  // Last: their destructors wait for tasks that use the others.
  TimerQueue timers_;
  TaskThreads solvers_;
  TaskThreads watchers_;
  VisitEnvironment environment_;
};

}  // namespace tranche::load
