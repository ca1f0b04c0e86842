#include "quota/node/demand_reporter.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tranche::quota {
namespace {

using internal::v1::DemandReport;

// With ids of 64 characters, this many are well within kMaxZnodeBytes.
constexpr int kMaxReportedSkus = 400;
// Weight of the latest interval in the smoothed rate: it follows traffic that jumps to another node within two or three
// intervals.
constexpr double kSmoothing = 0.6;

// No request for a whole interval counts as none at all: what such a node holds is wanted elsewhere sooner than an
// average would forget.
double Smooth(double before, int64_t units, double seconds) {
  if (units == 0) return 0;
  return before * (1 - kSmoothing) + kSmoothing * static_cast<double>(units) / seconds;
}

// The part of a report that the balancer should see at once: which SKUs are dry, and by which announcement.
std::string UrgentPart(const DemandReport& report) {
  std::string urgent = report.cannot_commit() ? "!" : "";
  for (const std::string& shard : report.shards_out_of_reach()) absl::StrAppend(&urgent, "!", shard, ";");
  for (const auto& sku : report.skus()) {
    if (sku.wanted() > 0) absl::StrAppend(&urgent, sku.sku_id(), "/", sku.wanted(), "/", sku.slice_version(), ";");
  }
  return urgent;
}

}  // namespace

std::optional<DemandReport> DemandReporter::Due(absl::Time now, bool ledger_answers,
                                                const std::vector<std::string>& silent_shards,
                                                const std::string& unhealthy,
                                                const std::vector<std::string>& faulty_files) {
  const bool interval_over = now - measured_at_ >= options_.interval;
  if (interval_over) Measure(now);
  DemandReport report = Compose(ledger_answers);
  report.mutable_shards_out_of_reach()->Assign(silent_shards.begin(), silent_shards.end());
  report.set_unhealthy(unhealthy);
  report.mutable_faulty_files()->Assign(faulty_files.begin(), faulty_files.end());
  const bool urgent = UrgentPart(report) != urgent_written_;
  const bool changed = interval_over && report.SerializeAsString() != content_written_;
  if (!urgent && !changed && now - written_at_ < options_.heartbeat) return std::nullopt;
  report.set_sequence(sequence_ + 1);
  report.set_reported_at_us(absl::ToUnixMicros(now));
  return report;
}

void DemandReporter::Written(const DemandReport& report, absl::Time now) {
  sequence_ = report.sequence();
  written_at_ = now;
  urgent_written_ = UrgentPart(report);
  DemandReport content = report;
  content.clear_sequence();
  content.clear_reported_at_us();
  content_written_ = content.SerializeAsString();
}

void DemandReporter::Reset() {
  SetTraffic({});
  measured_at_ = absl::InfinitePast();
  sequence_ = 0;
  Repeat();
}

void DemandReporter::Repeat() {
  written_at_ = absl::InfinitePast();
  urgent_written_.clear();
  content_written_.clear();
}

void DemandReporter::SetTraffic(TrafficBySku traffic) {
  auto fresh = std::make_shared<const TrafficBySku>(std::move(traffic));
  absl::MutexLock lock(&mutex_);
  traffic_.swap(fresh);
}

void DemandReporter::Measure(absl::Time now) {
  // The first interval starts now.
  const bool first = measured_at_ == absl::InfinitePast();
  const double seconds = first ? 1 : absl::ToDoubleSeconds(now - measured_at_);
  measured_at_ = now;
  const std::shared_ptr<const TrafficBySku> before = this->traffic();
  TrafficBySku fresh;
  for (const auto& [sku_id, slice] : slices_->All()) {
    SkuTraffic traffic;
    if (const auto known = before->find(sku_id); known != before->end()) traffic = known->second;
    const int64_t granted = slice->granted() + slice->in_flight();
    const int64_t denied = slice->denied();
    const int64_t refused = slice->refused();
    const int64_t diverted = slice->diverted();
    const bool asked_for = granted != traffic.granted || denied != traffic.denied || refused != traffic.refused ||
                           diverted != traffic.diverted;
    if (asked_for || traffic.last_request == absl::InfinitePast()) traffic.last_request = now;
    // The requests that were refused are gone: the next one is news again.
    if (denied == traffic.denied && waiting_(sku_id) == 0) slice->ForgetWanted();
    traffic.grants_per_s = Smooth(traffic.grants_per_s, std::max<int64_t>(0, granted - traffic.granted), seconds);
    traffic.denials_per_s = Smooth(traffic.denials_per_s, denied - traffic.denied, seconds);
    traffic.refused_per_s = Smooth(traffic.refused_per_s, refused - traffic.refused, seconds);
    traffic.granted = granted;
    traffic.denied = denied;
    traffic.refused = refused;
    traffic.diverted = diverted;
    const bool never_held = slice->counter().version() == 0;
    if (never_held && now - traffic.last_request >= options_.forget_after) {
      slices_->Remove(sku_id);
      continue;
    }
    fresh.emplace(sku_id, traffic);
  }
  SetTraffic(std::move(fresh));
}

DemandReport DemandReporter::Compose(bool ledger_answers) const {
  const std::shared_ptr<const TrafficBySku> known = traffic();
  std::vector<DemandReport::SkuDemand> demands;
  for (const auto& [sku_id, slice] : slices_->All()) {
    const auto terms = slice->terms();
    DemandReport::SkuDemand demand;
    // A SKU that is sold out or closed is no demand; if stock is added, the terms say so first.
    const bool on_sale = terms != nullptr && !terms->sold_out() && !terms->closed;
    // While the pool is asked, its answer may meet the demand.
    if (on_sale && slice->wanted() <= terms->at_most && !slice->pool_pacing().asking()) {
      demand.set_wanted(slice->wanted());
    }
    if (const auto traffic = known->find(sku_id); traffic != known->end()) {
      demand.set_grants_per_s(traffic->second.grants_per_s);
      if (on_sale) demand.set_denials_per_s(traffic->second.denials_per_s);
      demand.set_refused_per_s(traffic->second.refused_per_s);
    }
    demand.set_in_flight(slice->in_flight());
    demand.set_waiting(waiting_(sku_id));
    const bool active = demand.wanted() > 0 || demand.grants_per_s() > 0 || demand.denials_per_s() > 0 ||
                        demand.in_flight() > 0 || demand.waiting() > 0 || demand.refused_per_s() > 0;
    if (!active) continue;
    demand.set_sku_id(sku_id);
    demand.set_free(slice->counter().free());
    demand.set_slice_version(slice->counter().version());
    demands.push_back(std::move(demand));
  }
  // Dry SKUs first, then the busiest, then those that are only refused. A SKU that is served leaves the list and makes
  // room for the next.
  const auto importance = [](const DemandReport::SkuDemand& d) {
    return std::make_tuple(d.wanted() == 0, -(d.grants_per_s() + d.denials_per_s()), -d.refused_per_s());
  };
  std::sort(demands.begin(), demands.end(), [&](const auto& a, const auto& b) {
    return importance(a) != importance(b) ? importance(a) < importance(b) : a.sku_id() < b.sku_id();
  });
  DemandReport report;
  report.set_cannot_commit(!ledger_answers);
  for (DemandReport::SkuDemand& demand : demands) {
    if (report.skus_size() >= kMaxReportedSkus) break;
    *report.add_skus() = std::move(demand);
  }
  return report;
}

}  // namespace tranche::quota
