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
          {"unknown", totals.unknown}};
}

double Ms(uint64_t us) { return static_cast<double>(us) / 1000; }

json ToJson(const Histogram& histogram) {
  return {{"count", histogram.count()},         {"mean", histogram.mean_us() / 1000},
          {"p50", Ms(histogram.ValueAt(0.5))},  {"p90", Ms(histogram.ValueAt(0.9))},
          {"p99", Ms(histogram.ValueAt(0.99))}, {"p99_9", Ms(histogram.ValueAt(0.999))},
          {"max", Ms(histogram.max_us())}};
}

double PerSecond(uint64_t count, absl::Duration wall) {
  return static_cast<double>(count) / std::max(1e-9, absl::ToDoubleSeconds(wall));
}

void AppendLatency(const char* title, const Histogram& histogram, std::string* out) {
  absl::StrAppendFormat(out, "%-10s p50 %.2f ms  p90 %.2f ms  p99 %.2f ms  p99.9 %.2f ms  max %.2f ms\n", title,
                        Ms(histogram.ValueAt(0.5)), Ms(histogram.ValueAt(0.9)), Ms(histogram.ValueAt(0.99)),
                        Ms(histogram.ValueAt(0.999)), Ms(histogram.max_us()));
}

}  // namespace

std::string SummaryJson(const LoadOptions& options, const Outcomes& outcomes, absl::Duration wall, bool interrupted,
                        const Changer* changer) {
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
      {"wall_seconds", absl::ToDoubleSeconds(wall)},
      {"requests_per_second", PerSecond(outcomes.done(), wall)},
      {"created_per_second", PerSecond(outcomes.acknowledged(), wall)},
      {"interrupted", interrupted},
      {"skus", skus},
      {"totals", ToJson(outcomes.Totals())},
      {"latency_ms", {{"all", ToJson(outcomes.latency_all())}, {"created", ToJson(outcomes.latency_created())}}},
  };
  if (changer != nullptr) summary["changes"] = changer->totals();
  return summary.dump(2) + "\n";
}

std::string SummaryTable(const LoadOptions& options, const Outcomes& outcomes, absl::Duration wall,
                         const Changer* changer) {
  std::string out = absl::StrFormat("%d requests in %.2f s: %.0f/s\n\n", outcomes.done(), absl::ToDoubleSeconds(wall),
                                    PerSecond(outcomes.done(), wall));
  absl::StrAppendFormat(&out, "%-24s %12s %12s %12s %12s %12s\n", "SKU", "ATTEMPTS", "CREATED", "REPLAYED", "REFUSED",
                        "UNKNOWN");
  for (size_t sku = 0; sku < options.skus.size(); ++sku) {
    const SkuTotals totals = outcomes.TotalsOf(static_cast<int>(sku));
    absl::StrAppendFormat(&out, "%-24s %12d %12d %12d %12d %12d\n", options.skus[sku], totals.attempts, totals.created,
                          totals.replayed, totals.Refused(), totals.unknown);
  }
  out += "\n";
  for (const auto& [reason, count] : outcomes.Totals().refused) {
    absl::StrAppendFormat(&out, "refused %-26s %12d\n", reason, count);
  }
  if (changer != nullptr) {
    for (const auto& [kind, outcomes_of_kind] : changer->totals()) {
      for (const auto& [outcome, count] : outcomes_of_kind) {
        absl::StrAppendFormat(&out, "%-7s %-26s %12d\n", kind, outcome, count);
      }
    }
  }
  AppendLatency("all", outcomes.latency_all(), &out);
  AppendLatency("created", outcomes.latency_created(), &out);
  return out;
}

}  // namespace tranche::load
