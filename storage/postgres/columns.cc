#include "storage/postgres/columns.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "storage/postgres/answer.h"

namespace tranche::storage {

ColumnIndex ColumnOf(const pqxx::result& rows, absl::string_view name) {
  ColumnIndex index = 0;
  while (index < rows.columns() && rows.column_name(index) != name) ++index;
  if (index == rows.columns()) throw UnreadableAnswer(absl::StrCat("it has no column ", name));
  return index;
}

absl::Time TimeOf(const pqxx::field& field) { return absl::FromUnixMicros(field.as<int64_t>()); }

Uuid UuidOf(const pqxx::field& field) {
  const std::optional<Uuid> uuid = Uuid::Parse(TextOf(field));
  if (!uuid.has_value()) throw UnreadableAnswer(absl::StrCat("no UUID: ", TextOf(field)));
  return *uuid;
}

}  // namespace tranche::storage
