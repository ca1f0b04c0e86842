// What may be told of a PostgreSQL connection string, which may hold a password.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"

namespace tranche::server {

// "host:port/database", with libpq's defaults where the string leaves them open; nullopt if libpq cannot read it. Only
// these three are ever shown.
std::optional<std::string> DescribeDsn(const std::string& dsn);

// OK for a connection string that may be kept where every server reads it: one that libpq can read and that holds no
// password.
absl::Status CheckSharedDsn(const std::string& dsn);

}  // namespace tranche::server
