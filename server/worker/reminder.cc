#include "server/worker/reminder.h"

#include <algorithm>
#include <utility>

namespace tranche::server {

Reminder::Reminder(storage::UpkeepLedger* ledger, storage::Clock* clock, RandomSource random, ReminderOptions options)
    : ledger_(ledger),
      clock_(clock),
      options_(std::move(options)),
      trouble_("telling of holds that lapse soon", clock, std::move(random)) {}

absl::Duration Reminder::Step() {
  if (options_.paused && options_.paused()) return options_.poll;
  const absl::Time began = clock_->Now();
  const absl::StatusOr<storage::RemindedHolds> holds = ledger_->RemindHolds(options_.within, options_.batch);
  if (!holds.ok()) return trouble_.Failed(holds.status());
  trouble_.Answered();
  if (!holds->more) return options_.poll;
  const absl::Duration fair = absl::Seconds(1) * options_.batch / options_.holds_per_s;
  // Bounded, even if the clock is set meanwhile.
  return std::clamp(fair - (clock_->Now() - began), absl::ZeroDuration(), fair);
}

}  // namespace tranche::server
