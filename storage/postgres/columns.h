// Columns of a result by name.
//
// A table states once which column is which field of a struct. The names are looked up once per result; after that a
// row costs one step per column. Further columns, and the order, do not matter: an answer may grow.
#pragma once

#include <pqxx/pqxx>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/uuid.h"

namespace tranche::storage {

using ColumnIndex = pqxx::row::size_type;

// Each throws UnreadableAnswer if there is no such thing.

// The column with that name: a procedure returns all the columns that its callers know. Columns asks for none, so
// whoever reads by it asks for one that no answer of its kind lacks.
ColumnIndex ColumnOf(const pqxx::result& rows, absl::string_view name);

// Fields that are not NULL.
inline absl::string_view TextOf(const pqxx::field& field) { return absl::string_view(field.c_str(), field.size()); }
absl::Time TimeOf(const pqxx::field& field);  // microseconds since the Unix epoch
Uuid UuidOf(const pqxx::field& field);

template <typename Struct>
struct Column {
  absl::string_view name;
  void (*set)(const pqxx::field& field, Struct* value);  // of a field that is not NULL
};

// Reads structs out of the rows of one result.
template <typename Struct>
class Columns {
 public:
  Columns(const pqxx::result& rows, absl::Span<const Column<Struct>> table) {
    for (ColumnIndex index = 0; index < rows.columns(); ++index) {
      const absl::string_view name = rows.column_name(index);
      for (const Column<Struct>& column : table) {
        if (column.name == name) found_.push_back({index, column.set});
      }
    }
  }

  // Sets the fields whose columns are there and not NULL; the others stay as they are.
  void Read(const pqxx::row& row, Struct* value) const {
    // One field that moves along the row: making a field copies a reference to the result, which costs more than
    // reading it.
    pqxx::row::const_iterator field = row.begin();
    ColumnIndex at = 0;
    for (const auto& [index, set] : found_) {
      field += static_cast<pqxx::row::difference_type>(index - at);
      at = index;
      if (!field->is_null()) set(*field.operator->(), value);
    }
  }

  Struct Read(const pqxx::row& row) const {
    Struct value{};
    Read(row, &value);
    return value;
  }

 private:
  struct Found {
    ColumnIndex index;
    void (*set)(const pqxx::field& field, Struct* value);
  };
  std::vector<Found> found_;  // ascending
};

}  // namespace tranche::storage
