// What may be shown of a PostgreSQL connection string, which may hold a password.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"

namespace tranche::server {

// "host:port/database", with libpq's defaults where the string leaves them open; nullopt if libpq cannot read it,
// or takes a part of an unescaped password for one of these. Only these three are ever shown.
std::optional<std::string> DescribeDsn(const std::string& dsn);

// The keyword by which the string holds a secret: "password" or "sslpassword". "" if it holds none, or libpq cannot
// read it.
std::string SecretKeywordOf(const std::string& dsn);

// What is wrong, and what to do, if the string, with libpq's environment, names a server on another machine and lets
// whoever answers there be told the password; otherwise, or if libpq cannot read it, "". Judged by the string, since
// after the first connection it is too late.
std::string ServerTrustWarning(const std::string& dsn);

// OK for a connection string that may be stored where every server reads it: libpq can read it and it holds no
// password.
absl::Status CheckSharedDsn(const std::string& dsn);

}  // namespace tranche::server
