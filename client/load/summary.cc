#include "client/load/summary.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tranche::load {
namespace {

using nlohmann::json;

json ToJson(const SkuTotals& totals) {
  return {{"attempts", totals.attempts}, {"created", totals.created}, {"replayed", totals.replayed},
          {"units", totals.units},       {"refused", totals.refused}, {"refused_total", totals.Refused()},
          {"queued", totals.queued},     {"unknown", totals.unknown}};
}

double Ms(uint64_t us) { return static_cast<double>(us) / 1000; }

json ToJson(const Histogram& histogram) {
  return {{"count", histogram.count()},         {"mean", histogram.mean_us() / 1000},
          {"p50", Ms(histogram.ValueAt(0.5))},  {"p90", Ms(histogram.ValueAt(0.9))},
          {"p99", Ms(histogram.ValueAt(0.99))}, {"p99_9", Ms(histogram.ValueAt(0.999))},
          {"max", Ms(histogram.max_us())}};
}

json ToJson(const Generator::OpenLoop& open_loop) {
  return {{"sending_seconds", absl::ToDoubleSeconds(open_loop.sending)},
          {"acknowledged_in_time", open_loop.acknowledged_in_time},
          {"not_sent", open_loop.not_sent}};
}

json ToJson(const Reader& reader) {
  json reads = {{"not_sent", reader.not_sent()}};
  for (const ReadKind kind : {ReadKind::kGet, ReadKind::kBatchGet, ReadKind::kSku}) {
    reads[ReadKindName(kind)] = {{"answers", reader.answers(kind)}, {"latency_ms", ToJson(reader.latency(kind))}};
  }
  return reads;
}

double PerSecond(uint64_t count, absl::Duration wall) {
  return static_cast<double>(count) / std::max(1e-9, absl::ToDoubleSeconds(wall));
}

void AppendLatency(const char* title, const Histogram& histogram, std::string* out) {
  absl::StrAppendFormat(out, "%-10s p50 %.2f ms  p90 %.2f ms  p99 %.2f ms  p99.9 %.2f ms  max %.2f ms\n", title,
                        Ms(histogram.ValueAt(0.5)), Ms(histogram.ValueAt(0.9)), Ms(histogram.ValueAt(0.99)),
                        Ms(histogram.ValueAt(0.999)), Ms(histogram.max_us()));
}

void AppendSkus(const Run& run, std::string* out) {
  absl::StrAppendFormat(out, "%-24s %12s %12s %12s %12s %12s\n", "SKU", "ATTEMPTS", "CREATED", "REPLAYED", "REFUSED",
                        "UNKNOWN");
  for (size_t sku = 0; sku < run.options.skus.size(); ++sku) {
    const SkuTotals totals = run.outcomes.TotalsOf(static_cast<int>(sku));
    absl::StrAppendFormat(out, "%-24s %12d %12d %12d %12d %12d\n", run.options.skus[sku], totals.attempts,
                          totals.created, totals.replayed, totals.Refused(), totals.unknown);
  }
  *out += "\n";
  for (const auto& [reason, count] : run.outcomes.Totals().refused) {
    absl::StrAppendFormat(out, "refused %-26s %12d\n", reason, count);
  }
  if (run.options.accept_queued) {
    absl::StrAppendFormat(out, "%-34s %12d\n", "queued", run.outcomes.Totals().queued);
    absl::StrAppendFormat(out, "%-34s %12d\n", "queued and decided", run.outcomes.latency_decided().count());
  }
  if (run.options.skip_late) absl::StrAppendFormat(out, "%-34s %12d\n", "not sent", run.open_loop.not_sent);
}

void AppendReads(const Reader& reader, std::string* out) {
  for (const ReadKind kind : {ReadKind::kGet, ReadKind::kBatchGet, ReadKind::kSku}) {
    for (const auto& [outcome, count] : reader.answers(kind)) {
      absl::StrAppendFormat(out, "%-9s %-24s %12d\n", ReadKindName(kind), outcome, count);
    }
    AppendLatency(ReadKindName(kind), reader.latency(kind), out);
  }
  absl::StrAppendFormat(out, "%-34s %12d\n", "reads not sent", reader.not_sent());
}

}  // namespace

std::string SummaryJson(const Run& run) {
  const LoadOptions& options = run.options;
  const Outcomes& outcomes = run.outcomes;
  json skus = json::object();
  for (size_t sku = 0; sku < options.skus.size(); ++sku) {
    skus[options.skus[sku]] = ToJson(outcomes.TotalsOf(static_cast<int>(sku)));
  }
  const bool open_loop = options.rate_per_second > 0;
  json summary = {
      {"mode", open_loop ? "open_loop" : "closed_loop"},
      {"rate", options.rate_per_second},
      {"in_flight", options.in_flight},
      {"requests", outcomes.done()},
      {"wall_seconds", absl::ToDoubleSeconds(run.wall)},
      {"requests_per_second", PerSecond(outcomes.done(), run.wall)},
      {"created_per_second", PerSecond(outcomes.acknowledged(), run.wall)},
      {"interrupted", run.interrupted},
      {"skus", skus},
      {"totals", ToJson(outcomes.Totals())},
      {"latency_ms",
       {{"all", ToJson(outcomes.latency_all())},
        {"created", ToJson(outcomes.latency_created())},
        {"acknowledged", ToJson(outcomes.latency_acknowledged())},
        {"queued", ToJson(outcomes.latency_queued())},
        {"decided", ToJson(outcomes.latency_decided())}}},
  };
  if (open_loop) summary["open_loop"] = ToJson(run.open_loop);
  if (run.changer != nullptr) summary["changes"] = run.changer->totals();
  if (run.reader != nullptr) summary["reads"] = ToJson(*run.reader);
  return summary.dump(2) + "\n";
}

std::string SummaryTable(const Run& run) {
  const Outcomes& outcomes = run.outcomes;
  std::string out = absl::StrFormat("%d requests in %.2f s: %.0f/s\n\n", outcomes.done(),
                                    absl::ToDoubleSeconds(run.wall), PerSecond(outcomes.done(), run.wall));
  AppendSkus(run, &out);
  if (run.changer != nullptr) {
    for (const auto& [kind, outcomes_of_kind] : run.changer->totals()) {
      for (const auto& [outcome, count] : outcomes_of_kind) {
        absl::StrAppendFormat(&out, "%-7s %-26s %12d\n", kind, outcome, count);
      }
    }
  }
  if (run.reader != nullptr) AppendReads(*run.reader, &out);
  AppendLatency("all", outcomes.latency_all(), &out);
  AppendLatency("created", outcomes.latency_created(), &out);
  if (run.options.accept_queued) {
    AppendLatency("queued", outcomes.latency_queued(), &out);
    AppendLatency("decided", outcomes.latency_decided(), &out);
  }
  return out;
}

}  // namespace tranche::load
