// Rate limits for millions of keys in a fixed amount of memory.
//
// The generic cell rate algorithm (ITU-T I.371) keeps one number for each key: the theoretical arrival time (TAT), when
// all tries so far would have been due at the limit's rate. A try is early by how much its TAT is ahead of now.
//
// A slot has 16 bytes: a keyed fingerprint of the key, and its TAT. A key has two candidate sets of 8 slots. A slot is
// used again only when its TAT is past: then it says what an empty one says, so that nothing is given away by it. If
// both sets are busy, a bucket that is shared decides: keys of the same rule and of neighbouring sets count together.
// It is kept by rule, so that a buyer's limit of one try in 10 s does not hold back a SKU's of 1,000 a second. Where
// more rules meet than there is room for (4 for 16 sets), they share one, too. A key that was counted there and gets a
// slot later brings along what the bucket says. So a table that is too small refuses too much, and never too little.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace tranche::server {

// A key's identity in the table: rate_key.h makes it.
using RateFingerprint = uint64_t;

// Each duration counts as 18 years if it is longer.
struct RateRule {
  absl::Duration interval;                          // between two tries at the limit's rate; positive, at least 1 ns
  absl::Duration tolerance = absl::ZeroDuration();  // how early a try may come: (burst - 1) * interval
  absl::Duration max_wait = absl::ZeroDuration();   // who is early by at most this much more waits
};

struct RateVerdict {
  bool taken = false;                          // the try is counted
  absl::Duration wait = absl::ZeroDuration();  // if taken: go on after this; else come again after this
  bool by_shared = false;                      // a shared bucket decided: others' tries may have counted
};

struct RateSlot;  // in the .cc

// What a table has that gets less than it should. About 65,000 keys.
inline constexpr size_t kLeastRateTableBytes = size_t{1} << 20;

// Thread-safe. A set is locked for a few dozen instructions, by a bit in its own memory; who finds it locked spins, and
// soon lets other threads run. So a thread that is stopped meanwhile holds up the keys of two sets, until it runs
// again.
//
// `now` is the wall clock. Where it steps back, a key waits for no longer than its rule can make it wait, or a second
// (see Try). Slots that are taken, and a bucket of several rules, stay so for as long as it stepped back. What the rule
// of a key is may change from try to try: its TAT stays, and means what the new rule says.
class RateTable {
 public:
  // Uses at most this much memory, in whole sets; at least two sets. All of it is touched here, which takes a while: do
  // it on no claim's thread. If there is not so much memory, it logs an error and uses kLeastRateTableBytes: the table
  // then refuses too much, and never too little. bytes() says what it has.
  explicit RateTable(size_t bytes);
  ~RateTable();
  RateTable(const RateTable&) = delete;
  RateTable& operator=(const RateTable&) = delete;

  // Counts a try, or refuses it. Never waits. A TAT that this rule cannot have made is taken for the largest that it
  // can make: one that is ahead of now by more than tolerance + max_wait + 2 * interval, and at least a second more
  // than the largest, since threads read the clock at different times.
  RateVerdict Try(RateFingerprint key, const RateRule& rule, absl::Time now);
  // What Try would answer; changes nothing.
  RateVerdict Look(RateFingerprint key, const RateRule& rule, absl::Time now) const;
  // Takes a counted try back: a later check has refused it. Call it once for a try, soon, and with the same arguments.
  void GiveBack(RateFingerprint key, const RateRule& rule, absl::Time now);

  // How often a shared bucket decided.
  uint64_t shared() const { return shared_.load(std::memory_order_relaxed); }
  // Slots whose TAT is ahead of now, as a part of all: 0 to 1. Looks at a sample of a few thousand: for metrics.
  double load(absl::Time now) const;
  size_t slots() const;
  size_t bytes() const { return bytes_; }

 private:
  // Where a key may be.
  struct Places {
    RateSlot* first;  // sets: `first` is before `second`
    RateSlot* second;
    RateSlot* shared;  // buckets
  };

  // False: there is not so much memory.
  bool Map(size_t bytes);
  Places PlacesOf(RateFingerprint key) const;
  RateVerdict Judge(RateFingerprint key, const RateRule& rule, absl::Time now, bool counts) const;

  size_t sets_ = 0;
  size_t bytes_ = 0;
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  RateSlot* slots_ = nullptr;    // of the sets
  RateSlot* buckets_ = nullptr;  // shared
  // All threads read what is above at each try, so what they write has a cache line of its own.
  alignas(64) std::atomic<uint64_t> shared_{0};
};

}  // namespace tranche::server
