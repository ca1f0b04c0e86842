// The one place where libpqxx's exceptions and PostgreSQL's SQLSTATEs become statuses.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"

namespace tranche::storage {

// Translates an exception caught around a single statement in autocommit mode. A connection that broke before the
// statement was sent is `sent == false`: nothing happened. After that the outcome is unknown, whatever was lost.
absl::Status TranslatePostgresError(const std::exception& error, bool sent);

}  // namespace tranche::storage
