#include "server/worker/group_expirer.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"

namespace tranche::server {
namespace {

// When what is due is another worker's just now, or its SKU is locked.
constexpr absl::Duration kOthersHaveThem = absl::Milliseconds(50);
// Asking at the very moment of a deadline, or just before it by rounding, would find nothing.
constexpr absl::Duration kLeastGroupWait = absl::Milliseconds(1);
// Workers need a few batches for a burst; a SKU that is locked for longer, somebody else has.
constexpr absl::Duration kLateForLong = absl::Seconds(5);
constexpr absl::Duration kTellLateEvery = absl::Minutes(1);

bool DidNothing(const storage::ExpiredGroups& ended) {
  return ended.filled == 0 && ended.failed == 0 && ended.ended == 0 && ended.settled == 0;
}

// So many holds were ended or confirmed, or less: of those that were confirmed, only how many groups they were of is
// known. A batch goes beyond its bound by one group at most.
int64_t MostHolds(const storage::ExpiredGroups& ended, int batch) {
  const int64_t confirmed = ended.filled * storage::kMostSeats;
  return std::max(ended.ended, std::min<int64_t>(ended.ended + confirmed, batch + storage::kMostSeats));
}

}  // namespace

GroupExpirer::GroupExpirer(storage::GroupLedger* ledger, storage::Clock* clock, RandomSource random,
                           GroupExpirerOptions options)
    : ledger_(ledger),
      clock_(clock),
      options_(std::move(options)),
      trouble_("ending groups", clock, std::move(random)) {}

absl::Duration GroupExpirer::Step() {
  if (options_.paused && options_.paused()) return options_.poll;
  const absl::Time began = clock_->Now();
  const absl::StatusOr<storage::ExpiredGroups> ended = ledger_->ExpireGroups(options_.batch);
  if (!ended.ok()) return trouble_.Failed(ended.status());
  trouble_.Answered();
  counts_.filled.Add(ended->filled);
  counts_.failed.Add(ended->failed);
  counts_.holds_ended.Add(ended->ended);
  const absl::Time now = clock_->Now();
  NoteDue(*ended, now);
  TellIfLate(now);
  if (!ended->more) return std::clamp(ended->until_next, kLeastGroupWait, options_.poll);
  if (DidNothing(*ended)) return kOthersHaveThem;
  const int64_t holds = std::max<int64_t>(options_.batch, MostHolds(*ended, options_.batch));
  const absl::Duration fair = absl::Seconds(1) * holds / options_.holds_per_s;
  // Bounded, even if the clock is set meanwhile.
  return std::clamp(fair - (now - began), absl::ZeroDuration(), fair);
}

void GroupExpirer::NoteDue(const storage::ExpiredGroups& ended, absl::Time now) {
  counts_.due_at.Set(now + ended.until_next);
  // While some of it ends, others are due because there is much of it.
  due_since_ = !ended.more ? absl::InfiniteFuture() : DidNothing(ended) ? std::min(due_since_, now) : now;
}

void GroupExpirer::TellIfLate(absl::Time now) {
  const absl::Duration late = now - due_since_;
  if (late < kLateForLong || now < tell_late_at_) return;
  LOG(WARNING)
      << "groups have been due for " << absl::Trunc(late, absl::Seconds(1))
      << " and do not end, or are not settled: another transaction has locked their SKU or its pool; find it with "
         "pg_blocking_pids() in pg_stat_activity. Or another worker has all of them";
  tell_late_at_ = now + kTellLateEvery;
  ++told_late_;
}

}  // namespace tranche::server
