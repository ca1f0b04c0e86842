#include "server/handlers/watch_hub.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/reservation_messages.h"

namespace tranche::server {

WatchHub::WatchHub(Read read, storage::Clock* clock, WatchHubOptions options)
    : read_(std::move(read)), clock_(clock), options_(options) {
  if (options_.poll_interval > absl::ZeroDuration()) thread_ = std::thread([this] { Run(); });
}

WatchHub::~WatchHub() { Stop(); }

void WatchHub::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

absl::Status WatchHub::Add(const storage::Uuid& id, std::shared_ptr<ReservationWatcher> watcher,
                           const std::string& caller, IfMissing if_missing) {
  absl::MutexLock lock(&mutex_);
  if (!accepting_) return RefusalError({.refusal = storage::Refusal::kDraining});
  if (count_ >= options_.max_watches) {
    return MakeError(v1::ERROR_REASON_TOO_MANY_WATCHES,
                     "This node watches as many reservations as it may; poll GetReservation instead.");
  }
  const Callers::iterator of_caller = callers_.try_emplace(caller, 0).first;
  if (of_caller->second >= options_.max_watches_per_caller) {
    return MakeError(v1::ERROR_REASON_TOO_MANY_WATCHES,
                     "This node watches as many reservations for callers at your address as it may; poll "
                     "GetReservation instead.");
  }
  ++of_caller->second;
  ++count_;
  watched_[id].watches.push_back({.watcher = std::move(watcher),
                                  .added_in = looks_,
                                  .added_at = clock_->Now(),
                                  .if_missing = if_missing,
                                  .caller = of_caller});
  fresh_.push_back(id);
  return absl::OkStatus();
}

void WatchHub::Remove(const storage::Uuid& id, const ReservationWatcher* watcher) {
  std::shared_ptr<ReservationWatcher> last;  // destroyed after the lock is released
  absl::MutexLock lock(&mutex_);
  const auto found = watched_.find(id);
  if (found == watched_.end()) return;
  std::vector<Watch>& all = found->second.watches;
  const auto mine =
      std::find_if(all.begin(), all.end(), [&](const Watch& watch) { return watch.watcher.get() == watcher; });
  if (mine == all.end()) return;
  last = std::move(mine->watcher);
  Uncount(*mine);
  all.erase(mine);
  if (all.empty()) watched_.erase(found);
}

void WatchHub::SetAccepting(bool accepting) {
  std::vector<News> news;
  {
    absl::MutexLock lock(&mutex_);
    accepting_ = accepting;
    if (accepting) return;
    for (auto& [_, watched] : watched_) {
      for (Watch& watch : watched.watches) {
        news.push_back(
            {std::move(watch.watcher), std::nullopt, RefusalError({.refusal = storage::Refusal::kDraining})});
      }
    }
    watched_.clear();
    fresh_.clear();
    callers_.clear();
    count_ = 0;
  }
  Tell(std::move(news));
}

void WatchHub::Recheck() {
  std::vector<std::shared_ptr<ReservationWatcher>> watchers;
  {
    absl::MutexLock lock(&mutex_);
    watchers.reserve(count_);
    for (const auto& [_, watched] : watched_) {
      for (const Watch& watch : watched.watches) watchers.push_back(watch.watcher);
    }
  }
  for (const auto& watcher : watchers) watcher->OnRecheck();
}

size_t WatchHub::watches() const {
  absl::MutexLock lock(&mutex_);
  return count_;
}

void WatchHub::Run() {
  absl::Time next_poll = absl::Now() + options_.poll_interval;
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      const auto woken = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !fresh_.empty(); };
      mutex_.AwaitWithDeadline(absl::Condition(&woken), next_poll);
      if (stopping_) return;
    }
    if (absl::Now() >= next_poll) {
      Poll();
      next_poll = absl::Now() + options_.poll_interval;
    } else {
      uint64_t look = 0;
      const std::vector<storage::Uuid> ids = TakeFresh(&look);
      Look(ids, look);
    }
  }
}

bool WatchHub::Stopping() {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

void WatchHub::Poll() {
  uint64_t look = 0;
  const std::vector<storage::Uuid> ids = TakeAll(&look);
  Look(ids, look);
}

std::vector<storage::Uuid> WatchHub::TakeFresh(uint64_t* look) {
  absl::MutexLock lock(&mutex_);
  *look = looks_++;
  std::vector<storage::Uuid> ids = std::exchange(fresh_, {});
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

std::vector<storage::Uuid> WatchHub::TakeAll(uint64_t* look) {
  absl::MutexLock lock(&mutex_);
  *look = looks_++;
  fresh_.clear();
  std::vector<storage::Uuid> ids;
  ids.reserve(watched_.size());
  for (const auto& [id, _] : watched_) ids.push_back(id);
  return ids;
}

void WatchHub::Look(absl::Span<const storage::Uuid> ids, uint64_t look) {
  for (size_t begin = 0; begin < ids.size() && !Stopping(); begin += storage::kMaxBatch) {
    const absl::Span<const storage::Uuid> batch = ids.subspan(begin, storage::kMaxBatch);
    storage::PartialRead read = read_(batch);
    NoteLedgerAnswers(read.rest);
    // The others would wait for an answer just as long; the next look reads them again.
    if (read.none_answered) return Tell(Compare(ids.subspan(begin), std::move(read), look));
    Tell(Compare(batch, std::move(read), look));
  }
}

std::vector<WatchHub::News> WatchHub::Compare(absl::Span<const storage::Uuid> ids, storage::PartialRead read,
                                              uint64_t look) {
  absl::flat_hash_map<storage::Uuid, storage::Reservation*> by_id;
  for (storage::Reservation& reservation : read.found) by_id.emplace(reservation.reservation_id, &reservation);
  std::vector<News> news;
  absl::MutexLock lock(&mutex_);
  for (const storage::Uuid& id : ids) {
    const auto watched = watched_.find(id);
    if (watched == watched_.end()) continue;
    std::optional<storage::Reservation> now;
    if (const auto it = by_id.find(id); it != by_id.end()) now = std::move(*it->second);
    if (now.has_value() || read.rest.ok()) {
      CompareOne(id, std::move(now), look, &watched->second, &news);
    } else {
      RepeatOne(&watched->second, &news);
    }
    if (watched->second.watches.empty()) watched_.erase(watched);
  }
  return news;
}

void WatchHub::CompareOne(const storage::Uuid& id, std::optional<storage::Reservation> now, uint64_t look,
                          Watched* watched, std::vector<News>* news) {
  const absl::Time time = clock_->Now();
  const bool found = now.has_value();
  if (found) watched->last = std::move(now);
  // The lesser of both also after the clock was set back.
  watched->missing_since = found ? absl::InfiniteFuture() : std::min(watched->missing_since, time);
  const bool lost = !found && time - watched->missing_since >= options_.lost_after;
  const bool final_state = found && watched->last->state != storage::ReservationState::kPending;
  std::vector<Watch> staying;
  for (Watch& watch : watched->watches) {
    // A watch that was added while the ledger was read is told by the next look.
    if (watch.added_in > look) {
      staying.push_back(std::move(watch));
      continue;
    }
    News one{watch.watcher, std::nullopt, std::nullopt};
    const bool over = final_state || (found && watch.waits());
    if (over) one.end = absl::OkStatus();
    if (!watch.waits() && (lost || (!found && watch.revision == 0))) one.end = ReservationNotFound(id);
    const bool stays = !one.end.has_value();
    const bool silent = stays && IsSilent(watch, time);
    // A final state is always news, also with a revision that a restored ledger uses for the second time.
    const bool changed = found && (watch.revision != watched->last->revision || over);
    one.missing = silent && !found && watch.waits();
    if (changed || (silent && !one.missing)) one.reservation = *watched->last;
    const bool told = one.missing || one.reservation.has_value();
    if (told) watch.told_at = time;
    if (told || !stays) news->push_back(std::move(one));
    if (!stays) {
      Uncount(watch);
      continue;
    }
    if (found) watch.revision = watched->last->revision;
    staying.push_back(std::move(watch));
  }
  watched->watches = std::move(staying);
}

void WatchHub::RepeatOne(Watched* watched, std::vector<News>* news) {
  const absl::Time time = clock_->Now();
  std::vector<Watch> staying;
  for (Watch& watch : watched->watches) {
    const bool unseen = watch.told_at == absl::InfinitePast();
    if (unseen && time - watch.added_at >= options_.first_within) {
      news->push_back(
          {std::move(watch.watcher), std::nullopt, LedgerError(absl::UnavailableError(""), "", Repeatable::kYes)});
      Uncount(watch);
      continue;
    }
    if (!unseen && IsSilent(watch, time)) {
      News one{watch.watcher, std::nullopt, std::nullopt, /*missing=*/watch.waits()};
      if (!one.missing) one.reservation = watched->last;
      news->push_back(std::move(one));
      watch.told_at = time;
    }
    staying.push_back(std::move(watch));
  }
  watched->watches = std::move(staying);
}

bool WatchHub::IsSilent(const Watch& watch, absl::Time now) const {
  // Also after the clock was set back.
  return now - watch.told_at >= options_.repeat_after || now < watch.told_at;
}

void WatchHub::Tell(std::vector<News> news) {
  for (const News& one : news) {
    if (one.missing) one.watcher->OnMissing();
    if (one.reservation.has_value()) one.watcher->OnReservation(*one.reservation);
    if (one.end.has_value()) one.watcher->OnEnd(*one.end);
  }
}

void WatchHub::Uncount(const Watch& watch) {
  --count_;
  if (--watch.caller->second == 0) callers_.erase(watch.caller);
}

void WatchHub::NoteLedgerAnswers(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (ledger_answers_ == status.ok()) return;
  ledger_answers_ = status.ok();
  LOG(WARNING) << "watches: the ledger " << (status.ok() ? "answers again" : "does not answer: ") << status.message();
}

}  // namespace tranche::server
