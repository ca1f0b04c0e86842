// The address in what gRPC calls a peer.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace tranche::server {

// Without the port, so the same for all connections of one machine: "ipv4:10.0.0.7" for "ipv4:10.0.0.7:51234". Another
// kind of peer than an IP address is returned as it is.
std::string AddressOfPeer(absl::string_view peer);

}  // namespace tranche::server
