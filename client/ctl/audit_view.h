// Shows entries of the audit log.
#pragma once

#include <string>

#include "client/ctl/session.h"

namespace tranche::ctl {

// What differs between two JSON objects: "stock 1000 -> 1500, asked 600". Keys that are incarnations, as in moves of
// units, are shown as "pool" and "#17". A text that is not a JSON object is shown unchanged.
std::string DescribeAuditChange(const std::string& before, const std::string& after);

void PrintAudit(Session& session, const tranche::v1::ListAuditResponse& audit);

}  // namespace tranche::ctl
