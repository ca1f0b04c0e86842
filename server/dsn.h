// What may be told of a PostgreSQL connection string, which may hold a password.
#pragma once

#include <optional>
#include <string>

namespace tranche::server {

// "host:port/database", with libpq's defaults where the string leaves them open; nullopt if libpq cannot read it. Only
// these three are ever shown.
std::optional<std::string> DescribeDsn(const std::string& dsn);

}  // namespace tranche::server
