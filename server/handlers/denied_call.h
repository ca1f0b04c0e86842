// The audit entry about a change that its caller may not make.
#pragma once

#include "absl/status/status.h"
#include "server/access/denials.h"
#include "storage/ledger/audit_ledger.h"

namespace tranche::server {

// Writes an entry with the action "denied_call": the method and the roles that would do, with the outcome DENIED.
// Blocks.
absl::Status WriteDeniedCall(storage::AuditLedger* log, const Denial& denial);

}  // namespace tranche::server
