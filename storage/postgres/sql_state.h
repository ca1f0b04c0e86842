// What PostgreSQL's SQLSTATEs mean here: one table. The translation of errors, the calls and the connection pool all go
// by it, so that they cannot disagree on whether the ledger is down, whether a connection is still good, and what an
// operator should do.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tranche::storage {

enum class SqlStateKind {
  kRefusal,       // the statement was refused, and would be again
  kSkuMoving,     // ours: the SKU is on its way to another shard
  kRetry,         // rolled back; the same statement may succeed at once
  kOutdatedPlan,  // a migration changed what the statement answers; it succeeds on a fresh connection
  kStatement,     // only this statement failed: it took too long, or too much; the ledger is up
  kNeedsLess,     // the same, because it needs more than the server has; a smaller one may succeed
  kConnection,    // no (such) connection can be had now; those that exist may be good
  kPooler,        // a pooler between us and the server swaps connections between statements
  kWrongServer,   // this server does not accept changes
  kServer,        // the server cannot work at present
  kLost,          // there is no SQLSTATE: the connection broke, or the answer cannot be used
};

// What becomes of connections when a statement fails.
enum class ConnectionFate {
  kKept,
  kDropped,     // this one
  kAllDropped,  // the idle ones, too: they are probably no better
};

// Ours, not the server's: the process could not open a socket.
inline constexpr absl::string_view kNoDescriptor = "TR050";
// The same: the file with its password cannot be used.
inline constexpr absl::string_view kNoPassword = "TR051";

struct SqlState {
  absl::string_view prefix;  // a whole SQLSTATE, or the beginning of several
  SqlStateKind kind;
  absl::StatusCode code;
  // A statement that was committing when this came may have been committed. In all other cases nothing happened.
  bool leaves_doubt = false;
  absl::string_view remedy = {};  // what an operator can do; "" if there is nothing for them to do
};

// The row with the longest prefix. For "", kLost; for a SQLSTATE that is not in the table, an internal kRefusal.
const SqlState& ClassifySqlState(absl::string_view sqlstate);

// The same for an error of opening a connection: whatever the server refuses then, the ledger is out of reach.
const SqlState& ClassifyConnectError(absl::string_view sqlstate);

ConnectionFate FateOf(SqlStateKind kind);

}  // namespace tranche::storage
