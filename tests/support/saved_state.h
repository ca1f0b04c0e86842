// What a database holds, remembered in itself and brought back, so that tests can use one database one after the other.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tranche::testing {

// `owner_dsn` names the database and a superuser. All three connect, and return any error of PostgreSQL as kInternal.
// Thread-safe for different databases.

// Remembers the rows of every table and where every sequence stands. Once in a database.
absl::Status SaveState(const std::string& owner_dsn);

// Ends all other connections to the database, then brings back what SaveState has remembered: exactly those rows.
// Tables that differ are as new, without dead rows; the others, and what PostgreSQL knows of tables (statistics), stay
// as they are. Fails if the schema, rights or settings are not those of then: it cannot bring them back.
absl::Status RestoreState(const std::string& owner_dsn);

// By the name of each table and sequence, what it holds. Equal for equal contents; a table that is empty differs from
// one that was emptied by DELETE.
absl::StatusOr<std::map<std::string, std::string>> DescribeState(const std::string& owner_dsn);

}  // namespace tranche::testing
