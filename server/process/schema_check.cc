#include "server/process/schema_check.h"

#include "absl/strings/str_cat.h"
#include "server/process/dsn.h"
#include "storage/postgres/migrator.h"

namespace tranche::server {

int OwnSchema() { return storage::SchemaVersion(); }

absl::Status LacksSchema(const std::string& database) {
  return absl::FailedPreconditionError(
      absl::StrCat("the database at ", database, " lacks this version's schema: run tranche-migrate --postgres DSN"));
}

absl::Status CheckSchema(const storage::SchemaRange& schema, int own, const std::string& database) {
  if (schema.version < own) {
    return absl::FailedPreconditionError(absl::StrCat("the database at ", database, " has schema ", schema.version,
                                                      ", and this version needs ", own,
                                                      ": run this version's tranche-migrate --postgres DSN"));
  }
  if (own < schema.oldest_server) {
    return absl::FailedPreconditionError(absl::StrCat("this version is too old for the database at ", database,
                                                      ": it was built for schema ", own, ", and the database's schema ",
                                                      schema.version, " serves versions from ", schema.oldest_server,
                                                      " on: install the version whose tranche-migrate was run there"));
  }
  return absl::OkStatus();
}

absl::Status RequireSchema(storage::ShardLedger& ledger, const std::string& dsn) {
  const std::string database = DescribeDsn(dsn).value_or("(unreadable)");
  const absl::StatusOr<storage::SchemaRange> schema = ledger.Schema();
  if (absl::IsFailedPrecondition(schema.status())) return LacksSchema(database);
  if (!schema.ok()) return schema.status();
  return CheckSchema(*schema, OwnSchema(), database);
}

}  // namespace tranche::server
