#include "storage/postgres/migrator.h"

#include <pqxx/pqxx>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/embedded_sql.h"
#include "storage/postgres/postgres_error.h"

namespace tranche::storage {
namespace {

constexpr char kBegin[] = "begin_migration";
constexpr char kRecord[] = "record_migration";
constexpr char kCheck[] = "check_procedures";
// Grants cover every function that exists when they run, so they follow any procedure that was replaced.
constexpr char kGrants[] = "zz_grants";

// Applies the file if it is new or has changed, or if `in_any_case`.
absl::Status ApplyFile(pqxx::work& transaction, const SqlFile& file, const char* kind, bool in_any_case,
                       std::vector<std::string>* applied) {
  const std::string verdict = transaction.exec_prepared1(kRecord, file.name, kind, file.text)[0].c_str();
  if (verdict == "CHANGED") {
    return absl::FailedPreconditionError(absl::StrCat(
        "migration ", file.name, " was applied with another text: migrations are immutable, add a new one"));
  }
  if (verdict == "SKIP" && !in_any_case) return absl::OkStatus();
  transaction.exec(file.text);
  applied->emplace_back(file.name);
  return absl::OkStatus();
}

std::string KnownMigrations() {
  ArrayLiteral names;
  for (const SqlFile& file : EmbeddedMigrations()) names.AddText(file.name);
  return std::move(names).Finish();
}

void CheckProcedures(pqxx::connection& connection, pqxx::work& transaction) {
  ArrayLiteral names, texts;
  for (const SqlFile& file : EmbeddedProcedures()) {
    names.AddText(file.name);
    texts.AddText(file.text);
  }
  connection.prepare(kCheck, CallText(kCheck, 2));
  transaction.exec_prepared(kCheck, std::move(names).Finish(), std::move(texts).Finish());
}

}  // namespace

int SchemaVersion() {
  const absl::string_view newest = EmbeddedMigrations().back().name;
  int version = 0;
  CHECK(absl::SimpleAtoi(newest.substr(0, newest.find('_')), &version)) << newest;
  return version;
}

absl::StatusOr<std::vector<std::string>> Migrate(const std::string& dsn, OtherProcedures others) {
  try {
    pqxx::connection connection(dsn);
    pqxx::work transaction(connection);
    transaction.exec(EmbeddedBookkeeping().text);
    connection.prepare(kBegin, CallText(kBegin, 1));
    transaction.exec_prepared(kBegin, KnownMigrations());
    connection.prepare(kRecord, CallText(kRecord, 3));
    std::vector<std::string> applied;
    for (const SqlFile& file : EmbeddedMigrations()) {
      RETURN_IF_ERROR(ApplyFile(transaction, file, "migration", false, &applied));
    }
    // A migration may drop a procedure together with its row type, although the procedure's text has not changed.
    const bool migrated = !applied.empty();
    if (!migrated && others == OtherProcedures::kRefuse) CheckProcedures(connection, transaction);
    for (const SqlFile& file : EmbeddedProcedures()) {
      const bool in_any_case = migrated || (file.name == absl::string_view(kGrants) && !applied.empty());
      if (absl::Status status = ApplyFile(transaction, file, "procedure", in_any_case, &applied); !status.ok()) {
        return status;
      }
    }
    transaction.commit();
    return applied;
  } catch (const std::exception& error) {
    return TranslatePostgresError(error, /*sent=*/false).status;
  }
}

}  // namespace tranche::storage
