#include "server/rpc/peer_address.h"

#include "absl/strings/match.h"

namespace tranche::server {

std::string AddressOfPeer(absl::string_view peer) {
  if (!absl::StartsWith(peer, "ipv4:") && !absl::StartsWith(peer, "ipv6:")) return std::string(peer);
  return std::string(peer.substr(0, peer.rfind(':')));
}

}  // namespace tranche::server
