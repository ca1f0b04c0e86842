// tranche-limiter: asks a rate limiter one question, and prints the answer as JSON. For scripts/compare limiters.
//
//   tranche-limiter --limiter table --question speed --keys 1000000 --callers 2
//   tranche-limiter --limiter redis --redis 127.0.0.1:6379 --question exact

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/process/process_setup.h"
#include "storage/base/decimal_flags.h"
#include "storage/base/status_macros.h"
#include "tests/benchmark/limiters/limiter.h"
#include "tests/benchmark/limiters/questions.h"
#include "tests/benchmark/limiters/redis_limiter.h"
#include "tests/benchmark/limiters/table_limiter.h"

namespace tranche::limiters {
namespace {

using Ask = absl::Status (*)(Limiter&, const QuestionTerms&, nlohmann::json&);

const std::map<std::string, Ask>& Questions() {
  static const auto* const questions = new std::map<std::string, Ask>{{"exact", AskExact},
                                                                      {"speed", AskSpeed},
                                                                      {"memory", AskMemory},
                                                                      {"evicted", AskEvicted},
                                                                      {"sprayed", AskSprayed}};
  return *questions;
}

struct LimiterFlags {
  std::string limiter = {};
  std::string question = {};
  std::string redis = {};
  int64_t table_bytes = int64_t{64} << 20;
  int homes = 1;
  int64_t interval_ms = 100;
  double seconds = 3;
  QuestionTerms terms = {};
};

void AddLimiterFlags(CLI::App& app, LimiterFlags& flags) {
  app.add_option("--limiter", flags.limiter, "Which one")->required()->check(CLI::IsMember({"table", "redis"}));
  app.add_option("--question", flags.question, "What it is asked")
      ->required()
      ->check(CLI::IsMember({"exact", "speed", "memory", "evicted", "sprayed"}));
  app.add_option("--redis", flags.redis, "HOST:PORT of an empty Redis");
  app.add_option("--table-bytes", flags.table_bytes, "Of each node")
      ->check(CLI::Range(int64_t{1} << 16, int64_t{1} << 34))
      ->capture_default_str();
  app.add_option("--homes", flags.homes, "Nodes among which a table's keys have their homes, if more than --nodes")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  app.add_option("--burst", flags.terms.limit.burst, "Tries that may come at once")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  app.add_option("--interval-ms", flags.interval_ms, "Between two tries at the limit's rate")
      ->check(CLI::Range(int64_t{1}, int64_t{3'600'000}))
      ->capture_default_str();
  app.add_option("--seconds", flags.seconds, "How long tries are made")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  app.add_option("--keys", flags.terms.keys)
      ->check(CLI::Range(int64_t{1}, int64_t{100'000'000}))
      ->capture_default_str();
  app.add_option("--callers", flags.terms.callers, "Threads")->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--batch", flags.terms.batch, "Tries of a caller that are sent together")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--nodes", flags.terms.nodes)->check(CLI::Range(1, 1'000))->capture_default_str();
  app.add_option("--victims", flags.terms.victims, "Keys that must not be forgotten")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  app.add_option("--times", flags.terms.times, "As many keys as fit that come between")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000}))
      ->capture_default_str();
  ReadNumbersAsDecimal(app);
}

absl::StatusOr<std::unique_ptr<Limiter>> MakeLimiter(const LimiterFlags& flags) {
  if (flags.limiter == "redis") return RedisLimiter::Open(flags.redis);
  std::unique_ptr<Limiter> table =
      std::make_unique<TableLimiter>(flags.terms.nodes, flags.homes, static_cast<size_t>(flags.table_bytes));
  return table;
}

absl::Status Answer(const LimiterFlags& flags) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Limiter> limiter, MakeLimiter(flags));
  nlohmann::json answer;
  RETURN_IF_ERROR(Questions().at(flags.question)(*limiter, flags.terms, answer));
  std::cout << answer.dump() << std::endl;
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  CLI::App app("Asks a rate limiter one question, for comparisons.", "tranche-limiter");
  app.footer("Exit status: 0 answered, 1 wrong usage, 2 the limiter cannot be asked.");
  LimiterFlags flags;
  AddLimiterFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  flags.terms.limit.interval = absl::Milliseconds(flags.interval_ms);
  flags.terms.duration = absl::Seconds(flags.seconds);
  server::SetUpProcess("tranche-limiter", server::LogFormat::kText);
  // A Redis that closes a connection is an error, not the end.
  std::signal(SIGPIPE, SIG_IGN);
  const absl::Status answered = Answer(flags);
  if (answered.ok()) return 0;
  std::cerr << "tranche-limiter: " << std::string(answered.message()) << std::endl;
  return absl::IsInvalidArgument(answered) ? 1 : 2;
}

}  // namespace
}  // namespace tranche::limiters

int main(int argc, char** argv) { return tranche::limiters::Main(argc, argv); }
