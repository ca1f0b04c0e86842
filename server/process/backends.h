// Waits at start for the backends of a process, and says in one line what is wrong if they do not answer.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "server/process/options.h"
#include "storage/ledger/incarnation_ledger.h"
#include "storage/ledger/shard_ledger.h"
#include "storage/postgres/connection_limits.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::server {

storage::PoolOptions ToPoolOptions(const BackendOptions& options, const char* application_name, int max_connections);
quota::ZookeeperOptions ToZookeeperOptions(const BackendOptions& options);

// Says in the log if the connection string of `name` lets a server in the place of the right one be told the password.
// Call it before the first connection.
void WarnIfAnyServerIsTrusted(const std::string& name, const std::string& dsn);

// Returns once the ledger answers and takes changes; warns before. Fails when it does not within the startup timeout,
// or needs the operator's help; the message is for operators and holds no password.
absl::Status WaitForLedger(storage::IncarnationLedger& ledger, const BackendOptions& options);

// Fails when the database's schema and this version do not fit together, or when it is a shard and not home.
absl::Status RequireHome(storage::ShardLedger& ledger, const BackendOptions& options);

// Warns if the server may give this process fewer connections than it may want. Fails if it can never give it enough,
// or if a pooler swaps the sessions behind its connections. Uses two connections for a moment.
absl::Status CheckConnections(const BackendOptions& options, const storage::ConnectionNeeds& needs);
// The same for the server of a pool, which may be another shard's. `name`: how the log names it.
absl::Status CheckConnections(storage::PoolOptions options, const std::string& name,
                              const storage::ConnectionNeeds& needs);

// The line for the operator when the start failed at ZooKeeper.
absl::Status ZookeeperStartError(const absl::Status& status, const BackendOptions& options);

}  // namespace tranche::server
