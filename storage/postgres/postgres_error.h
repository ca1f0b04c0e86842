// The only place that turns libpqxx's exceptions and PostgreSQL's SQLSTATEs into statuses.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tranche::storage {

// A migration has changed the result type of a prepared statement or of a function that was under way: 0A000 cached
// plan must not change result type, 42804 and 42P13 of functions. Nothing happened; a fresh connection prepares the
// statement anew.
bool IsOutdatedPlan(absl::string_view sqlstate);

// Translates an exception caught around a single statement in autocommit mode. If the connection broke before the
// statement was sent, pass `sent == false`: nothing happened. After that the outcome is unknown, whatever was lost.
absl::Status TranslatePostgresError(const std::exception& error, bool sent);

}  // namespace tranche::storage
