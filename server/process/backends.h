// Waits at start for what a process depends on, and says in one line what is wrong if it does not come.
#pragma once

#include "absl/status/status.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "server/process/options.h"
#include "storage/ledger/incarnation_ledger.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/ledger/shard_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::server {

storage::PoolOptions ToPoolOptions(const BackendOptions& options, const char* application_name, int max_connections);
quota::ZookeeperOptions ToZookeeperOptions(const BackendOptions& options);

// Returns once the ledger answers; an error, whose message is for operators and holds no password, when it does not
// within the startup timeout or needs the operator's help.
absl::Status WaitForLedger(storage::IncarnationLedger& ledger, const BackendOptions& options);

// An error when the database is a shard of another home, as --postgres names home, or of an earlier version.
absl::Status RequireHome(storage::ShardLedger& ledger, const BackendOptions& options);

// An error when the database lacks what this version's claims need. Changes nothing.
absl::Status RequireSchema(storage::ReservationLedger& ledger, const BackendOptions& options);

// The operator's line for a start that failed at ZooKeeper.
absl::Status ZookeeperStartError(const absl::Status& status, const BackendOptions& options);

}  // namespace tranche::server
