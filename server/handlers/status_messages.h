// What the ledger and ZooKeeper say about the cluster's health, as messages of the API.
#pragma once

#include "absl/time/time.h"
#include "quota/coordination/live_nodes.h"
#include "server/handlers/cluster_traffic.h"
#include "storage/ledger/health_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

v1::ProcessStatus ToMessage(const storage::Heartbeat& heartbeat);
v1::LedgerStatus ToMessage(const storage::LedgerHealth& health);
v1::OutboxSink ToMessage(const storage::OutboxDepth& depth);
v1::GoneNode ToMessage(const storage::GoneIncarnation& gone);
// `report`: nullptr if the node has none.
v1::NodeStatus ToMessage(const quota::LiveNode& node, const NodeTraffic* report, absl::Time now);

}  // namespace tranche::server
