// A SKU's quota as a message of the API.
#pragma once

#include "absl/time/time.h"
#include "quota/coordination/coordination.h"
#include "server/handlers/node_reports.h"
#include "storage/ledger/incarnation_ledger.h"
#include "storage/ledger/quota_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// What the ledger knows about it. `sku` gives the flags.
v1::Quota ToMessage(const storage::Sku& sku, const storage::QuotaSnapshot& quota);

// Fills in the nodes' names from the ledger, which also knows nodes that lost their session and still hold units. Does
// nothing when the ledger does not answer.
void AddNames(storage::IncarnationLedger& ledger, v1::Quota* message);

// Fills in what was announced to the slices' nodes. What is unknown stays 0.
void AddAnnouncedVersions(quota::Coordination& session, v1::Quota* message);

// Fills in the nodes' reports. A node that holds nothing and reports requests gets an empty slice.
void AddReports(const NodeReports& reports, absl::Time now, v1::Quota* message);

}  // namespace tranche::server
