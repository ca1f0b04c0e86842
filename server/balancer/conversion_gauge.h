// How many of those who were let into a sale buy, and how many may still do so.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "absl/time/time.h"

namespace tranche::server {

// Used by one thread. `elapsed` is a time that never goes back; `window`: who has not bought within that time after
// they were let in does not any more.
class ConversionGauge {
 public:
  // Units that are reserved or sold now. The first look, and units that come back, say nothing of sales.
  void NoteTaken(absl::Duration elapsed, int64_t units);
  void NoteLetIn(absl::Duration elapsed, double buyers);
  // Forgets what is older than the window, and weighs the rest.
  void Advance(absl::Duration elapsed, absl::Duration window);

  // Let in within the window, without as many as have bought in it.
  double under_way() const;
  // 0.05 to 1; 1 until 20 buyers would have had their time.
  double conversion() const;

 private:
  struct Event {
    absl::Duration at;
    double let_in = 0;
    double bought = 0;
  };

  std::deque<Event> events_;  // a few a second, and for one window
  double let_in_ = 0;         // of events_
  double bought_ = 0;
  // Fading sums. Of those let in, each counts a part in each moment of its window, as it buys in any of them.
  double due_ = 0;
  double done_ = 0;
  absl::Duration advanced_at_ = absl::ZeroDuration();
  std::optional<int64_t> taken_;
};

}  // namespace tranche::server
