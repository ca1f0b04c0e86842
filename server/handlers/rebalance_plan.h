// Which nodes share a SKU's unsold units in a rebalance, and with what weights. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quota/balancer/operator_plans.h"
#include "quota/coordination/live_nodes.h"
#include "server/handlers/node_reports.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

struct RebalancePlan {
  // Empty: all sharers get equal shares.
  std::vector<quota::WeightedReceiver> weights;
  std::vector<std::string> warnings;
};

// FIELD_INVALID, NODE_NOT_FOUND or NODE_DRAINING when the request's policy and weights cannot be applied. `nodes`
// ascend by incarnation. `reports` are used by the policy DEMAND only.
absl::StatusOr<RebalancePlan> PlanRebalance(const v1::RebalanceQuotaRequest& request,
                                            absl::Span<const quota::LiveNode> nodes, const NodeReports& reports);

// Its deltas. `sharers`: see server/handlers/node_directory.h.
std::vector<storage::QuotaDelta> SharesOf(const RebalancePlan& plan, const storage::QuotaSnapshot& quota,
                                          absl::Span<const storage::IncarnationId> sharers);

}  // namespace tranche::server
