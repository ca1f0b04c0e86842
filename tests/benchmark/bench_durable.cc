// How many reservations of one hot SKU a front node makes durable over streams, compared with the least that could do
// it: commit_reservations behind a bare gRPC stream (bare_server.h), in turns, with the same client and PostgreSQL's
// same settings.
//
//   bench_durable --endpoint 127.0.0.1:7400 --sku tv        (tv must have units for all of it)

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "glog/logging.h"
#include "storage/postgres/postgres_ledger.h"
#include "tests/benchmark/bare_server.h"
#include "tests/benchmark/child_server.h"
#include "tests/benchmark/raw_stream_caller.h"
#include "tests/support/mini_postgres.h"

namespace tranche::benchmark {
namespace {

constexpr char kSku[] = "bare";
constexpr int64_t kUnits = 100'000'000;

struct Flags {
  std::string endpoint;
  std::string sku;
  int rounds = 5;
  double seconds = 5;
  int streams = 2;
  int in_flight = 1024;
  int frame_items = 256;
  int lanes = 2;
  std::string json_file;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// An incarnation that holds all units of the SKU.
storage::IncarnationId OpenSale(const std::string& dsn) {
  storage::ConnectionPool pool({.dsn = dsn});
  storage::PostgresStockLedger stock(&pool);
  const auto incarnation = stock.RegisterIncarnation("bare", "127.0.0.1:1");
  CHECK(incarnation.ok()) << incarnation.status();
  storage::Sku sku;
  sku.sku_id = kSku;
  sku.title = "A thing";
  sku.price_minor = 100;
  sku.currency = "EUR";
  sku.stock = kUnits;
  const auto created = stock.CreateSku(sku, "benchmark");
  CHECK(created.ok()) << created.status();
  const storage::QuotaDelta all{*incarnation, kUnits};
  const auto moved = stock.MoveUnits(kSku, absl::MakeConstSpan(&all, 1), std::nullopt, "benchmark");
  CHECK(moved.ok()) << moved.status();
  return *incarnation;
}

// Exits if anything else than durable reservations was measured.
double RateOf(RawStreamCaller& caller, absl::Duration duration) {
  const RawResult result = caller.Run(duration);
  if (result.outcomes.size() == 1 && result.outcomes.contains("OK")) return result.per_second;
  std::cerr << "bench_durable: not a measurement of reservations:";
  for (const auto& [name, count] : result.outcomes) std::cerr << " " << name << "=" << count;
  std::cerr << "\n";
  std::exit(2);
}

int Measure(const Flags& flags) {
  testing::MiniPostgres postgres;
  CHECK(postgres.Start().ok());
  const auto bare = ChildServer::Start(
      {"--serve-bare", postgres.node_dsn(), absl::StrCat(OpenSale(postgres.node_dsn())), absl::StrCat(flags.lanes)});
  CHECK(bare.ok()) << bare.status();
  RawStreamOptions options{.address = (*bare)->address(),
                           .sku = kSku,
                           .streams = flags.streams,
                           .in_flight = flags.in_flight,
                           .frame_items = std::min(flags.frame_items, flags.in_flight)};
  RawStreamCaller bare_caller(options);
  options.address = flags.endpoint;
  options.sku = flags.sku;
  RawStreamCaller node_caller(options);
  for (RawStreamCaller* caller : {&bare_caller, &node_caller}) RateOf(*caller, absl::Seconds(1));  // warm
  std::vector<double> bare_rates, node_rates, ratios;
  std::cout << absl::StrFormat("%-7s %10s %10s %8s\n", "ROUND", "BARE/s", "NODE/s", "RATIO");
  for (int round = 1; round <= flags.rounds; ++round) {
    bare_rates.push_back(RateOf(bare_caller, absl::Seconds(flags.seconds)));
    node_rates.push_back(RateOf(node_caller, absl::Seconds(flags.seconds)));
    ratios.push_back(node_rates.back() / std::max(1.0, bare_rates.back()));
    std::cout << absl::StrFormat("%-7d %10.0f %10.0f %7.1f%%\n", round, bare_rates.back(), node_rates.back(),
                                 ratios.back() * 100)
              << std::flush;
  }
  std::cout << absl::StrFormat("%-7s %10.0f %10.0f %7.1f%%\n", "median", Median(bare_rates), Median(node_rates),
                               Median(ratios) * 100);
  if (flags.json_file.empty()) return 0;
  std::ofstream file(flags.json_file);
  file << nlohmann::json({{"bare_per_second", bare_rates},
                          {"node_per_second", node_rates},
                          {"ratios", ratios},
                          {"median_ratio", Median(ratios)}})
              .dump(2)
       << "\n";
  return file ? 0 : 1;
}

int Main(int argc, char** argv) {
  CLI::App app("Durable reservations of a front node over streams, beside the bare procedure behind a bare stream.",
               "bench_durable");
  Flags flags;
  app.add_option("--endpoint", flags.endpoint, "A front node, host:port")->required();
  app.add_option("--sku", flags.sku, "A SKU with enough units")->required();
  app.add_option("--rounds", flags.rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--seconds", flags.seconds, "Of each half of a round")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  app.add_option("--streams", flags.streams)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--in-flight", flags.in_flight, "Claims of each stream")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--frame-items", flags.frame_items, "Claims in a frame")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--lanes", flags.lanes, "Threads that commit at the bare server; the node has --lanes of its own")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--json", flags.json_file, "Write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  return Measure(flags);
}

}  // namespace
}  // namespace tranche::benchmark

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as the servers do
  tranche::storage::IncarnationId incarnation = 0;
  int lanes = 0;
  if (argc == 6 && std::string(argv[1]) == "--serve-bare" && absl::SimpleAtoi(argv[3], &incarnation) &&
      absl::SimpleAtoi(argv[4], &lanes)) {
    return tranche::benchmark::ServeBare(argv[2], incarnation, lanes, argv[5]);
  }
  return tranche::benchmark::Main(argc, argv);
}
