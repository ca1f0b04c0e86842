// The peers by name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/benchmark/peers/peer.h"

namespace tranche::peers {

// Where the stores are; a peer needs only those that it uses.
struct Addresses {
  std::string postgres = {};  // a libpq connection string
  std::string mariadb = {};   // the path of the server's socket; user root, database "peers"
  std::string redis = {};     // HOST:PORT
  std::string rabbitmq = {};  // amqp://USER:PASSWORD@HOST:PORT/VHOST
};

// All kinds, such as "pg-atomic", in the order of reports.
std::vector<std::string> kinds();

// Connects nowhere yet. INVALID_ARGUMENT for a kind that there is not, or without an address that it needs.
absl::StatusOr<std::unique_ptr<Peer>> MakePeer(absl::string_view kind, const Addresses& addresses);

}  // namespace tranche::peers
