#include "client/load/visit_recorder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/load/load_result.h"

namespace tranche::load {
namespace {

// What happens later counts for the last one: plans of 24 hours, and what visitors do after that.
constexpr int64_t kMostSeconds = 36 * 3600;

uint64_t LatencyUs(absl::Duration latency) {
  return static_cast<uint64_t>(std::max<int64_t>(0, absl::ToInt64Microseconds(latency)));
}

// Claims are queued, entries are solved, and no step has both.
const char* NameOfOtherPart(const Step& step) { return std::holds_alternative<ClaimStep>(step) ? "queued" : "solve"; }

}  // namespace

VisitRecorder::VisitRecorder(const Scenario& scenario, absl::Time began) : began_(began) {
  for (const VisitorKind& kind : scenario.visitors) {
    kinds_.push_back(kind.name);
    std::vector<std::unique_ptr<Record>>& records = records_.emplace_back();
    const auto add = [&records](std::string name) {
      records.push_back(std::make_unique<Record>());
      records.back()->step = std::move(name);
    };
    add("visit");
    const std::vector<std::string> names = StepNames(kind);
    for (size_t step = 0; step < names.size(); ++step) {
      add(names[step]);
      add(absl::StrCat(names[step], ", ", NameOfOtherPart(kind.steps[step])));
    }
  }
}

VisitRecorder::Second& VisitRecorder::At(absl::Time time) {
  const int64_t second = std::clamp<int64_t>(absl::ToInt64Seconds(time - began_), 0, kMostSeconds - 1);
  if (seconds_.size() <= static_cast<size_t>(second)) seconds_.resize(static_cast<size_t>(second) + 1);
  return seconds_[static_cast<size_t>(second)];
}

void VisitRecorder::Arrive(absl::Time planned, bool begun) {
  if (begun) lag_.Record(LatencyUs(absl::Now() - planned));
  absl::MutexLock lock(&mutex_);
  Second& second = At(planned);
  ++second.arrivals;
  if (!begun) ++second.not_begun;
}

void VisitRecorder::EndVisit(size_t kind, absl::Time arrival, absl::string_view outcome, bool accepted) {
  Add(*records_[kind][0], absl::Now() - arrival, outcome, accepted);
  absl::MutexLock lock(&mutex_);
  ++At(absl::Now()).ended;
}

void VisitRecorder::RecordStep(size_t kind, size_t step, Part part, absl::Duration latency, absl::string_view outcome,
                               bool accepted) {
  Add(*records_[kind][1 + 2 * step + (part == Part::kWhole ? 0 : 1)], latency, outcome, accepted);
}

void VisitRecorder::CountClaim(bool sold) {
  absl::MutexLock lock(&mutex_);
  Second& second = At(absl::Now());
  ++(sold ? second.sold : second.refused);
}

void VisitRecorder::Add(Record& record, absl::Duration latency, absl::string_view outcome, bool accepted) {
  (accepted ? record.accepted : record.refused).Record(LatencyUs(latency));
  absl::MutexLock lock(&record.mutex);
  ++record.outcomes[std::string(outcome)];
}

internal::v1::LoadProgress VisitRecorder::progress() const {
  internal::v1::LoadProgress progress;
  absl::MutexLock lock(&mutex_);
  Second all;
  for (const Second& second : seconds_) {
    all.arrivals += second.arrivals;
    all.not_begun += second.not_begun;
    all.ended += second.ended;
    all.sold += second.sold;
  }
  progress.set_arrivals(all.arrivals);
  progress.set_not_begun(all.not_begun);
  progress.set_ended(all.ended);
  progress.set_sold(all.sold);
  return progress;
}

void VisitRecorder::Append(const std::string& kind, Record& record, internal::v1::LoadResult* result) {
  absl::MutexLock lock(&record.mutex);
  if (record.outcomes.empty()) return;
  internal::v1::LoadStep* const step = result->add_steps();
  step->set_kind(kind);
  step->set_step(record.step);
  for (const auto& [outcome, count] : record.outcomes) (*step->mutable_outcomes())[outcome] = count;
  *step->mutable_accepted() = ToMessage(record.accepted);
  *step->mutable_refused() = ToMessage(record.refused);
}

internal::v1::LoadResult VisitRecorder::result() const {
  internal::v1::LoadResult result;
  for (size_t kind = 0; kind < kinds_.size(); ++kind) {
    for (const std::unique_ptr<Record>& record : records_[kind]) Append(kinds_[kind], *record, &result);
  }
  *result.mutable_lag() = ToMessage(lag_);
  absl::MutexLock lock(&mutex_);
  for (const Second& second : seconds_) {
    internal::v1::LoadSecond* const told = result.add_seconds();
    told->set_arrivals(second.arrivals);
    told->set_not_begun(second.not_begun);
    told->set_ended(second.ended);
    told->set_sold(second.sold);
    told->set_refused(second.refused);
  }
  return result;
}

}  // namespace tranche::load
