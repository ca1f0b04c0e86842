// How a Client behaves. The defaults suit a backend in the same data centre.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tranche/export.h"

namespace tranche {

struct RetryPolicy {
  // Attempts of one call, the first included.
  int max_attempts = 12;
  // Waits grow from the first to the second by doubling, each shortened by a random part of up to half.
  absl::Duration initial_backoff = absl::Milliseconds(10);
  absl::Duration max_backoff = absl::Milliseconds(500);
  // Retries draw tokens from a bucket that all calls of the client share, so that an outage does not multiply the load.
  // The bucket starts full; every answered call, and every answer on a stream, puts `budget_refill` back. Trying
  // another node because one has no unit left costs no token.
  double budget_tokens = 1000;
  double budget_refill = 0.2;
};

// While the nodes are overloaded, a client holds claims, EnterSale and EnterDraw back: it sends about `ratio` times as
// many tries as the nodes accept, and refuses the rest at once with kOverloaded (metadata "throttled" = "true"), so
// that the nodes need not. Claims with carts count together, EnterSale and EnterDraw each by itself; nothing else is
// throttled, nor what is in doubt.
struct ThrottlePolicy {
  bool enabled = true;
  // 1 to 100. With 2, the nodes refuse about one try for each that they accept: enough to notice at once that they are
  // well again. Closer to 1 spares them more, and lets the client notice later.
  double ratio = 2;
  // One second to ten minutes. What the client remembers; it refuses nothing any more so long after the last overload.
  // A flash sale is over in seconds, so it is short; shorter ones see too few answers to judge by.
  absl::Duration window = absl::Seconds(10);
};

// TLS to the front nodes. The files are PEM. They are read when the client is opened, and looked at once a second: when
// they have changed, later calls use new connections, and what is under way keeps the old ones. A set that is
// half-written or faulty is not taken.
struct TlsOptions {
  // The authorities that may vouch for a node; "": those of the system, as they were when the process began.
  std::string ca_file;
  // The chain and the key that the client shows to nodes that ask for a certificate; "" both: none.
  std::string certificate_file;
  std::string key_file;
  // The name that a node's certificate must have; "": the endpoint's host.
  std::string server_name;
};

struct ClientOptions {
  // "host:port" of 1 to 64 front nodes. Calls use them in turn.
  std::vector<std::string> endpoints;
  // For a whole call, with all attempts and waits. Always sent as the deadline.
  absl::Duration request_timeout = absl::Seconds(2);
  // For one attempt, so that time is left to ask another node if one hangs.
  absl::Duration attempt_timeout = absl::Seconds(1);
  RetryPolicy retry;
  ThrottlePolicy throttle;
  // False: a call stays with the node where it started.
  bool failover = true;
  // Connections per node; more than one only helps callers with thousands of requests in flight.
  int channels_per_endpoint = 1;
  // nullopt: plaintext.
  std::optional<TlsOptions> tls;
  // Holds a token that every call carries ("authorization: Bearer TOKEN"): one line of printable ASCII, in a file of at
  // most 4096 bytes that other users of the machine may not read. Looked at once a second, too. "": none. It goes only
  // over TLS, or to this machine itself.
  std::string token_file;
};

// INVALID_ARGUMENT that names the first option that is out of range. Reads no file.
TRANCHE_EXPORT absl::Status Validate(const ClientOptions& options);

}  // namespace tranche
