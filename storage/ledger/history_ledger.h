// The ledger's history: it goes on and on, until the ledger is replaced by an older state of itself (from a backup, or
// by a failover that lost commits) or by another one.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::storage {

// A point in a ledger's history.
struct LedgerMark {
  std::string line;   // changes when the database is another one, or was recovered or promoted
  int64_t count = 0;  // grows with every mark
};

// Is all that the ledger had committed by `earlier` still there at `later`, which was asked for after that?
inline bool GoesOn(const LedgerMark& earlier, const LedgerMark& later) {
  return earlier.line == later.line && earlier.count < later.count;
}

// Somebody wrote a higher number by hand.
inline constexpr IncarnationId kMostBelievedIncarnation = IncarnationId{1} << 61;

class HistoryLedger {
 public:
  virtual ~HistoryLedger() = default;

  // Where it stands now. A change: it is committed before it is returned.
  virtual absl::StatusOr<LedgerMark> Mark() = 0;
  // Numbers new incarnations above `above` from now on, and returns the first number: lower ones are of the earlier
  // history. kInvalidArgument if `above` is higher than kMostBelievedIncarnation. Repeating it leaves some numbers out.
  virtual absl::StatusOr<IncarnationId> BeginHistory(IncarnationId above, const std::string& actor) = 0;
};

}  // namespace tranche::storage
