// Looks at start whether the server gives a process the connections that it may want, and gives each of them a session
// of its own.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

struct ConnectionLimit {
  std::string scope;  // "server", "role" or "database"
  std::string name;
  int bound = 0;
  int used = 0;
};

// What a process needs of a server.
struct ConnectionNeeds {
  int most = 0;   // it may open so many
  int least = 0;  // with fewer it cannot work
};

// One line for operators about each limit that leaves too little.
struct ConnectionVerdict {
  std::vector<std::string> warnings;  // it works with less, but others may take what it lacks
  std::string refusal;                // "" unless it can never work
};
ConnectionVerdict Judge(const std::vector<ConnectionLimit>& limits, const ConnectionNeeds& needs);

// The limits that a connection of the pool counts against, without those of the pool that this uses: two, for a moment.
// kFailedPrecondition behind a pooler that swaps servers between transactions: settings of a session and prepared
// statements would be lost there. Otherwise the pool's errors.
absl::StatusOr<std::vector<ConnectionLimit>> ReadConnectionLimits(ConnectionPool& pool);

}  // namespace tranche::storage
