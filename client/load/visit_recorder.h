// Counts what becomes of a scenario's visitors, step by step and second by second.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/load/histogram.h"
#include "client/load/scenario.h"
#include "tranche/internal/v1/load.pb.h"

namespace tranche::load {

// Latencies count from when something was meant to begin: a visit and its first step from the planned arrival, every
// other step from the end of the step before, and of the thinking. Thread-safe; a result is consistent when nobody
// records.
class VisitRecorder {
 public:
  // What a step has besides itself: how long until a claim was queued, and how long a challenge took.
  enum class Part { kWhole, kQueued, kSolve };

  // `began`: of the plan.
  VisitRecorder(const Scenario& scenario, absl::Time began);

  // A visitor was planned for `planned`. `begun`: they were let begin, now.
  void Arrive(absl::Time planned, bool begun);
  // Of a visit of this kind, which is over now.
  void EndVisit(size_t kind, absl::Time arrival, absl::string_view outcome, bool accepted);
  void RecordStep(size_t kind, size_t step, Part part, absl::Duration latency, absl::string_view outcome,
                  bool accepted);
  // A claim was answered now, also each of several tries.
  void CountClaim(bool sold);

  internal::v1::LoadProgress progress() const;
  // Without `stopped`.
  internal::v1::LoadResult result() const;

 private:
  // Of one step, or one of its parts.
  struct Record {
    std::string step;
    Histogram accepted;
    Histogram refused;
    absl::Mutex mutex;
    std::map<std::string, uint64_t> outcomes ABSL_GUARDED_BY(mutex);
  };
  struct Second {
    uint64_t arrivals = 0;
    uint64_t not_begun = 0;
    uint64_t ended = 0;
    uint64_t sold = 0;
    uint64_t refused = 0;
  };

  static void Add(Record& record, absl::Duration latency, absl::string_view outcome, bool accepted);
  static void Append(const std::string& kind, Record& record, internal::v1::LoadResult* result);
  // The second of that time.
  Second& At(absl::Time time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const absl::Time began_;
  std::vector<std::string> kinds_;
  // By kind: the visit, and then each step's whole and its other part. Those that are never used cost their memory
  // only, 60 KB each.
  std::vector<std::vector<std::unique_ptr<Record>>> records_;
  Histogram lag_;

  mutable absl::Mutex mutex_;
  std::vector<Second> seconds_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::load
