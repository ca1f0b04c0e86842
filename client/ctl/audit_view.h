// Shows entries of the audit log.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "client/ctl/session.h"

namespace tranche::ctl {

// By incarnation.
using NodeNames = std::map<int64_t, std::string>;

// What differs between two JSON objects: "stock 1000 -> 1500, asked 600". Keys that are incarnations, as in moves of
// units, are shown as "pool" and "node-1 #17", or "#17" without a name. A text that is not a JSON object is shown
// unchanged.
std::string DescribeAuditChange(const std::string& before, const std::string& after, const NodeNames& names = {});

void PrintAudit(Session& session, const tranche::v1::ListAuditResponse& audit);

}  // namespace tranche::ctl
