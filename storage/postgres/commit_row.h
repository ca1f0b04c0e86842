// Claims and their results, in the form that commit_reservations and commit_cart take and return.
#pragma once

#include <array>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::storage {

// Parallel array literals, as the last parameters of these procedures: ids, SKUs, users, quantities, order
// references.
using ClaimLiterals = std::array<std::string, 5>;
ClaimLiterals ToLiterals(absl::Span<const ReservationClaim> claims);

// The answers of commit_reservations or commit_cart, in the order of the claims.
// Throws UnreadableAnswer.
std::vector<CommitResult> ToCommitResults(const pqxx::result& rows, absl::Span<const ReservationClaim> claims);

}  // namespace tranche::storage
