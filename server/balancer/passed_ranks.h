// Which ranks of a room the threshold has passed lately. Nodes go on counting a buyer for about one poll interval after
// they have asked, also one who was let in meanwhile: so of the bucket in which the threshold is, some who are counted
// do not wait any more.
#pragma once

#include <cstdint>
#include <deque>

#include "absl/time/time.h"

namespace tranche::server {

// Used by one thread. `elapsed` is a time that never goes back.
class PassedRanks {
 public:
  // The threshold went from `from` to `to` over so many buyers who waited.
  void Note(absl::Duration elapsed, uint64_t from, uint64_t to, double buyers);
  void Forget(absl::Duration before);

  // How many of those passed, with ranks from `from` on, are still counted: they drop out evenly over `window`.
  double StillCounted(absl::Duration elapsed, uint64_t from, absl::Duration window) const;
  // How many were passed since then.
  double Since(absl::Duration then) const;

 private:
  struct Passed {
    absl::Duration at;
    uint64_t from = 0;
    uint64_t to = 0;
    double buyers = 0;
  };
  std::deque<Passed> passed_;  // two a second, and for one interval: the owner forgets the others
};

}  // namespace tranche::server
