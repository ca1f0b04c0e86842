#include "server/worker/expirer.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"

namespace tranche::server {
namespace {

// When other expirers are busy with all holds that are due.
constexpr absl::Duration kOthersAtWork = absl::Milliseconds(10);
// Asking at the very moment that a hold lapses, or just before it by rounding, would find nothing.
constexpr absl::Duration kLeastWait = absl::Milliseconds(1);
// Until a SKU that was locked is tried again. The ledger then waits for it for a moment.
constexpr absl::Duration kWhileLocked = absl::Milliseconds(50);
// Transactions of this system lock a SKU for milliseconds: if it is waited for in vain again and again for so long, it
// is another one.
constexpr absl::Duration kLockedForLong = absl::Seconds(5);
constexpr absl::Duration kTellLockedEvery = absl::Minutes(1);

}  // namespace

Expirer::Expirer(storage::UpkeepLedger* ledger, storage::Clock* clock, RandomSource random,
                 const ExpirerOptions& options)
    : ledger_(ledger), clock_(clock), options_(options), trouble_("expiring holds", clock, std::move(random)) {}

absl::Duration Expirer::Step() {
  if (options_.paused && options_.paused()) {
    // It does what it should.
    counts_.succeeded_at.Set(clock_->Now());
    return options_.poll;
  }
  const absl::Time began = clock_->Now();
  const absl::StatusOr<storage::ExpiredHolds> expired = ledger_->ExpireDue(options_.batch);
  Count(expired);
  if (!expired.ok()) return trouble_.Failed(expired.status());
  trouble_.Answered();
  if (expired->waited_in_vain) NoteLocked(expired->locked, clock_->Now());
  if (!expired->more) {
    const absl::Duration longest = expired->locked.empty() ? options_.poll : kWhileLocked;
    return std::clamp(expired->until_next, kLeastWait, longest);
  }
  if (expired->expired == 0) return kOthersAtWork;
  const absl::Duration fair = absl::Seconds(1) * expired->expired / options_.holds_per_s;
  // Bounded, even if the clock is set meanwhile.
  return std::clamp(fair - (clock_->Now() - began), absl::ZeroDuration(), fair);
}

std::optional<absl::Time> Expirer::succeeded_at() const {
  const absl::Time at = counts_.succeeded_at.Get();
  if (at == absl::InfinitePast()) return std::nullopt;
  return at;
}

void Expirer::Count(const absl::StatusOr<storage::ExpiredHolds>& expired) {
  ExpiryOutcome outcome = ExpiryOutcome::kFailed;
  if (expired.ok()) {
    outcome = expired->waited_in_vain ? ExpiryOutcome::kLocked : ExpiryOutcome::kDone;
    counts_.expired.Add(expired->expired);
    counts_.succeeded_at.Set(clock_->Now());
  }
  counts_.rounds[static_cast<size_t>(outcome)].Add();
}

void Expirer::NoteLocked(const std::string& sku_id, absl::Time now) {
  if (now - locked_at_ > kLockedForLong) locked_since_ = now;
  locked_at_ = now;
  if (now - locked_since_ < kLockedForLong || now < tell_locked_at_) return;
  LOG(WARNING) << "holds of " << sku_id << " do not expire: another transaction has locked the SKU or its pool for "
               << now - locked_since_ << "; find it with pg_blocking_pids() in pg_stat_activity. Others expire";
  tell_locked_at_ = now + kTellLockedEvery;
  ++told_locked_;
}

}  // namespace tranche::server
