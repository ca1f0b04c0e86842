// Four ways to sell from MariaDB, as shops do it; the same as those of postgres_peer.h, statement by statement.
#pragma once

#include <memory>
#include <string>

#include "tests/benchmark/peers/peer.h"

namespace tranche::peers {

enum class MariadbWay {
  kNaive,        // writes back what it has read, less what it sells: sells too much
  kPessimistic,  // SELECT ... FOR UPDATE
  kOptimistic,   // writes if the version is still the one that it has read; tries again a few times
  kAtomic,       // UPDATE ... SET units_left = units_left - 1 WHERE units_left >= 1
};

// `socket`: the path of the server's socket file. A claim is answered after the commit; how durable that is, the
// server's innodb_flush_log_at_trx_commit says.
std::unique_ptr<Peer> MakeMariadbPeer(MariadbWay way, std::string socket);

}  // namespace tranche::peers
