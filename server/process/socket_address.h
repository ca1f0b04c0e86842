// Where a socket connects to.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "absl/status/statusor.h"
#include "storage/base/address.h"

namespace tranche::server {

struct SocketAddress {
  sockaddr_storage address;
  socklen_t length;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

enum class Lookup {
  kNumbersOnly,  // fails for names, and so does not block
  kNames,        // may ask a name server, for seconds if that does not answer
};

// All addresses of the host, at least one. An IPv6 address may have brackets. kUnavailable: there is none, or it could
// not be found out.
absl::StatusOr<std::vector<SocketAddress>> Resolve(const Address& address, Lookup lookup);

}  // namespace tranche::server
