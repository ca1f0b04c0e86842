// Short ways to write claims and to read their outcomes, for tests of the ledger.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "storage/ledger/lifecycle_ledger.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::testing {

// A new id at every call: distinct within this process.
storage::Uuid NewId();

storage::ReservationClaim Claim(const std::string& sku_id, const std::string& user_id, int32_t quantity = 1);

// "n" claims of one unit each by the buyers <prefix>0, <prefix>1, ...
std::vector<storage::ReservationClaim> ClaimsOf(const std::string& sku_id, const std::string& prefix, int n);

}  // namespace tranche::testing

namespace tranche::storage {

// For gtest's messages.
void PrintTo(CommitOutcome outcome, std::ostream* out);
void PrintTo(ChangeOutcome outcome, std::ostream* out);
void PrintTo(ReservationState state, std::ostream* out);

}  // namespace tranche::storage
