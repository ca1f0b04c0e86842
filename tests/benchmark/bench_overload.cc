// What a front node sells in time while many times as many claims come, on streams, as it can take: as a share of what
// it sells when as many are outstanding as help.
//
//   bench_overload --endpoint 127.0.0.1:7400 --sku tv --factor 10        (tv must have units for all of it)
//
// With --calls each claim is a call of its own. With --rate instead of --factor it is a load for something else to be
// measured beside: of any SKU, without shares.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/benchmark/buyer_calls.h"
#include "tests/benchmark/open_loop_caller.h"
#include "tests/benchmark/open_loop_calls.h"
#include "tests/benchmark/raw_stream_caller.h"

namespace tranche::benchmark {
namespace {

constexpr int kCallsInFlight = 1024;

struct Flags {
  OpenLoopOptions open_loop = {};
  bool calls = false;
  double factor = 0;  // 0: the rate is given
  double seconds = 10;
  int deadline_ms = 2000;
  int patience_ms = 10;
  std::string json_file;
};

// Exits if anything else than reservations was measured.
double OnlySold(double per_second, bool only_sold, const std::map<std::string, uint64_t>& outcomes) {
  if (only_sold) return per_second;
  std::cerr << "bench_overload: not a measurement of reservations:";
  for (const auto& [name, count] : outcomes) std::cerr << " " << name << "=" << count;
  std::cerr << "\n";
  std::exit(2);
}

double SaturateStreams(const Flags& flags) {
  RawStreamCaller caller({.address = flags.open_loop.address, .sku = flags.open_loop.sku});
  caller.Run(absl::Seconds(1));  // connections and caches
  const RawResult result = caller.Run(absl::Seconds(flags.seconds));
  return OnlySold(result.per_second, result.outcomes.size() == 1 && result.outcomes.contains("OK"), result.outcomes);
}

double SaturateCalls(const Flags& flags) {
  const NodeConnections node(flags.open_loop.address, flags.open_loop.streams);
  BuyerLoad load = {.sku = flags.open_loop.sku, .duration = absl::Seconds(1), .in_flight = kCallsInFlight};
  Claims(node, load, NewBuyer);  // connections and caches
  load.duration = absl::Seconds(flags.seconds);
  const CallFigures figures = Claims(node, load, NewBuyer);
  return OnlySold(figures.per_second, figures.answers > 0 && figures.problems.empty(), figures.problems);
}

void Print(const nlohmann::json& figures) {
  const double saturation = figures["saturation"].get<double>();
  const auto share = [&](const char* name) {
    return figures[name].get<double>() / figures["seconds"].get<double>() / (saturation > 0 ? saturation : 1);
  };
  std::cout << absl::StrFormat("%s: due %.2f, sent %.2f, sold in time %.3f; p50 %.1f, p99 %.1f ms\n",
                               saturation > 0 ? absl::StrFormat("as shares of %.0f/s", saturation) : "per second",
                               share("due"), share("sent"), share("in_time"), figures["p50_ms"].get<double>(),
                               figures["p99_ms"].get<double>());
  for (const auto& [name, count] : figures["others"].items()) {
    std::cout << absl::StrFormat("  %-20s %12d\n", name.empty() ? "no answer" : name, count.get<uint64_t>());
  }
}

template <typename Caller>
nlohmann::json OpenLoop(const OpenLoopOptions& options, const Flags& flags, double saturation) {
  Caller caller(options);
  const OpenLoopResult result = caller.Run(absl::Seconds(flags.seconds));
  return {{"saturation", saturation},
          {"seconds", result.seconds},
          {"due", result.due},
          {"sent", result.sent},
          {"in_time", result.in_time},
          {"others", result.others},
          {"p50_ms", 1e-3 * static_cast<double>(caller.latency().ValueAt(0.50))},
          {"p99_ms", 1e-3 * static_cast<double>(caller.latency().ValueAt(0.99))}};
}

int Measure(const Flags& flags) {
  OpenLoopOptions options = flags.open_loop;
  const double saturation = flags.factor <= 0 ? 0 : flags.calls ? SaturateCalls(flags) : SaturateStreams(flags);
  if (flags.factor > 0) options.per_second = flags.factor * saturation;
  options.deadline = absl::Milliseconds(flags.deadline_ms);
  options.patience = absl::Milliseconds(flags.patience_ms);
  const nlohmann::json figures = flags.calls ? OpenLoop<OpenLoopCalls>(options, flags, saturation)
                                             : OpenLoop<OpenLoopCaller>(options, flags, saturation);
  Print(figures);
  if (flags.json_file.empty()) return 0;
  std::ofstream file(flags.json_file);
  file << figures.dump(2) << "\n";
  return file ? 0 : 1;
}

int Main(int argc, char** argv) {
  CLI::App app("Claims on streams at a fixed rate, whether the node takes them or not.", "bench_overload");
  Flags flags;
  app.add_option("--endpoint", flags.open_loop.address, "A front node, host:port")->required();
  app.add_option("--sku", flags.open_loop.sku, "A SKU with enough units")->required();
  CLI::Option* const factor = app.add_option("--factor", flags.factor, "Times the rate at which claims are sold")
                                  ->check(CLI::Range(0.01, 100.0));
  app.add_option("--rate", flags.open_loop.per_second, "Claims per second")
      ->check(CLI::Range(1.0, 10'000'000.0))
      ->excludes(factor);
  app.add_flag("--calls", flags.calls, "A call for each claim, over so many connections as --streams says");
  app.add_option("--seconds", flags.seconds, "Of each of both parts")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  app.add_option("--streams", flags.open_loop.streams)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--frame-items", flags.open_loop.frame_items, "Claims in a frame, at most")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--deadline-ms", flags.deadline_ms, "Of each claim")
      ->check(CLI::Range(1, 60'000))
      ->capture_default_str();
  app.add_option("--patience-ms", flags.patience_ms, "How long a claim may wait for room on its stream")
      ->check(CLI::Range(1, 60'000))
      ->capture_default_str();
  app.add_option("--json", flags.json_file, "Write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  if (flags.factor <= 0 && flags.open_loop.per_second <= 0) {
    std::cerr << "bench_overload: --factor or --rate is missing\n";
    return 1;
  }
  return Measure(flags);
}

}  // namespace
}  // namespace tranche::benchmark

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as the servers do
  return tranche::benchmark::Main(argc, argv);
}
