// A SKU's quota as the API's message.
#pragma once

#include "absl/time/time.h"
#include "quota/coordination/coordination.h"
#include "server/handlers/node_reports.h"
#include "storage/ledger/incarnation_ledger.h"
#include "storage/ledger/quota_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// What the ledger knows of it. `sku` gives the flags.
v1::Quota ToMessage(const storage::Sku& sku, const storage::QuotaSnapshot& quota);

// By the ledger, which knows also those that lost their session and still hold units. Nothing when it does not answer.
void AddNames(storage::IncarnationLedger& ledger, v1::Quota* message);

// What the slices' nodes have been told. Unknown ones stay 0.
void AddAnnouncedVersions(quota::Coordination& session, v1::Quota* message);

// The nodes' reports, with a slice of nothing for nodes that hold nothing and report requests.
void AddReports(const NodeReports& reports, absl::Time now, v1::Quota* message);

}  // namespace tranche::server
