// How many reservations of one hot SKU a front node makes durable over streams, compared with the least that could do
// it: commit_reservations behind a bare gRPC stream (bare_server.h), in turns, with the same client and PostgreSQL's
// same settings.
//
//   bench_durable --endpoint 127.0.0.1:7400 --sku tv        (tv must have units for all of it)
//
// With --only one of both, for a comparison with another run. With --beside-skus, two bare servers in turns instead,
// each with a PostgreSQL of its own: one with --skus, the other with so many.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "glog/logging.h"
#include "storage/postgres/postgres_ledger.h"
#include "tests/benchmark/bare_server.h"
#include "tests/benchmark/child_server.h"
#include "tests/benchmark/raw_stream_caller.h"
#include "tests/benchmark/sql_file.h"
#include "tests/support/mini_postgres.h"

namespace tranche::benchmark {
namespace {

constexpr char kSku[] = "bare";
constexpr int64_t kUnits = 100'000'000;
constexpr char kNode[] = "node";
constexpr char kBare[] = "bare";
constexpr char kBeside[] = "beside";

struct Flags {
  std::string endpoint;
  std::string sku;
  std::string only;  // kNode or kBare; empty: both
  int skus = 1;
  int beside_skus = 0;  // 0: no second bare server
  int slots = 1;
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

// With a slot for each lane, batches take a free one each, and commit side by side. With fewer, one batch might find
// none.
storage::LockMode LockModeOf(int lanes, int slots) {
  return slots > 1 && slots >= lanes ? storage::LockMode::kSkipLocked : storage::LockMode::kWait;
}

// The bare server, with a PostgreSQL of its own.
class BareSide {
 public:
  BareSide(const Flags& flags, int skus) {
    const absl::Status started = postgres_.Start();
    CHECK(started.ok()) << started;
    server_ = ChildServer::Start({"--serve-bare", postgres_.node_dsn(), absl::StrCat(OpenSale(flags, skus)),
                                  absl::StrCat(flags.lanes), absl::StrCat(flags.slots)});
    CHECK(server_.ok()) << server_.status();
  }

  const std::string& address() const { return (*server_)->address(); }

 private:
  // An incarnation that holds all units of the SKUs.
  storage::IncarnationId OpenSale(const Flags& flags, int skus) {
    storage::ConnectionPool pool({.dsn = postgres_.node_dsn()});
    storage::PostgresStockLedger stock(&pool);
    const auto incarnation = stock.RegisterIncarnation("bare", "127.0.0.1:1");
    CHECK(incarnation.ok()) << incarnation.status();
    RunSqlFile(postgres_.dsn(), TRANCHE_OPEN_SKUS_SQL,
               {{"name", kSku},
                {"first", "0"},
                {"last", absl::StrCat(skus - 1)},
                {"units", absl::StrCat(kUnits)},
                {"slots", absl::StrCat(flags.slots)},
                {"incarnation", absl::StrCat(*incarnation)}});
    return *incarnation;
  }

  testing::MiniPostgres postgres_;
  absl::StatusOr<std::unique_ptr<ChildServer>> server_;
};

// What is measured in turns.
struct Side {
  std::string name;
  std::unique_ptr<RawStreamCaller> caller;
  std::vector<double> rates = {};
};

Side SideOf(const std::string& name, const std::string& address, const std::string& sku, int skus, const Flags& flags) {
  return {.name = name,
          .caller = std::make_unique<RawStreamCaller>(
              RawStreamOptions{.address = address,
                               .sku = sku,
                               .skus = skus,
                               .streams = flags.streams,
                               .in_flight = flags.in_flight,
                               .frame_items = std::min(flags.frame_items, flags.in_flight)})};
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

// Of each round the second side's rate as a share of the first one's, which is a bare server; empty if only one was
// measured.
std::vector<double> RatiosOf(const std::vector<Side>& sides) {
  std::vector<double> ratios;
  if (sides.size() != 2) return ratios;
  const std::vector<double>& first = sides[0].rates;
  const std::vector<double>& second = sides[1].rates;
  for (size_t round = 0; round < second.size(); ++round) ratios.push_back(second[round] / std::max(1.0, first[round]));
  return ratios;
}

void PrintLine(const std::string& title, const std::vector<double>& rates, const std::vector<double>& ratios) {
  std::cout << absl::StrFormat("%-7s", title);
  for (const double rate : rates) std::cout << absl::StrFormat(" %10.0f", rate);
  if (!ratios.empty()) std::cout << absl::StrFormat(" %7.1f%%", 100 * Median(ratios));
  std::cout << std::endl;
}

void MeasureInTurns(std::vector<Side>& sides, const Flags& flags) {
  for (Side& side : sides) RateOf(*side.caller, absl::Seconds(1));  // connections and caches
  std::cout << absl::StrFormat("%-7s", "ROUND");
  for (const Side& side : sides) std::cout << absl::StrFormat(" %10s", side.name + "/s");
  std::cout << (sides.size() == 2 ? "    RATIO" : "") << "\n";
  for (int round = 1; round <= flags.rounds; ++round) {
    std::vector<double> rates;
    for (Side& side : sides) rates.push_back(RateOf(*side.caller, absl::Seconds(flags.seconds)));
    for (size_t i = 0; i < sides.size(); ++i) sides[i].rates.push_back(rates[i]);
    const std::vector<double> ratios = RatiosOf(sides);
    PrintLine(absl::StrCat(round), rates, ratios.empty() ? ratios : std::vector<double>{ratios.back()});
  }
  std::vector<double> medians;
  for (const Side& side : sides) medians.push_back(Median(side.rates));
  PrintLine("median", medians, RatiosOf(sides));
}

int Measure(const Flags& flags) {
  std::optional<BareSide> bare, beside;
  std::vector<Side> sides;
  if (flags.only != kNode) {
    sides.push_back(SideOf(kBare, bare.emplace(flags, flags.skus).address(), kSku, flags.skus, flags));
  }
  if (flags.beside_skus > 0) {
    const std::string& address = beside.emplace(flags, flags.beside_skus).address();
    sides.push_back(SideOf(kBeside, address, kSku, flags.beside_skus, flags));
  } else if (flags.only != kBare) {
    sides.push_back(SideOf(kNode, flags.endpoint, flags.sku, flags.skus, flags));
  }
  MeasureInTurns(sides, flags);
  if (flags.json_file.empty()) return 0;
  nlohmann::json figures;
  for (const Side& side : sides) figures[side.name + "_per_second"] = side.rates;
  if (const std::vector<double> ratios = RatiosOf(sides); !ratios.empty()) {
    figures["ratios"] = ratios;
    figures["median_ratio"] = Median(ratios);
  }
  std::ofstream file(flags.json_file);
  file << figures.dump(2) << "\n";
  return file ? 0 : 1;
}

void AddOptions(CLI::App& app, Flags& flags) {
  app.add_option("--endpoint", flags.endpoint, "A front node, host:port");
  app.add_option("--sku", flags.sku, "A SKU with enough units; with --skus, what many_skus has as --prefix");
  app.add_option("--only", flags.only, "One of both alone: a node that another round compares, or the bare server")
      ->check(CLI::IsMember({kNode, kBare}));
  app.add_option("--skus", flags.skus, "Claims are for so many SKUs in turn")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--beside-skus", flags.beside_skus,
                 "Instead of a node, a second bare server, with claims for so many SKUs in turn; needs --only bare")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--slots", flags.slots,
                 "Rows of a slice at the bare server; from --lanes on, each batch takes one that is free")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--rounds", flags.rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--seconds", flags.seconds, "Of each side in a round")
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
}

int Main(int argc, char** argv) {
  CLI::App app("Durable reservations of a front node over streams, beside the bare procedure behind a bare stream.",
               "bench_durable");
  Flags flags;
  AddOptions(app, flags);
  CLI11_PARSE(app, argc, argv);
  if (flags.only != kBare && (flags.endpoint.empty() || flags.sku.empty())) {
    std::cerr << "bench_durable: --endpoint or --sku is missing\n";
    return 1;
  }
  if (flags.only != kBare && flags.beside_skus > 0) {
    std::cerr << "bench_durable: --beside-skus needs --only bare\n";
    return 1;
  }
  return Measure(flags);
}

}  // namespace
}  // namespace tranche::benchmark

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as the servers do
  using tranche::benchmark::LockModeOf;
  using tranche::benchmark::ServeBare;
  tranche::storage::IncarnationId incarnation = 0;
  int lanes = 0, slots = 0;
  if (argc == 7 && std::string(argv[1]) == "--serve-bare" && absl::SimpleAtoi(argv[3], &incarnation) &&
      absl::SimpleAtoi(argv[4], &lanes) && absl::SimpleAtoi(argv[5], &slots)) {
    return ServeBare(argv[2], incarnation, lanes, LockModeOf(lanes, slots), argv[6]);
  }
  return tranche::benchmark::Main(argc, argv);
}
