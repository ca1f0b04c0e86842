// The password of a PostgreSQL connection, kept in a file of its own.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tranche::storage {

// `dsn`, libpq's connection string or URI, with this password in the place of its own. The result is a connection
// string with keywords. Secret. kInvalidArgument, which quotes nothing, if libpq cannot read `dsn`.
absl::StatusOr<std::string> WithPassword(const std::string& dsn, const std::string& password);

// The same with the password that the file holds now (storage/base/secret_file.h); `dsn` itself if `file` is "".
// kUnavailable if the file cannot be used: it may be about to be replaced. kResourceExhausted if the process can open
// no file.
absl::StatusOr<std::string> WithPasswordOf(const std::string& file, const std::string& dsn);

}  // namespace tranche::storage
