// Where AdminService is served: whoever reaches it may change everything, unless an access file says otherwise.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/process/options.h"

namespace tranche::server {

struct AdminAddress {
  enum class Kind {
    kNone,      // --admin off
    kAtListen,  // at --listen, with the services for buyers
    kByItself,  // at `address`
  };
  Kind kind = Kind::kNone;
  std::string address = {};  // HOST:PORT
};

// What --admin, --listen, --admin-listen and --access-file say. Without an access file only loopback is allowed: an
// error says so in one line, and what to do.
absl::StatusOr<AdminAddress> FindAdminAddress(const ServerOptions& options);

// Whether other machines may reach a call of this node: --listen or AdminService is not at loopback.
bool IsReachedByOthers(const ServerOptions& options);

}  // namespace tranche::server
