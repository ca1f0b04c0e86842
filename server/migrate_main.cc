// tranche-migrate: brings a database to this version's schema.
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "server/process/dsn.h"
#include "server/process/ledger_advice.h"
#include "server/process/options.h"
#include "storage/postgres/dsn_password.h"
#include "storage/postgres/migrator.h"

int main(int argc, char** argv) {
  using namespace tranche;
  server::MigrateOptions options;
  if (const std::optional<int> done = server::ParseMigrateOptions(argc, argv, &options, std::cout, std::cerr)) {
    return *done;
  }
  const std::string server = server::DescribeDsn(options.postgres).value_or("(unreadable)");
  if (const std::string why = server::ServerTrustWarning(options.postgres); !why.empty()) {
    std::cerr << "tranche-migrate: " << server << ": " << why << std::endl;
  }
  const auto others =
      options.replace_procedures ? storage::OtherProcedures::kReplace : storage::OtherProcedures::kRefuse;
  const absl::StatusOr<std::string> dsn = storage::WithPasswordOf(options.postgres_password_file, options.postgres);
  const absl::StatusOr<std::vector<std::string>> applied =
      dsn.ok() ? storage::Migrate(*dsn, others) : absl::StatusOr<std::vector<std::string>>(dsn.status());
  if (!applied.ok()) {
    const std::string why(applied.status().message());
    std::cerr << "tranche-migrate: the database at " << server << " was not changed (" << why << ")"
              << (absl::IsUnavailable(applied.status()) ? server::StartAdvice(why) : "") << std::endl;
    return 2;
  }
  for (const std::string& name : *applied) std::cout << "applied " << name << "\n";
  if (applied->empty()) std::cout << server << " is up to date\n";
  return 0;
}
