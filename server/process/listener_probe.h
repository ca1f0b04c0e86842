// Asks a listening HTTP/2 server on this machine, over a connection of its own, whether it still takes connections.
//
// The kernel completes a connection as long as the socket listens, even if the program never accepts it. So only an
// answer counts. gRPC 1.51 is such a program: when accept() fails once because the process has no descriptor left, its
// listener never accepts again, though the port stays open (CVE-2023-4785).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/process/socket_address.h"
#include "storage/base/address.h"

namespace tranche::server {

// What to ask. Not thread-safe.
class ListenerProbe {
 public:
  // `listening` as in --listen, with the port that was bound; a wildcard is asked at the loopback addresses. Resolves
  // the name, which may block.
  static absl::StatusOr<ListenerProbe> Make(const Address& listening);

  // Asks each address once and waits at most `timeout` for each. An error says which one has failed and why; a want of
  // free descriptors is one, too. An address that has never answered does not fail: the machine may have no such
  // address, or its own rules may close it.
  absl::Status Ask(absl::Duration timeout);

  // Whether any address has ever answered; otherwise Ask finds out nothing.
  bool has_answered() const;

 private:
  struct Target {
    std::string name;
    SocketAddress address;
    bool has_answered;
  };

  explicit ListenerProbe(std::vector<Target> targets) : targets_(std::move(targets)) {}

  std::vector<Target> targets_;
};

}  // namespace tranche::server
