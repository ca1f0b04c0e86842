// What a balancer counts of its work, for those who watch it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "storage/base/counter.h"
#include "storage/base/histogram.h"
#include "storage/base/last_time.h"

namespace tranche::quota {

enum class RoundOutcome {
  kLed,      // the leader's work, without an error
  kStoodBy,  // another balancer leads, or nobody is needed yet
  kFailed,   // as the leader or not; what failed is tried again
};
inline constexpr size_t kRoundOutcomes = 3;

// Why a leader moves units.
enum class MoveReason {
  kDemand,      // a node has run dry
  kPool,        // units have come into the pool of a presplit SKU
  kNewcomer,    // a node has joined
  kEvacuation,  // a node does not reach the ledger
  kReclaim,     // a node has gone, and its incarnation cannot be ended yet
};
inline constexpr size_t kMoveReasons = 5;

// What showed that an incarnation was over.
enum class Evidence {
  kSession,  // its registration went with its session
  kProbe,    // nothing listens at its address any more
  kHistory,  // the ledger has begun a new history
};
inline constexpr size_t kEvidences = 3;

struct MoveCounts {
  Counter moves;  // of a SKU each
  // That were to get another holder; fewer did if they were sold in the moment between reading and moving.
  Counter units;
};

// Thread-safe: written by the thread of the rounds, read by any. Counts begin with the balancer, and go on when it
// leads no more.
struct BalancerCounts {
  std::array<Counter, kRoundOutcomes> rounds;
  Histogram round_time{LatencyBounds()};  // of those that led, failed or not
  LastTime round_succeeded_at;            // led or stood by

  std::array<MoveCounts, kMoveReasons> moved;
  // Of each batch of moves: from its commit until its announcements are written.
  Histogram announcement_time{LatencyBounds()};
  Counter announcements_failed;  // batches that were left to the repair
  Counter announcements_repaired;

  std::array<Counter, kEvidences> incarnations_reclaimed;
  Counter slices_reclaimed;
  Counter units_reclaimed;  // of those that did not end with a new history, by a look right before
  Counter histories;        // new ones, begun by this balancer

  // As of the leader's last round.
  std::atomic<int64_t> nodes_live{0};        // by the ledger: not ended
  std::atomic<int64_t> nodes_registered{0};  // in ZooKeeper
  std::atomic<int64_t> nodes_receiving{0};   // that may be given units
  std::atomic<int64_t> nodes_gone{0};        // that have gone and could not be ended yet: they may hold units
  std::atomic<int64_t> skus_put_aside{0};    // because another transaction locks them

  void NoteReclaimed(Evidence evidence, size_t slices, int64_t units) {
    units_reclaimed.Add(units);
    slices_reclaimed.Add(static_cast<int64_t>(slices));
    incarnations_reclaimed[static_cast<size_t>(evidence)].Add();
  }
};

}  // namespace tranche::quota
