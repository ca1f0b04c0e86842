// Shows entries of the audit log.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "client/ctl/session.h"

namespace tranche::ctl {

// By incarnation.
using NodeNames = std::map<int64_t, std::string>;

// What differs between two JSON objects: "stock 1000 -> 1500, asked 600". What tells which reservation, message or sink
// is meant comes first, also if it does not differ: "reservation_id 0189..., state PENDING -> CANCELLED". A member that
// only `before` has is gone ("3 -> none"), unless `after` has an outcome. Keys that are incarnations, as in moves of
// units, are shown as "pool" and "node-1 #17", or "#17" without a name. A text that is not a JSON object is shown
// unchanged.
std::string DescribeAuditChange(const std::string& before, const std::string& after, const NodeNames& names = {});

void PrintAudit(Session& session, const tranche::v1::ListAuditResponse& audit);

}  // namespace tranche::ctl
