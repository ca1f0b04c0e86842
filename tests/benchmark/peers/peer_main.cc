// tranche-peer: one of the peers, behind the gRPC service of a front node. For scripts/compare.
//
//   tranche-peer --peer pg-atomic --postgres DSN --prepare --skus 1 --stock 10000
//   tranche-peer --peer pg-atomic --postgres DSN --port-file FILE           serves until SIGTERM
//   tranche-peer --peer pg-atomic --postgres DSN --count --ids FILE         prints JSON

#include <CLI/CLI.hpp>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/process/port_file.h"
#include "server/process/process_setup.h"
#include "server/process/stop_request.h"
#include "storage/base/decimal_flags.h"
#include "storage/base/status_macros.h"
#include "tests/benchmark/peers/peer.h"
#include "tests/benchmark/peers/peer_kinds.h"
#include "tests/benchmark/peers/peer_server.h"

namespace tranche::peers {
namespace {

struct PeerFlags {
  std::string kind = {};
  Addresses addresses = {};
  int threads = 32;
  std::string port_file = {};  // "": none
  bool prepare = false;
  int skus = 1;
  int64_t stock = 0;  // of each
  bool count = false;
  std::string ids_file = {};  // "": none
};

void AddPeerFlags(CLI::App& app, PeerFlags& flags) {
  app.add_option("--peer", flags.kind, "Which one")->required()->check(CLI::IsMember(kinds()));
  app.add_option("--postgres", flags.addresses.postgres, "libpq's connection string, as an owner of the database");
  app.add_option("--mariadb", flags.addresses.mariadb, "The server's socket file");
  app.add_option("--redis", flags.addresses.redis, "HOST:PORT");
  app.add_option("--rabbitmq", flags.addresses.rabbitmq, "amqp://USER:PASSWORD@HOST:PORT/VHOST");
  app.add_option("--threads", flags.threads, "Claims that are sold side by side")
      ->check(CLI::Range(1, 128))
      ->capture_default_str();
  app.add_option("--port-file", flags.port_file, "Write the port into this file once it serves");
  CLI::Option* const prepare = app.add_flag("--prepare", flags.prepare, "Make tables and stock anew, and end");
  app.add_option("--skus", flags.skus, "SKUs to make: sku-0 and so on")
      ->check(CLI::Range(1, 100'000))
      ->needs(prepare)
      ->capture_default_str();
  prepare->needs(app.add_option("--stock", flags.stock, "Units of each, with --prepare")
                     ->check(CLI::Range(int64_t{0}, int64_t{100'000'000})));
  CLI::Option* const count =
      app.add_flag("--count", flags.count, "Print what the store holds, as JSON, and end")->excludes(prepare);
  app.add_option("--ids", flags.ids_file, "Write the ids of the orders into this file, one a line")->needs(count);
  ReadNumbersAsDecimal(app);
}

absl::Status PrintStored(const Stored& stored, const std::string& ids_file) {
  if (!ids_file.empty()) {
    std::ofstream file(ids_file, std::ios::trunc);
    for (const std::string& id : stored.order_ids) file << id << '\n';
    file.close();
    if (file.fail()) return absl::InternalError(absl::StrCat("cannot write ", ids_file, ": correct --ids"));
  }
  const nlohmann::json counted = {{"units_left", stored.units_left},
                                  {"units_sold", stored.units_sold},
                                  {"orders", static_cast<int64_t>(stored.order_ids.size())}};
  std::cout << counted.dump() << std::endl;
  return absl::OkStatus();
}

// With the background work: what waits in a queue since an earlier run is not lost.
absl::Status CountStored(Peer& peer, const std::string& ids_file) {
  RETURN_IF_ERROR(peer.Start());
  const absl::StatusOr<Stored> stored = peer.Count();
  peer.Stop();
  return stored.ok() ? PrintStored(*stored, ids_file) : stored.status();
}

// Until it is asked to stop.
absl::Status Serve(Peer& peer, const PeerFlags& flags, server::StopRequest& stop) {
  ASSIGN_OR_RETURN(const std::unique_ptr<PeerServer> serving, PeerServer::Start(peer, flags.threads));
  stop.Graceful();
  if (!flags.port_file.empty()) RETURN_IF_ERROR(server::WritePortFile(flags.port_file, serving->port()));
  stop.Wait();
  return absl::OkStatus();
}

absl::Status Run(const PeerFlags& flags, server::StopRequest& stop) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Peer> peer, MakePeer(flags.kind, flags.addresses));
  if (flags.prepare) return peer->Prepare(flags.skus, flags.stock);
  if (flags.count) return CountStored(*peer, flags.ids_file);
  RETURN_IF_ERROR(peer->Start());
  const absl::Status served = Serve(*peer, flags, stop);
  peer->Stop();
  return served;
}

int Main(int argc, char** argv) {
  CLI::App app("Sells limited stock as a shop might without Tranche, for comparisons.", "tranche-peer");
  app.footer("Exit status: 0 done, 1 wrong usage, 2 the store or a file cannot be used.");
  PeerFlags flags;
  AddPeerFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  server::SetUpProcess("tranche-peer", server::LogFormat::kText);
  server::StopRequest stop;
  const absl::Status done = Run(flags, stop);
  if (done.ok()) return 0;
  std::cerr << "tranche-peer: " << std::string(done.message()) << std::endl;
  return absl::IsInvalidArgument(done) ? 1 : 2;
}

}  // namespace
}  // namespace tranche::peers

int main(int argc, char** argv) { return tranche::peers::Main(argc, argv); }
