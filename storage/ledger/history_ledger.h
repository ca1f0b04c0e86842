// The ledger's history: it goes on and on, until the ledger is replaced by an older state of itself (from a backup, or
// by a failover that lost commits). Another ledger is told by its id.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/uuid.h"

namespace tranche::storage {

// A point in a ledger's history.
struct LedgerMark {
  // Begins with the ledger's id. Changes when the database was dumped and restored, recovered or promoted.
  std::string line;
  // Grows with every mark of one history. Its upper bits name the history, since a backup from an earlier one may have
  // counted further.
  int64_t count = 0;
};

inline constexpr int kMarkBits = 40;  // of the count, below the history
// A history's name: the lower bits of its first incarnation's number, and some bits by chance above them.
inline constexpr int kHistoryBits = 12;
inline constexpr int kChanceBits = 10;

// Is it of a history that began with this incarnation?
inline bool BeganWith(const LedgerMark& mark, IncarnationId first) {
  return ((mark.count >> kMarkBits) ^ first) % (int64_t{1} << kHistoryBits) == 0;
}

// The ledger's id (ShardIdentity), which stays whatever becomes of the database: no state of one ledger is an older one
// of another. nullopt: no ledger wrote this mark.
inline std::optional<Uuid> LedgerIdOf(const LedgerMark& mark) {
  return Uuid::Parse(mark.line.substr(0, mark.line.find('/')));
}

inline bool IsSameHistory(const LedgerMark& a, const LedgerMark& b) {
  return a.line == b.line && (a.count >> kMarkBits) == (b.count >> kMarkBits);
}

// Is all that the ledger had committed by `earlier` still there at `later`, which was asked for after that?
inline bool GoesOn(const LedgerMark& earlier, const LedgerMark& later) {
  return IsSameHistory(earlier, later) && earlier.count < later.count;
}

// Somebody wrote a higher number by hand.
inline constexpr IncarnationId kMostBelievedIncarnation = IncarnationId{1} << 61;

class HistoryLedger {
 public:
  virtual ~HistoryLedger() = default;

  // Where it stands now. Counts on, if the history goes on from `earlier`, or if there is none. Otherwise nothing is
  // changed: then whoever looks after us sees the same, however often looks fail. A change is committed before it is
  // returned.
  virtual absl::StatusOr<LedgerMark> Mark(const std::optional<LedgerMark>& earlier) = 0;
  // Begins a new history. Numbers new incarnations above `above` from now on, and returns the first number: lower ones
  // are of the earlier history. kInvalidArgument if `above` is higher than kMostBelievedIncarnation. Repeating it
  // leaves some numbers out.
  virtual absl::StatusOr<IncarnationId> BeginHistory(IncarnationId above, const Actor& actor) = 0;
};

}  // namespace tranche::storage
