#include "server/handlers/watch_hub.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/group_messages.h"
#include "server/handlers/reservation_messages.h"

namespace tranche::server {
namespace {

// What a hub must know of what it watches.
template <typename Thing>
struct Watchable;

template <>
struct Watchable<storage::Reservation> {
  static constexpr const char* kMany = "reservations";
  static constexpr const char* kPoll = "GetReservation";
  static const storage::Uuid& IdOf(const storage::Reservation& one) { return one.reservation_id; }
  static bool IsFinal(const storage::Reservation& one) { return one.state != storage::ReservationState::kPending; }
  static absl::Status NotFound(const storage::Uuid& id) { return ReservationNotFound(id); }
  static bool Means(const storage::Uuid&, const storage::Reservation&) { return true; }
  // Nothing else names it.
  static storage::Reservation Take(storage::Reservation& one) { return std::move(one); }
};

template <>
struct Watchable<storage::Group> {
  static constexpr const char* kMany = "groups";
  static constexpr const char* kPoll = "GetGroup";
  static const storage::Uuid& IdOf(const storage::Group& one) { return one.group_id; }
  static bool IsFinal(const storage::Group& one) { return one.state != storage::GroupState::kForming; }
  static absl::Status NotFound(const WatchedGroup& one) { return GroupNotFound(one.group_id); }
  static bool Means(const WatchedGroup& key, const storage::Group& one) {
    return key.sku_id.empty() || key.sku_id == one.sku_id;
  }
  // It may be watched with its SKU and without.
  static storage::Group Take(const storage::Group& one) { return one; }
};

const storage::Uuid& UuidOf(const storage::Uuid& id) { return id; }
const storage::Uuid& UuidOf(const WatchedGroup& group) { return group.group_id; }

template <typename Thing>
absl::Status TooManyWatches(const char* whose) {
  return MakeError(v1::ERROR_REASON_TOO_MANY_WATCHES,
                   absl::StrCat("This node watches as many ", Watchable<Thing>::kMany, whose, " as it may; poll ",
                                Watchable<Thing>::kPoll, " instead."));
}

}  // namespace

template <typename Thing>
WatchHubOf<Thing>::WatchHubOf(Read read, storage::Clock* clock, WatchHubOptions options)
    : read_(std::move(read)), clock_(clock), options_(options) {
  if (options_.poll_interval > absl::ZeroDuration()) thread_ = std::thread([this] { Run(); });
}

template <typename Thing>
WatchHubOf<Thing>::~WatchHubOf() {
  Stop();
}

template <typename Thing>
void WatchHubOf<Thing>::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

template <typename Thing>
absl::Status WatchHubOf<Thing>::Add(const Key& id, std::shared_ptr<Watcher<Thing>> watcher, const std::string& caller,
                                    IfMissing if_missing) {
  absl::MutexLock lock(&mutex_);
  if (!accepting_) return RefusalError({.refusal = storage::Refusal::kDraining});
  const bool is_new = !watched_.contains(id);
  if (count_ >= options_.max_watches || (is_new && watched_.size() >= options_.max_watched)) {
    return TooManyWatches<Thing>("");
  }
  const Callers::iterator of_caller = callers_.try_emplace(caller, 0).first;
  if (of_caller->second >= options_.max_watches_per_caller) {
    return TooManyWatches<Thing>(" for callers at your address");
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

template <typename Thing>
void WatchHubOf<Thing>::Remove(const Key& id, const Watcher<Thing>* watcher) {
  std::shared_ptr<Watcher<Thing>> last;  // destroyed after the lock is released
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

template <typename Thing>
void WatchHubOf<Thing>::SetAccepting(bool accepting) {
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

template <typename Thing>
void WatchHubOf<Thing>::Recheck() {
  std::vector<std::shared_ptr<Watcher<Thing>>> watchers;
  {
    absl::MutexLock lock(&mutex_);
    watchers.reserve(count_);
    for (const auto& [_, watched] : watched_) {
      for (const Watch& watch : watched.watches) watchers.push_back(watch.watcher);
    }
  }
  for (const auto& watcher : watchers) watcher->OnRecheck();
}

template <typename Thing>
size_t WatchHubOf<Thing>::watches() const {
  absl::MutexLock lock(&mutex_);
  return count_;
}

template <typename Thing>
void WatchHubOf<Thing>::Run() {
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
      const std::vector<Key> ids = TakeFresh(&look);
      // What is left is for the looks at all: to begin anew at once would be to press a ledger that is slow.
      Look(ids, look);
    }
  }
}

template <typename Thing>
bool WatchHubOf<Thing>::Stopping() {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

template <typename Thing>
void WatchHubOf<Thing>::Poll() {
  uint64_t look = 0;
  const std::vector<Key> ids = TakeAll(&look);
  const absl::Span<const Key> left = Look(ids, look);
  absl::MutexLock lock(&mutex_);
  next_ = left.empty() ? Key() : left.front();
}

template <typename Thing>
std::vector<typename WatchHubOf<Thing>::Key> WatchHubOf<Thing>::TakeFresh(uint64_t* look) {
  absl::MutexLock lock(&mutex_);
  *look = looks_++;
  std::vector<Key> ids = std::exchange(fresh_, {});
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

template <typename Thing>
std::vector<typename WatchHubOf<Thing>::Key> WatchHubOf<Thing>::TakeAll(uint64_t* look) {
  absl::MutexLock lock(&mutex_);
  *look = looks_++;
  fresh_.clear();
  std::vector<Key> ids;
  ids.reserve(watched_.size());
  const auto first = watched_.lower_bound(next_);
  for (auto it = first; it != watched_.end(); ++it) ids.push_back(it->first);
  for (auto it = watched_.begin(); it != first; ++it) ids.push_back(it->first);
  return ids;
}

template <typename Thing>
absl::Span<const typename WatchHubOf<Thing>::Key> WatchHubOf<Thing>::Look(absl::Span<const Key> ids, uint64_t look) {
  const absl::Time begun = clock_->Now();
  while (!ids.empty() && !Stopping()) {
    const absl::Span<const Key> batch = ids.subspan(0, options_.max_read);
    storage::PartialReadOf<Thing> read = read_(batch);
    NoteLedgerAnswers(read.rest);
    const absl::Span<const Key> asked = batch.subspan(0, batch.size() - std::min(read.left, batch.size() - 1));
    // The others would wait for an answer just as long; the next look begins with them.
    const bool in_vain = read.none_answered;
    const absl::Status why = read.rest;
    Tell(Compare(asked, std::move(read), look));
    ids.remove_prefix(asked.size());
    const bool too_long = clock_->Now() - begun >= options_.look_for;
    if (ids.empty() || !(in_vain || too_long)) continue;
    const absl::Status unknown = in_vain ? why : absl::DeadlineExceededError("the look has taken long enough");
    Tell(Compare(ids, {.rest = unknown, .none_answered = true}, look));
    break;
  }
  return ids;
}

template <typename Thing>
std::vector<typename WatchHubOf<Thing>::News> WatchHubOf<Thing>::Compare(absl::Span<const Key> ids,
                                                                         storage::PartialReadOf<Thing> read,
                                                                         uint64_t look) {
  absl::flat_hash_map<storage::Uuid, absl::InlinedVector<Thing*, 1>> by_id;
  for (Thing& one : read.found) by_id[Watchable<Thing>::IdOf(one)].push_back(&one);
  std::vector<News> news;
  absl::MutexLock lock(&mutex_);
  for (const Key& id : ids) {
    const auto watched = watched_.find(id);
    if (watched == watched_.end()) continue;
    std::optional<Thing> now;
    if (const auto all = by_id.find(UuidOf(id)); all != by_id.end()) {
      const auto meant = std::find_if(all->second.begin(), all->second.end(),
                                      [&](const Thing* one) { return Watchable<Thing>::Means(id, *one); });
      if (meant != all->second.end()) now = Watchable<Thing>::Take(**meant);
    }
    if (now.has_value() || read.rest.ok()) {
      CompareOne(id, std::move(now), look, &watched->second, &news);
    } else {
      RepeatOne(&watched->second, &news);
    }
    if (watched->second.watches.empty()) watched_.erase(watched);
  }
  return news;
}

template <typename Thing>
void WatchHubOf<Thing>::CompareOne(const Key& id, std::optional<Thing> now, uint64_t look, Watched* watched,
                                   std::vector<News>* news) {
  const absl::Time time = clock_->Now();
  const bool found = now.has_value();
  if (found) watched->last = std::move(now);
  // The lesser of both also after the clock was set back.
  watched->missing_since = found ? absl::InfiniteFuture() : std::min(watched->missing_since, time);
  const bool lost = !found && time - watched->missing_since >= options_.lost_after;
  const bool final_state = found && Watchable<Thing>::IsFinal(*watched->last);
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
    if (!watch.waits() && (lost || (!found && watch.revision == 0))) one.end = Watchable<Thing>::NotFound(id);
    const bool stays = !one.end.has_value();
    const bool silent = stays && IsSilent(watch, time);
    // A final state is always news, also with a revision that a restored ledger uses for the second time.
    const bool changed = found && (watch.revision != watched->last->revision || over);
    one.missing = silent && !found && watch.waits();
    if (changed || (silent && !one.missing)) one.now = *watched->last;
    const bool told = one.missing || one.now.has_value();
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

template <typename Thing>
void WatchHubOf<Thing>::RepeatOne(Watched* watched, std::vector<News>* news) {
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
      if (!one.missing) one.now = watched->last;
      news->push_back(std::move(one));
      watch.told_at = time;
    }
    staying.push_back(std::move(watch));
  }
  watched->watches = std::move(staying);
}

template <typename Thing>
bool WatchHubOf<Thing>::IsSilent(const Watch& watch, absl::Time now) const {
  // Also after the clock was set back.
  return now - watch.told_at >= options_.repeat_after || now < watch.told_at;
}

template <typename Thing>
void WatchHubOf<Thing>::Tell(std::vector<News> news) {
  for (const News& one : news) {
    if (one.missing) one.watcher->OnMissing();
    if (one.now.has_value()) one.watcher->OnChange(*one.now);
    if (one.end.has_value()) one.watcher->OnEnd(*one.end);
  }
}

template <typename Thing>
void WatchHubOf<Thing>::Uncount(const Watch& watch) {
  --count_;
  if (--watch.caller->second == 0) callers_.erase(watch.caller);
}

template <typename Thing>
void WatchHubOf<Thing>::NoteLedgerAnswers(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (ledger_answers_ == status.ok()) return;
  ledger_answers_ = status.ok();
  LOG(WARNING) << "watches of " << Watchable<Thing>::kMany << ": the ledger "
               << (status.ok() ? "answers again" : "does not answer: ") << status.message();
}

template class WatchHubOf<storage::Reservation>;
template class WatchHubOf<storage::Group>;

}  // namespace tranche::server
