// The SQL files of storage/sql, embedded in the binary.
#pragma once

#include <vector>

namespace tranche::storage {

struct SqlFile {
  const char* name;  // without ".sql"
  const char* text;
};

// The migrator's own table.
const SqlFile& EmbeddedBookkeeping();

// In file-name order.
const std::vector<SqlFile>& EmbeddedMigrations();
const std::vector<SqlFile>& EmbeddedProcedures();

}  // namespace tranche::storage
