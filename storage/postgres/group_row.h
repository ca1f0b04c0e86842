// Offers of groups, groups and members, or why there are none, as the procedures return them
// (storage/sql/procedures/aa_group_row.sql).
#pragma once

#include <pqxx/pqxx>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "storage/ledger/group_ledger.h"
#include "storage/postgres/call.h"
#include "storage/postgres/columns.h"

namespace tranche::storage {

// In any answer that has their columns.
Columns<GroupOffer> GroupOfferColumns(const pqxx::result& rows);
Columns<Group> GroupColumns(const pqxx::result& rows);
Columns<GroupMember> GroupMemberColumns(const pqxx::result& rows);

// OK if the column `outcome` of the first row says that there is an answer, or the error that it says. `rows` has at
// least one row. `sku_id`: that was asked about, if any.
absl::Status GroupOutcome(Repeat repeat, const pqxx::result& rows, const std::string& sku_id);

// As procedures take it.
const char* OnTimeoutWord(OnGroupTimeout on_timeout);
// An array literal of their names.
std::string ToLiteral(absl::Span<const GroupState> states);

}  // namespace tranche::storage
