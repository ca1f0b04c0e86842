// Claims and their results, in the form that commit_reservations, join_groups and commit_cart take and return.
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

// The last parameters of join_groups, after these: groups and offers. NULL where a claim has none.
using GroupLiterals = std::array<std::string, 2>;
GroupLiterals ToGroupLiterals(absl::Span<const ReservationClaim> claims);

// The answers of commit_reservations, join_groups or commit_cart, in the order of the claims.
// Throws UnreadableAnswer.
std::vector<CommitResult> ToCommitResults(const pqxx::result& rows, absl::Span<const ReservationClaim> claims);

}  // namespace tranche::storage
