#include "server/handlers/cluster_traffic.h"

#include <algorithm>
#include <utility>

#include "server/handlers/node_reports.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

void AddDemand(const internal::v1::DemandReport::SkuDemand& demand, v1::SkuTraffic* sum) {
  sum->set_sku_id(demand.sku_id());
  sum->set_grants_per_s(sum->grants_per_s() + demand.grants_per_s());
  sum->set_denials_per_s(sum->denials_per_s() + demand.denials_per_s());
  sum->set_refused_per_s(sum->refused_per_s() + demand.refused_per_s());
  sum->set_waiting(sum->waiting() + demand.waiting());
  sum->set_in_flight(sum->in_flight() + demand.in_flight());
  sum->set_free(sum->free() + std::max<int64_t>(0, demand.free()));
  sum->set_nodes(sum->nodes() + 1);
}

double RequestsPerSecond(const v1::SkuTraffic& sku) {
  return sku.grants_per_s() + sku.denials_per_s() + sku.refused_per_s();
}

}  // namespace

absl::StatusOr<ClusterTraffic> ReadClusterTraffic(quota::Coordination& session) {
  ClusterTraffic traffic;
  RETURN_IF_ERROR(
      ForEachReport(session, [&](storage::IncarnationId incarnation, const internal::v1::DemandReport& report) {
        NodeTraffic& node = traffic.nodes[incarnation];
        node.reported_at = absl::FromUnixMicros(report.reported_at_us());
        node.cannot_commit = report.cannot_commit();
        node.shards_out_of_reach.assign(report.shards_out_of_reach().begin(), report.shards_out_of_reach().end());
        node.unhealthy = report.unhealthy();
        node.faulty_files.assign(report.faulty_files().begin(), report.faulty_files().end());
        for (const auto& demand : report.skus()) {
          node.grants_per_s += demand.grants_per_s();
          node.refused_per_s += demand.denials_per_s() + demand.refused_per_s();
          AddDemand(demand, &traffic.skus[demand.sku_id()]);
        }
      }));
  return traffic;
}

std::vector<v1::SkuTraffic> BusiestSkus(const ClusterTraffic& traffic, size_t limit) {
  std::vector<const v1::SkuTraffic*> busiest;
  for (const auto& [_, sku] : traffic.skus) busiest.push_back(&sku);
  std::stable_sort(busiest.begin(), busiest.end(), [](const v1::SkuTraffic* a, const v1::SkuTraffic* b) {
    return RequestsPerSecond(*a) > RequestsPerSecond(*b);
  });
  if (busiest.size() > limit) busiest.resize(limit);
  std::vector<v1::SkuTraffic> copies;
  for (const v1::SkuTraffic* sku : busiest) copies.push_back(*sku);
  return copies;
}

}  // namespace tranche::server
