// Do this build and a database's schema fit together? Asked at start: a process that meets procedures which it does not
// know fails call by call, in mid-sale.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "storage/ledger/shard_ledger.h"

namespace tranche::server {

// The schema that this build was made for.
int OwnSchema();

// kFailedPrecondition says which of the two is too old, and what to do. `own` is the version of the schema that the
// servers were built with; `database` is how to name the database to an operator.
absl::Status CheckSchema(const storage::SchemaRange& schema, int own, const std::string& database);

// For a database without any schema, or with one from before schemas had versions.
absl::Status LacksSchema(const std::string& database);

// Asks the database of this DSN for its schema. Other errors than CheckSchema's are the ledger's.
absl::Status RequireSchema(storage::ShardLedger& ledger, const std::string& dsn);

}  // namespace tranche::server
