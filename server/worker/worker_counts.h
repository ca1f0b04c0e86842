// What the parts of a worker count of their work, for those who watch it. Thread-safe: written by the parts' own
// threads, read by any.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/base/counter.h"
#include "storage/base/histogram.h"
#include "storage/base/last_time.h"

namespace tranche::server {

enum class ExpiryOutcome {
  kDone,    // nothing that was due is left behind, or only for the next batch
  kLocked,  // a SKU whose holds are due was waited for in vain
  kFailed,  // the ledger did not answer as it should
};
inline constexpr size_t kExpiryOutcomes = 3;

struct ExpiryCounts {
  Counter expired;  // holds
  std::array<Counter, kExpiryOutcomes> rounds;
  LastTime succeeded_at;  // a round, whether or not a SKU was locked
};

struct GroupExpiryCounts {
  Counter filled;  // in part, at their deadline
  Counter failed;
  Counter holds_ended;  // of members whose group is over
  // The first deadline of a group that forms, when the ledger was last asked: in the past if that group is overdue.
  // What is left to settle of groups that are over does not count. Never: not known yet.
  LastTime due_at;
};

struct DrawCounts {
  Counter awarded;
  Counter passed_over;
  // As its last look has found them: draws by state, and places of drawn ones that are free.
  std::atomic<int64_t> closing = 0;
  std::atomic<int64_t> seeded = 0;
  std::atomic<int64_t> drawn = 0;
  std::atomic<int64_t> open_places = 0;
  LastTime waits_since;  // of the draw that has work and has not gone on for longest; never: none has work
};

// What became of a message that was claimed.
enum class RelayOutcome {
  kDelivered,
  kRetried,   // it failed, and is tried again later
  kDead,      // it was given up
  kReturned,  // its turn did not come: the sink failed before, or there was no time left
};
inline constexpr size_t kRelayOutcomes = 4;

// For messages: from one that is delivered at once to one that is given up after a day.
inline std::vector<double> DelayBounds() { return {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400}; }

// Of one sink.
struct RelayCounts {
  std::array<Counter, kRelayOutcomes> messages;
  Histogram batch_time{LatencyBounds()};  // that the sink took for a batch
  Histogram delay{DelayBounds()};         // of what was delivered, since the message was written
  // Of messages whose result was not told the ledger before their lease ended: those that the sink has taken are
  // delivered again.
  Counter results_lost;
};

}  // namespace tranche::server
