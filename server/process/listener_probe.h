// Asks a listening gRPC server on this machine, over a connection of its own, whether it still takes connections.
//
// The kernel completes a connection as long as the socket listens, even if the program never accepts it. So only an
// answer counts. gRPC 1.51 is such a program: when accept() fails once because the process has no descriptor left, its
// listener never accepts again, though the port stays open (CVE-2023-4785).
//
// In plain text the question is the beginning of HTTP/2. A server with TLS would log that as a fault each time; it is
// asked to begin TLS, answers, and the connection is closed in the midst of the handshake, which gRPC does not log. So
// the probe needs no certificate and checks none.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/process/file_descriptor.h"
#include "server/process/socket_address.h"
#include "storage/base/address.h"

namespace tranche::server {

// Under a flood of connections a good listener may answer after many seconds. So a question that has no answer yet
// stays open, and the next Ask goes on with it.
//
// What to ask, and what is asked now. Not thread-safe.
class ListenerProbe {
 public:
  enum class Protocol { kHttp2, kTls };

  // `listening` as in --listen, with the port that was bound; a wildcard is asked at the loopback addresses. Resolves
  // the name, which may block.
  static absl::StatusOr<ListenerProbe> Make(const Address& listening, Protocol protocol = Protocol::kHttp2);

  // Asks each address, unless the question before is still open, and waits at most `timeout` for each. An error says
  // which one has failed, or has not answered yet, and why; a want of free descriptors is one, too. An address that has
  // never answered does not fail: the machine may have no such address, or its own rules may close it.
  absl::Status Ask(absl::Duration timeout);

  // Whether any address has ever answered; otherwise Ask finds out nothing.
  bool has_answered() const;

 private:
  struct Target {
    std::string name;
    SocketAddress address;
    bool has_answered = false;
    FileDescriptor question = {};  // open while there is no answer
    bool sent = false;             // that question
  };

  ListenerProbe(std::string question, std::vector<Target> targets)
      : question_(std::move(question)), targets_(std::move(targets)) {}

  // kDeadlineExceeded: there is no answer yet.
  absl::Status Proceed(Target& target, absl::Time deadline) const;

  std::string question_;
  std::vector<Target> targets_;
};

}  // namespace tranche::server
