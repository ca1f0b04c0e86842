// Claims and what became of them, as commit_reservations and commit_cart take and say them.
#pragma once

#include <pqxx/pqxx>
#include <string>

#include "absl/types/span.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::storage {

// Parallel array literals.
struct ClaimLiterals {
  std::string ids, skus, users, quantities;
};
ClaimLiterals ToLiterals(absl::Span<const ReservationClaim> claims);

// The columns of commit_reservations, from column `first` on.
CommitResult ToCommitResult(const pqxx::row& row, int first, const ReservationClaim& claim);

}  // namespace tranche::storage
