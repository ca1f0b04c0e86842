#include "server/admission/room_tally.h"

#include <algorithm>

namespace tranche::server {

void RoomTally::Count(uint64_t rank, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  now = MoveTo(now);
  if (slots_.empty() || now >= slots_.back().began_at + window_ / kSlots) {
    slots_.push_back({.began_at = now, .counts = {}});
  }
  slots_.back().counts.Add(rank);
}

// Summed anew each time, which is twice a second, and so with buckets as narrow as can be.
RoomCounts RoomTally::Living(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  MoveTo(now);
  RoomCounts living;
  for (const Slot& slot : slots_) living.Merge(slot.counts);
  return living;
}

absl::Time RoomTally::MoveTo(absl::Time now) {
  if (now < latest_ - window_) {
    slots_.clear();
    latest_ = now;
  }
  latest_ = std::max(latest_, now);
  while (!slots_.empty() && slots_.front().began_at + window_ / kSlots <= latest_ - window_) slots_.pop_front();
  return latest_;
}

}  // namespace tranche::server
