// One visitor of a scenario: does its steps, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/load/arrival_plan.h"
#include "client/load/scenario.h"
#include "client/load/stop_flag.h"
#include "client/load/task_threads.h"
#include "client/load/timer_queue.h"
#include "client/load/visit_recorder.h"
#include "tranche/client.h"

namespace tranche::load {

// What all visits share. All of it outlives them.
struct VisitEnvironment {
  const Scenario& scenario;
  const std::string& users;  // what the buyers' names begin with
  Client& client;
  VisitRecorder& recorder;
  TimerQueue& timers;
  TaskThreads& solvers;
  TaskThreads& watchers;
  const StopFlag& stop;
  std::function<void()> on_end;  // a visit is over; called from any thread
};

// A step that does not succeed ends the visit, except `look` and `watch`, which the shop could do without. When `stop`
// is set, the step that is under way is the last one. Used by one thread at a time: the one that begins it, one of the
// SDK's, or one of those of the environment.
class Visit {
 public:
  // Deletes itself when it is over. `planned`: when the visitor was meant to arrive.
  static void Begin(VisitEnvironment& environment, Arrival arrival, absl::Time planned);

  ~Visit() = default;
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

 private:
  struct StepStarter;

  Visit(VisitEnvironment& environment, Arrival arrival, absl::Time planned);

  const VisitorKind& kind() const { return environment_.scenario.visitors[arrival_.kind]; }
  // The current step, which is of this type.
  template <typename StepType>
  const StepType& step() const {
    return std::get<StepType>(kind().steps[step_]);
  }

  // Begins the step that is next, or ends the visit. Deletes this in the latter case: nothing follows a call of it, nor
  // of what calls it.
  void BeginStep();
  void Enter();
  void SendEntry(EnterSale request);
  void OnEntry(absl::StatusOr<SaleEntry> answer);
  void Solve(const SaleEntry& entry);
  void Look();
  void Think();
  void Abandon();
  void Claim();
  void OnClaimed(absl::StatusOr<Reservation> answer);
  void Pay();
  void Cancel();
  void Watch();
  // On a thread that may block.
  void FollowReservation();
  // How long it took until the watch told the first state, and the last one that it told.
  struct Followed {
    bool told = false;
    absl::Duration first_after = absl::ZeroDuration();
    std::string last = {};  // or why none was told
  };
  Followed Follow();

  void Record(VisitRecorder::Part part, absl::Duration latency, absl::string_view outcome, bool accepted);
  // Of all of the step, or of this try of it, which ends now.
  void RecordNow(absl::string_view outcome, bool accepted);
  // Of a step that is done once: counts it, and goes on or ends.
  void FinishStep(absl::string_view outcome, bool accepted);
  void GoOn();
  // The visitor leaves in the current step.
  void EndHere();
  void End(absl::string_view outcome, bool accepted);
  // Calls the step again, as another try of it.
  void TryAgainAfter(absl::Duration pause, void (Visit::*step)());
  absl::Duration Draw(const Pause& pause);
  std::string InventedToken();

  VisitEnvironment& environment_;
  Arrival arrival_;
  const absl::Time arrived_;
  const std::string user_;
  const std::string address_;
  size_t step_ = 0;
  // When the step, or this try of it, was meant to begin.
  absl::Time began_;
  int64_t tries_ = 0;      // of this step
  absl::Time leave_time_;  // of the entry
  bool queued_ = false;    // this try of a claim
  EnterSale entry_;        // with the tickets that the visitor has
  std::string token_;
  std::optional<Reservation> reservation_;
};

}  // namespace tranche::load
