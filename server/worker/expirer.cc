#include "server/worker/expirer.h"

#include <algorithm>
#include <utility>

namespace tranche::server {
namespace {

// When other expirers are busy with all holds that are due.
constexpr absl::Duration kOthersAtWork = absl::Milliseconds(10);
// Asking at the very moment that a hold lapses, or just before it by rounding, would find nothing.
constexpr absl::Duration kLeastWait = absl::Milliseconds(1);

}  // namespace

Expirer::Expirer(storage::UpkeepLedger* ledger, storage::Clock* clock, RandomSource random,
                 const ExpirerOptions& options)
    : ledger_(ledger), clock_(clock), options_(options), trouble_("expiring holds", clock, std::move(random)) {}

absl::Duration Expirer::Step() {
  const absl::Time began = clock_->Now();
  const absl::StatusOr<storage::ExpiredHolds> expired = ledger_->ExpireDue(options_.batch);
  if (!expired.ok()) return trouble_.Failed(expired.status());
  trouble_.Answered();
  if (!expired->more) return std::clamp(expired->until_next, kLeastWait, options_.poll);
  if (expired->expired == 0) return kOthersAtWork;
  const absl::Duration fair = absl::Seconds(1) * expired->expired / options_.holds_per_s;
  // Bounded, even if the clock is set meanwhile.
  return std::clamp(fair - (clock_->Now() - began), absl::ZeroDuration(), fair);
}

}  // namespace tranche::server
