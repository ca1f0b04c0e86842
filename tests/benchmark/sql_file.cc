#include "tests/benchmark/sql_file.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "tests/support/child_process.h"

namespace tranche::benchmark {

void RunSqlFile(const std::string& dsn, const std::string& file, const std::map<std::string, std::string>& variables) {
  std::vector<std::string> args = {"psql",       "--quiet",         "--no-psqlrc", "--dbname", dsn,
                                   "--variable", "ON_ERROR_STOP=1", "--file",      file};
  for (const auto& [name, value] : variables) {
    args.push_back("--variable");
    args.push_back(absl::StrCat(name, "=", value));
  }
  const auto psql =
      testing::ChildProcess::Start({.args = args, .env = {}, .working_dir = "", .log_file = "", .user = ""});
  CHECK(psql.ok()) << psql.status();
  const auto exit_status = (*psql)->Wait(absl::Minutes(30));
  CHECK(exit_status.ok()) << exit_status.status();
  CHECK_EQ(*exit_status, 0) << "psql failed: " << file;
}

}  // namespace tranche::benchmark
