#include "client/load/load_result.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "storage/base/status_macros.h"

namespace tranche::load {
namespace {

using internal::v1::LoadHistogram;
using internal::v1::LoadResult;
using internal::v1::LoadSecond;
using internal::v1::LoadStep;
using nlohmann::json;

constexpr int kResultFormat = 1;

absl::Status CheckHistogram(const LoadHistogram& message) {
  const auto is_no_bucket = [](uint32_t number) { return number >= static_cast<uint32_t>(Histogram::Buckets()); };
  if (message.buckets_size() == message.counts_size() &&
      std::none_of(message.buckets().begin(), message.buckets().end(), is_no_bucket)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("a histogram with other buckets");
}

void MergeHistogram(const LoadHistogram& part, LoadHistogram* whole) {
  Histogram sum;
  AddTo(sum, *whole);
  AddTo(sum, part);
  *whole = ToMessage(sum);
}

LoadStep* FindOrAddStep(const LoadStep& like, LoadResult* whole) {
  for (LoadStep& step : *whole->mutable_steps()) {
    if (step.kind() == like.kind() && step.step() == like.step()) return &step;
  }
  LoadStep* const added = whole->add_steps();
  added->set_kind(like.kind());
  added->set_step(like.step());
  return added;
}

double MsOf(uint64_t us) { return static_cast<double>(us) / 1000; }

// Besides the usual figures the values themselves, as pairs of a bucket's largest value and how many there are.
json LatencyJson(const LoadHistogram& message) {
  Histogram histogram;
  AddTo(histogram, message);
  json values = json::array();
  for (const Histogram::Bucket& bucket : histogram.contents().buckets) {
    values.push_back(json::array({MsOf(Histogram::UpperEnd(bucket.number)), bucket.count}));
  }
  return {{"count", histogram.count()},           {"mean", histogram.mean_us() / 1000},
          {"p50", MsOf(histogram.ValueAt(0.5))},  {"p90", MsOf(histogram.ValueAt(0.9))},
          {"p99", MsOf(histogram.ValueAt(0.99))}, {"p99_9", MsOf(histogram.ValueAt(0.999))},
          {"max", MsOf(histogram.max_us())},      {"values", std::move(values)}};
}

json StepJson(const LoadStep& step) {
  json outcomes = json::object();
  for (const auto& [outcome, count] : step.outcomes()) outcomes[outcome] = count;
  return {{"kind", step.kind()},
          {"step", step.step()},
          {"outcomes", std::move(outcomes)},
          {"latency_ms", {{"accepted", LatencyJson(step.accepted())}, {"refused", LatencyJson(step.refused())}}}};
}

// A list for each figure, with an element for each second.
json SecondsJson(const LoadResult& result) {
  json arrivals = json::array(), not_begun = json::array(), ended = json::array(), sold = json::array(),
       refused = json::array(), under_way = json::array();
  uint64_t at_its_end = 0;
  for (const LoadSecond& second : result.seconds()) {
    arrivals.push_back(second.arrivals());
    not_begun.push_back(second.not_begun());
    ended.push_back(second.ended());
    sold.push_back(second.sold());
    refused.push_back(second.refused());
    at_its_end += second.arrivals() - second.not_begun() - second.ended();
    // A visitor who began late may end in an earlier second than they are counted to have begun; never more than once.
    under_way.push_back(std::max<int64_t>(0, static_cast<int64_t>(at_its_end)));
  }
  return {{"arrivals", arrivals}, {"not_begun", not_begun}, {"ended", ended},
          {"sold", sold},         {"refused", refused},     {"under_way", under_way}};
}

json GeneratorsJson(const ScenarioReport& report) {
  json generators = json::array();
  for (const GeneratorReport& one : report.generators) {
    json generator = {{"name", one.name}, {"failure", one.failure}};
    if (!one.name.empty()) {
      generator["clock_ahead_ms"] = absl::ToDoubleMilliseconds(one.clock_ahead);
      generator["clock_error_ms"] = absl::ToDoubleMilliseconds(one.clock_error);
    }
    generators.push_back(std::move(generator));
  }
  return generators;
}

json PhasesJson(const Scenario& scenario) {
  json phases = json::array();
  double began_s = 0;
  for (const Phase& phase : scenario.phases) {
    const double length_s = absl::ToDoubleSeconds(phase.length);
    phases.push_back(
        {{"name", phase.name}, {"began_s", began_s}, {"length_s", length_s}, {"from", phase.from}, {"to", phase.to}});
    began_s += length_s;
  }
  return phases;
}

struct Totals {
  uint64_t arrivals = 0;
  uint64_t not_begun = 0;
  uint64_t ended = 0;
  uint64_t sold = 0;
  uint64_t refused = 0;
};

Totals TotalsOfSeconds(const LoadResult& result) {
  Totals totals;
  for (const LoadSecond& second : result.seconds()) {
    totals.arrivals += second.arrivals();
    totals.not_begun += second.not_begun();
    totals.ended += second.ended();
    totals.sold += second.sold();
    totals.refused += second.refused();
  }
  return totals;
}

void AppendLatencyLine(const char* title, const LoadHistogram& message, std::string* out) {
  Histogram histogram;
  AddTo(histogram, message);
  if (histogram.count() == 0) return;
  absl::StrAppendFormat(out, "    %-10s %9d  p50 %.1f ms  p99 %.1f ms  p99.9 %.1f ms  max %.1f ms\n", title,
                        histogram.count(), MsOf(histogram.ValueAt(0.5)), MsOf(histogram.ValueAt(0.99)),
                        MsOf(histogram.ValueAt(0.999)), MsOf(histogram.max_us()));
}

void AppendStepLines(const LoadStep& step, std::string* out) {
  absl::StrAppendFormat(out, "%s: %s\n", step.kind(), step.step());
  const std::map<std::string, uint64_t> outcomes(step.outcomes().begin(), step.outcomes().end());
  for (const auto& [outcome, count] : outcomes) absl::StrAppendFormat(out, "    %-30s %9d\n", outcome, count);
  AppendLatencyLine("accepted", step.accepted(), out);
  AppendLatencyLine("refused", step.refused(), out);
}

}  // namespace

LoadHistogram ToMessage(const Histogram& histogram) {
  LoadHistogram message;
  const Histogram::Contents contents = histogram.contents();
  for (const Histogram::Bucket& bucket : contents.buckets) {
    message.add_buckets(static_cast<uint32_t>(bucket.number));
    message.add_counts(bucket.count);
  }
  message.set_max_us(contents.max_us);
  message.set_sum_us(contents.sum_us);
  return message;
}

void AddTo(Histogram& histogram, const LoadHistogram& message) {
  Histogram::Contents contents = {.max_us = message.max_us(), .sum_us = message.sum_us()};
  for (int i = 0; i < message.buckets_size(); ++i) {
    contents.buckets.push_back({static_cast<int>(message.buckets(i)), message.counts(i)});
  }
  histogram.Add(contents);
}

absl::Status CheckResult(const LoadResult& result) {
  RETURN_IF_ERROR(CheckHistogram(result.lag()));
  for (const LoadStep& step : result.steps()) {
    RETURN_IF_ERROR(CheckHistogram(step.accepted()));
    RETURN_IF_ERROR(CheckHistogram(step.refused()));
  }
  return absl::OkStatus();
}

void Merge(const LoadResult& part, LoadResult* whole) {
  for (const LoadStep& step : part.steps()) {
    LoadStep* const sum = FindOrAddStep(step, whole);
    for (const auto& [outcome, count] : step.outcomes()) (*sum->mutable_outcomes())[outcome] += count;
    MergeHistogram(step.accepted(), sum->mutable_accepted());
    MergeHistogram(step.refused(), sum->mutable_refused());
  }
  while (whole->seconds_size() < part.seconds_size()) whole->add_seconds();
  for (int i = 0; i < part.seconds_size(); ++i) {
    const LoadSecond& second = part.seconds(i);
    LoadSecond* const sum = whole->mutable_seconds(i);
    sum->set_arrivals(sum->arrivals() + second.arrivals());
    sum->set_not_begun(sum->not_begun() + second.not_begun());
    sum->set_ended(sum->ended() + second.ended());
    sum->set_sold(sum->sold() + second.sold());
    sum->set_refused(sum->refused() + second.refused());
  }
  MergeHistogram(part.lag(), whole->mutable_lag());
  whole->set_stopped(whole->stopped() || part.stopped());
}

bool ScenarioReport::complete() const {
  const auto failed = [](const GeneratorReport& generator) { return !generator.failure.empty(); };
  return !result.stopped() && std::none_of(generators.begin(), generators.end(), failed);
}

std::string ReportJson(const ScenarioReport& report) {
  const Totals totals = TotalsOfSeconds(report.result);
  json steps = json::array();
  for (const LoadStep& step : report.result.steps()) steps.push_back(StepJson(step));
  const json root = {{"format", kResultFormat},
                     {"scenario", report.scenario.name},
                     {"seed", report.scenario.seed},
                     {"version", report.version},
                     {"began", absl::FormatTime(absl::RFC3339_sec, report.began, absl::UTCTimeZone())},
                     {"users", report.users},
                     {"complete", report.complete()},
                     {"stopped", report.result.stopped()},
                     {"generators", GeneratorsJson(report)},
                     {"phases", PhasesJson(report.scenario)},
                     {"totals",
                      {{"arrivals", totals.arrivals},
                       {"not_begun", totals.not_begun},
                       {"ended", totals.ended},
                       {"sold", totals.sold},
                       {"refused", totals.refused}}},
                     {"lag_ms", LatencyJson(report.result.lag())},
                     {"seconds", SecondsJson(report.result)},
                     {"steps", std::move(steps)}};
  return root.dump(2) + "\n";
}

std::string ReportTable(const ScenarioReport& report) {
  const Totals totals = TotalsOfSeconds(report.result);
  std::string out = absl::StrFormat(
      "%s: %d visitors, %d of them not begun, %d visits over; %d claims sold, %d refused\n", report.scenario.name,
      totals.arrivals, totals.not_begun, totals.ended, totals.sold, totals.refused);
  for (const LoadStep& step : report.result.steps()) AppendStepLines(step, &out);
  absl::StrAppend(&out, "how late visitors began (this is the generator's own delay):\n");
  AppendLatencyLine("begun", report.result.lag(), &out);
  for (const GeneratorReport& one : report.generators) {
    if (one.name.empty()) continue;
    absl::StrAppendFormat(&out, "generator %s: clock %+.1f ms, give or take %.1f ms%s%s\n", one.name,
                          absl::ToDoubleMilliseconds(one.clock_ahead), absl::ToDoubleMilliseconds(one.clock_error),
                          one.failure.empty() ? "" : "; its share is missing: ", one.failure);
  }
  if (!report.complete()) absl::StrAppend(&out, "INCOMPLETE: not all of the scenario was carried out\n");
  return out;
}

}  // namespace tranche::load
