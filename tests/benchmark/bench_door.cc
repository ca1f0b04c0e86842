// How fast a front node lets buyers in: EnterSale of new buyers, and then the claims of those who have entered, each
// with the purchase token that it got. The claims are granted and committed to PostgreSQL.
//
//   bench_door --endpoint 127.0.0.1:7400 --sku tv --token        (tv must be on sale, with units for all claims)
//
// With --node-pid it also says how much CPU time an answer costs the node, which other work on the machine disturbs
// less than the rates.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/benchmark/async_calls.h"
#include "tests/benchmark/buyer_calls.h"

namespace tranche::benchmark {
namespace {

// Connections, caches, and units that are still on their way.
constexpr absl::Duration kWarmUp = absl::Milliseconds(500);

struct Flags {
  std::string endpoint;
  std::string sku;
  double seconds = 2;
  int in_flight = 256;
  bool token = false;
  int node_pid = 0;
  std::string json_file;
};

int Measure(const Flags& flags) {
  const NodeConnections node(flags.endpoint, /*count=*/1);
  BuyerLoad load = {.sku = flags.sku,
                    .duration = kWarmUp,
                    .in_flight = flags.in_flight,
                    .node_pid = flags.node_pid,
                    .token = flags.token};
  LetIn first;
  EnterSales(node, load, first);
  Claims(node, load, [&] { return first.Take(); });
  load.duration = absl::Seconds(flags.seconds);
  LetIn buyers;
  const CallFigures entered = EnterSales(node, load, buyers);
  const CallFigures claimed = Claims(node, load, [&] { return buyers.Take(); });
  PrintFigures("enter", entered);
  PrintFigures("claim", claimed);
  if (!flags.json_file.empty()) {
    std::ofstream file(flags.json_file);
    file << nlohmann::json{{"enter", ToJson(entered)}, {"claim", ToJson(claimed)}}.dump(2) << "\n";
    if (!file) {
      std::cerr << "bench_door: cannot write " << flags.json_file << "\n";
      return 1;
    }
  }
  const bool entries_valid = AllAsMeant("bench_door", "entries of buyers who are let in", entered);
  return AllAsMeant("bench_door", "claims that are granted", claimed) && entries_valid ? 0 : 2;
}

int Main(int argc, char** argv) {
  CLI::App app("How fast a front node lets buyers in, and grants their claims.", "bench_door");
  Flags flags;
  app.add_option("--endpoint", flags.endpoint, "A front node, host:port")->required();
  app.add_option("--sku", flags.sku, "A SKU on sale, with units for all claims")->required();
  app.add_option("--seconds", flags.seconds, "Of entering; and of claiming, unless all who entered have claimed before")
      ->check(CLI::Range(0.1, 30.0))  // within the lifetime of a token
      ->capture_default_str();
  app.add_option("--in-flight", flags.in_flight, "Calls at once")->check(CLI::Range(1, 10'000))->capture_default_str();
  app.add_flag("--token", flags.token, "The SKU's policy asks for a purchase token; without: it must ask for none");
  app.add_option("--node-pid", flags.node_pid, "The node's process, to measure its CPU time");
  app.add_option("--json", flags.json_file, "Write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  return Measure(flags);
}

}  // namespace
}  // namespace tranche::benchmark

int main(int argc, char** argv) {
  // Debian builds Abseil with its deadlock detector on, which would cost gRPC time at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return tranche::benchmark::Main(argc, argv);
}
