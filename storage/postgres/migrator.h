// Brings a database to this build's schema: the numbered migrations that it lacks, then the procedures.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tranche::storage {

// What becomes of procedures that another build of the same schema version has made.
enum class OtherProcedures { kRefuse, kReplace };

// Applies what is missing in one transaction, under an advisory lock, so that several may be started at once and a
// failure changes nothing. Returns the names of what was applied: none when the database is up to date. Migrations are
// immutable: if the text of an applied one has changed, that is kFailedPrecondition. After a migration all procedures
// are replaced. Without one, procedures with another text are of another build, perhaps a newer one:
// kFailedPrecondition with their names, unless `others` is kReplace. kFailedPrecondition, too, for a database that a
// newer build has migrated, whose procedures would be replaced by older ones, and for one whose encoding is not UTF-8.
// The connection's role must own the schema or be allowed to create it, and the first time be allowed to create roles.
absl::StatusOr<std::vector<std::string>> Migrate(const std::string& dsn,
                                                 OtherProcedures others = OtherProcedures::kRefuse);

// Of the schema that this build's Migrate makes: the number of its newest migration.
int SchemaVersion();

}  // namespace tranche::storage
