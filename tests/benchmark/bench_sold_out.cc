// How fast a front node answers "sold out", compared with the fastest answer that gRPC can give at all: an echo server,
// called in turns by the same client on the same machine, so that both see the same conditions.
//
//   bench_sold_out --endpoint 127.0.0.1:7400 --sku tv        (tv must be sold out)

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "tests/benchmark/echo_server.h"
#include "tests/benchmark/raw_caller.h"

namespace tranche::benchmark {
namespace {

struct Flags {
  std::string endpoint;
  std::string sku;
  int rounds = 5;
  double seconds = 3;
  int in_flight = 256;
  int channels = 1;
  std::string json_file;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// One kind of server, over all rounds.
struct Series {
  std::vector<double> per_second;
  std::map<std::string, uint64_t> outcomes;

  void Add(const RawResult& result) {
    per_second.push_back(result.per_second);
    for (const auto& [name, count] : result.outcomes) outcomes[name] += count;
  }
  // Whether every answer that was examined had this outcome.
  bool Only(const std::string& name) const { return outcomes.size() == 1 && outcomes.contains(name); }
};

nlohmann::json ToJson(const Series& series) {
  return {{"per_second", series.per_second},
          {"median_per_second", Median(series.per_second)},
          {"sampled_outcomes", series.outcomes}};
}

int Measure(const Flags& flags, const std::string& echo_address) {
  RawCaller echo_caller(echo_address, flags.sku, flags.in_flight, flags.channels);
  RawCaller sale_caller(flags.endpoint, flags.sku, flags.in_flight, flags.channels);
  const absl::Duration duration = absl::Seconds(flags.seconds);
  // Connections and caches.
  echo_caller.Run(absl::Milliseconds(500));
  sale_caller.Run(absl::Milliseconds(500));
  Series echo;
  Series sold_out;
  std::vector<double> ratios;
  std::cout << absl::StrFormat("%-7s %14s %14s %8s\n", "ROUND", "ECHO/s", "SOLD OUT/s", "RATIO");
  for (int round = 1; round <= flags.rounds; ++round) {
    echo.Add(echo_caller.Run(duration));
    sold_out.Add(sale_caller.Run(duration));
    ratios.push_back(sold_out.per_second.back() / std::max(1.0, echo.per_second.back()));
    std::cout << absl::StrFormat("%-7d %14.0f %14.0f %7.1f%%\n", round, echo.per_second.back(),
                                 sold_out.per_second.back(), ratios.back() * 100)
              << std::flush;
  }
  std::cout << absl::StrFormat("%-7s %14.0f %14.0f %7.1f%%\n", "median", Median(echo.per_second),
                               Median(sold_out.per_second), Median(ratios) * 100);
  if (!flags.json_file.empty()) {
    std::ofstream file(flags.json_file);
    file << nlohmann::json({{"in_flight", flags.in_flight},
                            {"channels", flags.channels},
                            {"round_seconds", flags.seconds},
                            {"echo", ToJson(echo)},
                            {"sold_out", ToJson(sold_out)},
                            {"ratios", ratios},
                            {"median_ratio", Median(ratios)}})
                .dump(2)
         << "\n";
    if (!file) {
      std::cerr << "bench_sold_out: cannot write " << flags.json_file << "\n";
      return 1;
    }
  }
  if (!echo.Only("OK") || !sold_out.Only("SOLD_OUT")) {
    std::cerr << "bench_sold_out: not a measurement of sold-out answers; sampled:";
    for (const auto& [name, count] : sold_out.outcomes) std::cerr << " " << name << "=" << count;
    std::cerr << "\n";
    return 2;
  }
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app("Sold-out answers of a front node beside a bare gRPC echo server, in turns.", "bench_sold_out");
  Flags flags;
  app.add_option("--endpoint", flags.endpoint, "A front node, host:port")->required();
  app.add_option("--sku", flags.sku, "A SKU that is sold out")->required();
  app.add_option("--rounds", flags.rounds)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--seconds", flags.seconds, "Of each half of a round")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--in-flight", flags.in_flight)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--channels", flags.channels, "Connections")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--json", flags.json_file, "Write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  const auto echo = EchoServer::Start(std::filesystem::read_symlink("/proc/self/exe").string());
  if (!echo.ok()) {
    std::cerr << "bench_sold_out: " << echo.status().message() << "\n";
    return 1;
  }
  return Measure(flags, (*echo)->address());
}

}  // namespace
}  // namespace tranche::benchmark

int main(int argc, char** argv) {
  // Debian builds Abseil with its deadlock detector on, which would cost gRPC time at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (argc == 3 && std::string(argv[1]) == "--serve-echo") return tranche::benchmark::ServeEcho(argv[2]);
  return tranche::benchmark::Main(argc, argv);
}
