// Shows the state of the cluster, and the SKUs with the most traffic.
#pragma once

#include <string>
#include <vector>

#include "client/ctl/session.h"

namespace tranche::ctl {

// Nothing is wrong but what may be meant so.
bool Healthy(const tranche::v1::GetStatusResponse& status);
// One line: "healthy: ..." or "NOT HEALTHY: ...".
std::string VerdictOf(const tranche::v1::GetStatusResponse& status);

// The verdict, a table for each part of the cluster, and the problems with their next steps. As JSON on one line or
// not.
enum class StatusForm { kIndented, kOneLine };
void PrintStatus(Session& session, const tranche::v1::GetStatusResponse& status,
                 StatusForm form = StatusForm::kIndented);

Table TrafficTable(const std::vector<tranche::v1::SkuTraffic>& skus);

}  // namespace tranche::ctl
