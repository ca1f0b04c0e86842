#include "server/handlers/node_reports.h"

#include <vector>

#include "quota/coordination/coordination_paths.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr size_t kChunk = 64;

NodeReportOf Extract(const internal::v1::DemandReport& report, const std::string& sku_id) {
  NodeReportOf extracted;
  extracted.reported_at = absl::FromUnixMicros(report.reported_at_us());
  extracted.cannot_commit = report.cannot_commit();
  for (const auto& demand : report.skus()) {
    if (demand.sku_id() == sku_id) extracted.demand = demand;
  }
  return extracted;
}

}  // namespace

absl::Status ForEachReport(
    quota::Coordination& session,
    absl::FunctionRef<void(storage::IncarnationId incarnation, const internal::v1::DemandReport& report)> take) {
  ASSIGN_OR_RETURN(const auto names, session.List(quota::kDemandPath, quota::Watch::kNo));
  std::vector<storage::IncarnationId> incarnations;
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    const storage::IncarnationId incarnation = quota::ParseIncarnation(name);
    if (incarnation == storage::kPool) continue;
    incarnations.push_back(incarnation);
    paths.push_back(quota::DemandPath(incarnation));
  }
  for (size_t begin = 0; begin < paths.size(); begin += kChunk) {
    const auto znodes = session.GetMany(absl::MakeSpan(paths).subspan(begin, kChunk), quota::Watch::kNo);
    for (size_t i = 0; i < znodes.size(); ++i) {
      if (absl::IsNotFound(znodes[i].status())) continue;  // its node has left meanwhile
      if (!znodes[i].ok()) return znodes[i].status();
      internal::v1::DemandReport report;
      if (report.ParseFromString(znodes[i]->data)) take(incarnations[begin + i], report);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<NodeReports> ReadNodeReports(quota::Coordination& session, const std::string& sku_id) {
  NodeReports reports;
  RETURN_IF_ERROR(
      ForEachReport(session, [&](storage::IncarnationId incarnation, const internal::v1::DemandReport& report) {
        reports[incarnation] = Extract(report, sku_id);
      }));
  return reports;
}

}  // namespace tranche::server
