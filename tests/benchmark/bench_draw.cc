// How fast a front node takes buyers into a draw, and tells them what became of their entries. Beside them, how fast it
// sells, which is what the rates are compared with.
//
//   bench_draw --endpoint 127.0.0.1:7400 --sku tv claim                (on sale, with units for all claims)
//   bench_draw --endpoint 127.0.0.1:7400 --sku sneaker enter           (its draw is open)
//   bench_draw --endpoint 127.0.0.1:7400 --sku sneaker --token enter   (and its policy asks for a purchase token)
//   bench_draw --endpoint 127.0.0.1:7400 --sku sneaker --users 1000 look
//                                       (its draw is seeded, and buyer-1 to buyer-1000 have entered)
//
// Entries and claims are committed to PostgreSQL, each in the name of a new buyer.
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/benchmark/async_calls.h"
#include "tests/benchmark/buyer_calls.h"
#include "tranche/v1/front_door_service.grpc.pb.h"

namespace tranche::benchmark {
namespace {

// Connections, caches, and units that are still on their way.
constexpr absl::Duration kWarmUp = absl::Milliseconds(500);
// A prime: buyers who follow each other have not entered one after the other.
constexpr uint64_t kStride = 7'919;
constexpr size_t kRankBytes = 32;

struct Flags {
  std::string endpoint;
  std::string what;
  std::string sku;
  double seconds = 5;
  int in_flight = 512;
  int connections = 8;
  bool token = false;
  std::string user_prefix = "buyer-";
  int64_t users = 0;
  int node_pid = 0;
  std::string json_file;
};

CallFigures EnterDraws(const NodeConnections& node, const BuyerLoad& load, const BuyerSource& next) {
  CallKind<v1::EnterDrawRequest, v1::EnterDrawResponse> kind;
  kind.next = [&](v1::EnterDrawRequest& request) {
    std::optional<Buyer> buyer = next();
    if (!buyer.has_value()) return false;
    request.set_sku_id(load.sku);
    request.set_user_id(std::move(buyer->user_id));
    request.set_purchase_token(std::move(buyer->token));
    return true;
  };
  kind.call = [&](grpc::ClientContext* context, const v1::EnterDrawRequest* request, v1::EnterDrawResponse* response,
                  std::function<void(grpc::Status)> done) {
    node.door().async()->EnterDraw(context, request, response, std::move(done));
  };
  kind.problem = [](const v1::EnterDrawRequest&, const v1::EnterDrawResponse& response) -> std::string {
    if (response.entry_id().empty()) return "no entry id";
    return response.replayed() ? "entered before" : "";
  };
  return AsyncCalls<v1::EnterDrawRequest, v1::EnterDrawResponse>(std::move(kind), load.in_flight)
      .Run(load.duration, load.node_pid);
}

// Of the buyers with entries, in turn.
CallFigures Looks(const NodeConnections& node, const BuyerLoad& load, const Flags& flags) {
  std::atomic<uint64_t> turn = 0;
  CallKind<v1::GetDrawEntryRequest, v1::GetDrawEntryResponse> kind;
  kind.next = [&](v1::GetDrawEntryRequest& request) {
    const uint64_t buyer = turn.fetch_add(1) * kStride % static_cast<uint64_t>(flags.users) + 1;
    request.set_sku_id(load.sku);
    request.set_user_id(absl::StrCat(flags.user_prefix, buyer));
    return true;
  };
  kind.call = [&](grpc::ClientContext* context, const v1::GetDrawEntryRequest* request,
                  v1::GetDrawEntryResponse* response, std::function<void(grpc::Status)> done) {
    node.door().async()->GetDrawEntry(context, request, response, std::move(done));
  };
  kind.problem = [](const v1::GetDrawEntryRequest&, const v1::GetDrawEntryResponse& response) -> std::string {
    if (response.rank().size() != kRankBytes) return "no rank";
    return response.audit_path().empty() ? "no proof" : "";
  };
  return AsyncCalls<v1::GetDrawEntryRequest, v1::GetDrawEntryResponse>(std::move(kind), load.in_flight)
      .Run(load.duration, load.node_pid);
}

CallFigures MeasureFor(absl::Duration duration, const NodeConnections& node, const Flags& flags) {
  const BuyerLoad load = {.sku = flags.sku,
                          .duration = duration,
                          .in_flight = flags.in_flight,
                          .node_pid = flags.node_pid,
                          .token = flags.token};
  if (flags.what == "look") return Looks(node, load, flags);
  if (flags.what == "claim") return Claims(node, load, NewBuyer);
  if (!flags.token) return EnterDraws(node, load, NewBuyer);
  // Getting tokens is no part of it: bench_door measures that.
  LetIn buyers;
  const CallFigures let_in = EnterSales(node, load, buyers);
  if (!AllAsMeant("bench_draw", "buyers who get a token", let_in)) return {};
  return EnterDraws(node, load, [&] { return buyers.Take(); });
}

int Measure(const Flags& flags) {
  const NodeConnections node(flags.endpoint, flags.connections);
  MeasureFor(kWarmUp, node, flags);
  const CallFigures figures = MeasureFor(absl::Seconds(flags.seconds), node, flags);
  PrintFigures(flags.what, figures);
  if (!AllAsMeant("bench_draw", flags.what, figures)) return 2;
  if (flags.json_file.empty()) return 0;
  std::ofstream file(flags.json_file);
  file << ToJson(figures).dump(2) << "\n";
  file.close();
  if (file) return 0;
  std::cerr << "bench_draw: cannot write " << flags.json_file << "\n";
  return 1;
}

int Main(int argc, char** argv) {
  CLI::App app("How fast a front node takes buyers into a draw, and tells them of it.", "bench_draw");
  Flags flags;
  app.add_option("what", flags.what, "enter: EnterDraw. look: GetDrawEntry. claim: CreateReservation")
      ->check(CLI::IsMember({"enter", "look", "claim"}))
      ->required();
  app.add_option("--endpoint", flags.endpoint, "A front node, host:port")->required();
  app.add_option("--sku", flags.sku, "The SKU")->required();
  app.add_option("--seconds", flags.seconds, "For so long; with --token, until those who got one have entered")
      ->check(CLI::Range(0.1, 30.0))  // within the lifetime of a token
      ->capture_default_str();
  app.add_option("--in-flight", flags.in_flight, "Calls at once")->check(CLI::Range(1, 10'000))->capture_default_str();
  app.add_option("--connections", flags.connections, "To the node")->check(CLI::Range(1, 64))->capture_default_str();
  app.add_flag("--token", flags.token, "With enter: the SKU's policy asks for a purchase token");
  app.add_option("--users", flags.users, "With look: so many buyers have entered, whose ids are counted from 1")
      ->check(CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()));
  app.add_option("--user-prefix", flags.user_prefix, "With look: before the number in a buyer's id")
      ->capture_default_str();
  app.add_option("--node-pid", flags.node_pid, "The node's process, to measure its CPU time");
  app.add_option("--json", flags.json_file, "Write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  if (flags.what == "look" && flags.users == 0) {
    std::cerr << "bench_draw: look needs --users\n";
    return 1;
  }
  return Measure(flags);
}

}  // namespace
}  // namespace tranche::benchmark

int main(int argc, char** argv) {
  // Debian builds Abseil with its deadlock detector on, which would cost gRPC time at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return tranche::benchmark::Main(argc, argv);
}
