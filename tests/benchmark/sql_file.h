// SQL of a file beside the benchmarks, run by psql.
#pragma once

#include <map>
#include <string>

namespace tranche::benchmark {

// `variables`: of psql, by name. Waits for half an hour at most; an error ends the program.
void RunSqlFile(const std::string& dsn, const std::string& file, const std::map<std::string, std::string>& variables);

}  // namespace tranche::benchmark
