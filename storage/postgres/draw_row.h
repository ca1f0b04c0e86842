// A draw, or why there is none, as the procedures return it (storage/sql/procedures/aa_draw_row.sql).
#pragma once

#include <pqxx/pqxx>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/ledger/draw_ledger.h"
#include "storage/postgres/call.h"
#include "storage/postgres/columns.h"

namespace tranche::storage {

// The columns of the view draw_fields, in any answer that has them.
Columns<Draw> DrawColumns(const pqxx::result& rows);

// OK if the column `outcome` of the first row says so, or the error that it says. An answer about a draw has at least
// one row.
absl::Status DrawOutcome(Repeat repeat, const pqxx::result& rows, const std::string& sku_id);

// Both throw UnreadableAnswer.
DrawState DrawStateOf(absl::string_view word);
std::string BytesOfHex(const pqxx::field& field);

}  // namespace tranche::storage
