// Keywords that a process adds to the connection string of an operator.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace tranche::storage {

// What becomes of a keyword that the string has itself.
enum class OwnKeyword { kStays, kReplaced };

// `dsn`, libpq's connection string or URI, with these keywords and values, as a connection string with keywords. As
// secret as what was given. kInvalidArgument, which quotes nothing, if libpq cannot read `dsn`.
absl::StatusOr<std::string> WithKeywords(const std::string& dsn,
                                         const std::vector<std::pair<std::string, std::string>>& keywords,
                                         OwnKeyword own);

}  // namespace tranche::storage
