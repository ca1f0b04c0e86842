// What the nodes last reported about one SKU.
#pragma once

#include <map>
#include <optional>
#include <string>

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

// The nodes that have a report. Reads a few at a time: a report may be as large as a znode can be.
absl::StatusOr<NodeReports> ReadNodeReports(quota::Coordination& session, const std::string& sku_id);

}  // namespace tranche::server
