#include "server/handlers/rebalance_plan.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "quota/balancer/allocation.h"
#include "server/errors.h"
#include "server/handlers/node_directory.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr int64_t kMaxWeight = 1'000'000;

absl::Status InvalidWeights(absl::string_view description) { return InvalidField("weights", description); }

RebalancePlan ByDemand(absl::Span<const quota::LiveNode> nodes, const NodeReports& reports) {
  RebalancePlan plan;
  bool any = false;
  for (const quota::LiveNode& node : nodes) {
    if (node.draining) continue;
    const auto report = reports.find(node.incarnation);
    int64_t weight = 0;
    // Units are of no use to a node that cannot commit, however much is asked of it.
    if (report != reports.end() && report->second.demand.has_value() && !report->second.cannot_commit) {
      weight = quota::WeightOfRate(report->second.demand->grants_per_s() + report->second.demand->denials_per_s());
    }
    any |= weight > 0;
    plan.weights.push_back({node.incarnation, weight});
  }
  if (!any) {
    plan.weights.clear();
    plan.warnings.push_back("no node reports requests for this SKU now: the units are shared equally");
  }
  return plan;
}

absl::StatusOr<RebalancePlan> ByWeights(const v1::RebalanceQuotaRequest& request,
                                        absl::Span<const quota::LiveNode> nodes) {
  std::map<storage::IncarnationId, int64_t> named;
  int64_t sum = 0;
  for (const v1::NodeWeight& given : request.weights()) {
    ASSIGN_OR_RETURN(const quota::LiveNode node, ResolveNode(nodes, given.node(), "weights.node"));
    if (given.weight() < 0 || given.weight() > kMaxWeight) {
      return InvalidWeights(absl::StrCat("must each be 0 to ", kMaxWeight));
    }
    if (!named.emplace(node.incarnation, given.weight()).second) {
      return InvalidWeights(absl::StrCat("name the node ", given.node(), " twice"));
    }
    if (node.draining && given.weight() > 0) return NodeDraining(node);
    sum += given.weight();
  }
  if (sum == 0) return InvalidWeights("must give at least one node a weight above 0");

  RebalancePlan plan;
  std::vector<std::string> unnamed;
  for (const quota::LiveNode& node : nodes) {
    if (node.draining) continue;
    const auto weight = named.find(node.incarnation);
    if (weight == named.end()) unnamed.push_back(node.name);
    plan.weights.push_back({node.incarnation, weight == named.end() ? 0 : weight->second});
  }
  if (!unnamed.empty()) {
    plan.warnings.push_back(absl::StrCat("without a weight, and so left with nothing: ", absl::StrJoin(unnamed, ", ")));
  }
  return plan;
}

}  // namespace

absl::StatusOr<RebalancePlan> PlanRebalance(const v1::RebalanceQuotaRequest& request,
                                            absl::Span<const quota::LiveNode> nodes, const NodeReports& reports) {
  if (request.policy() != v1::REBALANCE_POLICY_WEIGHTS && request.weights_size() > 0) {
    return InvalidWeights("go with the policy WEIGHTS only");
  }
  absl::StatusOr<RebalancePlan> plan = RebalancePlan();
  switch (request.policy()) {
    case v1::REBALANCE_POLICY_UNSPECIFIED:
    case v1::REBALANCE_POLICY_EQUAL:
      break;
    case v1::REBALANCE_POLICY_DEMAND:
      plan = ByDemand(nodes, reports);
      break;
    case v1::REBALANCE_POLICY_WEIGHTS:
      plan = ByWeights(request, nodes);
      break;
    default:
      return InvalidField("policy", "must be EQUAL, DEMAND or WEIGHTS");
  }
  if (plan.ok() && plan->weights.empty() && Sharers(nodes).empty()) {
    plan->warnings = {"no node can be given units now: nothing moves"};
  }
  return plan;
}

std::vector<storage::QuotaDelta> SharesOf(const RebalancePlan& plan, const storage::QuotaSnapshot& quota,
                                          absl::Span<const storage::IncarnationId> sharers) {
  return plan.weights.empty() ? quota::EqualShares(quota, sharers) : quota::WeightedShares(quota, plan.weights);
}

}  // namespace tranche::server
