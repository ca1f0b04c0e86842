#include "storage/postgres/columns.h"

#include <optional>

#include "glog/logging.h"

namespace tranche::storage {

ColumnIndex ColumnOf(const pqxx::result& rows, absl::string_view name) {
  ColumnIndex index = 0;
  while (index < rows.columns() && rows.column_name(index) != name) ++index;
  CHECK_LT(index, rows.columns()) << "an answer of the ledger has no column " << name;
  return index;
}

absl::Time TimeOf(const pqxx::field& field) { return absl::FromUnixMicros(field.as<int64_t>()); }

Uuid UuidOf(const pqxx::field& field) {
  const std::optional<Uuid> uuid = Uuid::Parse(TextOf(field));
  CHECK(uuid.has_value()) << "no UUID in the ledger: " << TextOf(field);
  return *uuid;
}

}  // namespace tranche::storage
