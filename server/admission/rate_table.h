// Rate limits for millions of keys in a fixed amount of memory.
//
// The generic cell rate algorithm (ITU-T I.371) keeps one number for each key: the theoretical arrival time (TAT), when
// all tries so far would have been due at the limit's rate. A try is early by how much its TAT is ahead of now.
//
// A slot has 16 bytes: a keyed fingerprint of the key, and its TAT. A key has two candidate sets of 8 slots. A slot is
// used again only when its TAT is past: then it says what an empty one says, so that nothing is given away by it. If
// both sets are busy, a bucket that the set's keys share decides.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/time/time.h"

namespace tranche::server {

// A key's identity in the table: rate_key.h makes it.
using RateFingerprint = uint64_t;

struct RateRule {
  absl::Duration interval;                          // between two tries at the limit's rate; positive
  absl::Duration tolerance = absl::ZeroDuration();  // how early a try may come: (burst - 1) * interval
  absl::Duration max_wait = absl::ZeroDuration();   // who is early by at most this much more waits
};

struct RateVerdict {
  bool taken = false;                          // the try is counted
  absl::Duration wait = absl::ZeroDuration();  // if taken: go on after this; else come again after this
};

// Thread-safe, without locks that a stalled thread could hold for long.
class RateTable {
 public:
  // Uses at most this much memory, in whole sets; at least one set. All of it is touched only as keys come.
  explicit RateTable(size_t bytes);
  ~RateTable();

  // Counts a try, or refuses it. Never waits.
  RateVerdict Try(RateFingerprint key, const RateRule& rule, absl::Time now);
  // What Try would answer; changes nothing.
  RateVerdict Look(RateFingerprint key, const RateRule& rule, absl::Time now) const;
  // Takes a counted try back: a later check has refused it.
  void GiveBack(RateFingerprint key, const RateRule& rule, absl::Time now);

  // How often a shared bucket decided.
  uint64_t shared() const;
  // Slots whose TAT is ahead of now. Looks at a sample: for metrics.
  double load(absl::Time now) const;
  size_t slots() const;
  size_t bytes() const;
};

}  // namespace tranche::server
