// What the nodes last reported, all of it or about one SKU.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/incarnation_id.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {

struct NodeReportOf {
  // By the reporting node's clock.
  absl::Time reported_at;
  bool cannot_commit = false;
  // nullopt when the report does not name the SKU.
  std::optional<internal::v1::DemandReport::SkuDemand> demand;
};

using NodeReports = std::map<storage::IncarnationId, NodeReportOf>;

// Calls back with each node's report. Reads a few at a time: a report may be as large as a znode can be.
absl::Status ForEachReport(
    quota::Coordination& session,
    absl::FunctionRef<void(storage::IncarnationId incarnation, const internal::v1::DemandReport& report)> take);

// The nodes that have a report.
absl::StatusOr<NodeReports> ReadNodeReports(quota::Coordination& session, const std::string& sku_id);

}  // namespace tranche::server
