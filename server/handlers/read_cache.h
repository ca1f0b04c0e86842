// Answers reads of the ledger from memory, so that any number of callers cost it one read per key and second.
//
//   - An answer is used for `fresh_for`. Then the next caller starts a read, and those who come meanwhile share it.
//   - That there is nothing of a key is an answer like any other.
//   - If a read fails, the last answer is given until it is `stale_for` old, and the key is not read again for
//     `fresh_for`. If a read takes longer than `patience`, those who come from then on get the last answer at once.
//   - At most `max_reads` are under way; the keys of others wait their turn. So a flood of keys that are not known
//     delays itself, and does not take the ledger's threads from those who buy. Keys that are known and those that are
//     not have every second read each, while both wait: neither kind starves the other.
//   - A key costs no read if the deadlines of all who wait for it have passed when its turn comes. Once a read has
//     begun, nobody's deadline counts: those who come meanwhile share it, and those who come later use its answer.
//   - If the clock is set back, what was read before counts as too old: nobody knows how old it is.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/clock.h"

namespace tranche::server {

struct ReadCacheOptions {
  absl::Duration fresh_for = absl::Seconds(1);
  absl::Duration stale_for = absl::Minutes(1);
  absl::Duration patience = absl::Milliseconds(100);
  size_t max_entries = 10'000;
  size_t max_waiting = 10'000;  // callers
  size_t max_reads = 2;
};

// Thread-safe. Outlived by its clock and by what `read` uses; destroyed when no read is under way.
template <typename Value>
class ReadCache {
 public:
  struct Entry {
    std::shared_ptr<const Value> value;  // nullptr: there is nothing of this key
    absl::Time read_at;
  };
  // Errors are those of `read`; kResourceExhausted when too many callers wait; kDeadlineExceeded when it was too late
  // to read.
  using Found = absl::StatusOr<Entry>;
  // Called exactly once, inline or on another thread; must not block.
  using Done = absl::AnyInvocable<void(const Found&)>;
  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<Value>)>;
  // Answers exactly once, inline or on another thread, with kNotFound when there is nothing. Must not block.
  using Read = std::function<void(const std::string& key, ReadDone done)>;

  ReadCache(Read read, storage::Clock* clock, const ReadCacheOptions& options)
      : read_(std::move(read)), clock_(clock), options_(options) {}

  // Without a deadline, or with that of the caller: by the clock.
  void Get(const std::string& key, Done done) { Get(key, absl::InfiniteFuture(), std::move(done)); }
  void Get(const std::string& key, absl::Time deadline, Done done) {
    Found answer = absl::UnknownError("not answered yet");
    std::vector<Done> others;
    if (!AnswerOrWait(key, deadline, &answer, done, &others)) return StartReads();
    for (Done& other : others) other(answer);
    done(answer);
  }

 private:
  struct Known {
    Entry entry{nullptr, absl::InfinitePast()};  // in the infinite past: nothing was read yet
    absl::Time failed_at = absl::InfinitePast();
    absl::Status error;  // of the read that failed
  };
  struct Wanted {
    absl::Time since;
    absl::Time deadline;  // the latest of those who wait
    std::vector<Done> waiters;
  };

  // True: `answer` is set, for `others` too, who have waited for long enough. Otherwise `done` waits for a read.
  bool AnswerOrWait(const std::string& key, absl::Time deadline, Found* answer, Done& done, std::vector<Done>* others) {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_->Now();
    const Known* known = Find(key);
    if (known != nullptr && IsWithin(options_.fresh_for, known->entry.read_at, now)) {
      *answer = known->entry;
      return true;
    }
    if (known != nullptr && IsWithin(options_.fresh_for, known->failed_at, now)) {
      *answer = LastOr(known, known->error, now);
      return true;
    }
    const auto wanted = wanted_.find(key);
    if (wanted != wanted_.end() && now - wanted->second.since >= options_.patience && Usable(known, now)) {
      *answer = known->entry;
      *others = std::exchange(wanted->second.waiters, {});
      waiting_ -= others->size();
      return true;
    }
    if (waiting_ >= options_.max_waiting) {
      *answer = LastOr(known, absl::ResourceExhaustedError("too many callers wait for the ledger"), now);
      return true;
    }
    ++waiting_;
    if (wanted != wanted_.end()) {
      wanted->second.deadline = std::max(wanted->second.deadline, deadline);
      wanted->second.waiters.push_back(std::move(done));
    } else {
      Wanted& wanted_now = wanted_[key];
      wanted_now.since = now;
      wanted_now.deadline = deadline;
      wanted_now.waiters.push_back(std::move(done));
      (Usable(known, now) ? renewals_ : queue_).push_back(key);
    }
    return false;
  }

  void StartReads() {
    bool starter = false;
    std::optional<std::string> key;
    do {
      std::vector<Done> late;
      key = NextToRead(&starter, &late);
      for (Done& one : late) one(absl::DeadlineExceededError("the deadline passed before the ledger was asked"));
      if (!key.has_value()) continue;
      read_(*key, [this, key = *key](absl::StatusOr<Value> value) { Finish(key, std::move(value)); });
    } while (key.has_value());
  }

  // A read that answers inline comes here again: only the first one goes on, so that no recursion results.
  std::optional<std::string> NextToRead(bool* starter, std::vector<Done>* late) {
    absl::MutexLock lock(&mutex_);
    if (starting_ && !*starter) return std::nullopt;
    DropLate(&renewals_, late);
    DropLate(&queue_, late);
    const bool renews = queue_.empty() || (!renewed_last_ && !renewals_.empty());
    std::deque<std::string>& queue = renews ? renewals_ : queue_;
    starting_ = *starter = !queue.empty() && reading_ < options_.max_reads;
    if (!starting_) return std::nullopt;
    renewed_last_ = renews;
    std::string key = std::move(queue.front());
    queue.pop_front();
    ++reading_;
    return key;
  }

  // Whose turn is next, as long as nobody waits for it any more. Of a key that waits for its turn, `waiters` may be
  // empty: those who have got the last answer meanwhile do not need a new one, and those who come next do.
  void DropLate(std::deque<std::string>* queue, std::vector<Done>* late) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::Time now = clock_->Now();
    while (!queue->empty()) {
      const auto wanted = wanted_.find(queue->front());
      std::vector<Done>& waiters = wanted->second.waiters;
      if (waiters.empty() || wanted->second.deadline > now) return;
      waiting_ -= waiters.size();
      for (Done& waiter : waiters) late->push_back(std::move(waiter));
      wanted_.erase(wanted);
      queue->pop_front();
    }
  }

  void Finish(const std::string& key, absl::StatusOr<Value> value) {
    std::vector<Done> waiters;
    Found answer = absl::UnknownError("not answered yet");
    {
      absl::MutexLock lock(&mutex_);
      answer = Note(key, std::move(value));
      const auto wanted = wanted_.find(key);
      waiters = std::move(wanted->second.waiters);
      wanted_.erase(wanted);
      waiting_ -= waiters.size();
      --reading_;
    }
    StartReads();
    for (Done& waiter : waiters) waiter(answer);
  }

  // What to answer after this read.
  Found Note(const std::string& key, absl::StatusOr<Value> value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::Time now = clock_->Now();
    Known next;
    if (value.ok()) {
      next.entry = {std::make_shared<const Value>(*std::move(value)), now};
    } else if (absl::IsNotFound(value.status())) {
      next.entry = {nullptr, now};
    } else {
      if (const Known* last = Find(key); last != nullptr) next.entry = last->entry;
      next.failed_at = now;
      next.error = value.status();
    }
    const Found answer = next.error.ok() ? Found(next.entry) : LastOr(&next, next.error, now);
    Keep(key, std::move(next));
    return answer;
  }

  static bool IsWithin(absl::Duration span, absl::Time since, absl::Time now) {
    const absl::Duration age = now - since;
    return age >= absl::ZeroDuration() && age < span;
  }
  bool Usable(const Known* known, absl::Time now) const {
    return known != nullptr && IsWithin(options_.stale_for, known->entry.read_at, now);
  }
  Found LastOr(const Known* known, const absl::Status& error, absl::Time now) const {
    return Usable(known, now) ? Found(known->entry) : Found(error);
  }

  const Known* Find(const std::string& key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto young = young_.find(key);
    if (young != young_.end()) return &young->second;
    const auto old = old_.find(key);
    return old == old_.end() ? nullptr : &old->second;
  }

  // Two generations: what nobody has asked for while the younger one filled up is forgotten. So a flood of invented
  // keys does not push out what is asked for all the time.
  void Keep(const std::string& key, Known known) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    old_.erase(key);
    if (young_.size() >= options_.max_entries / 2 && !young_.contains(key)) {
      old_ = std::move(young_);
      young_.clear();
    }
    young_.insert_or_assign(key, std::move(known));
  }

  const Read read_;
  storage::Clock* const clock_;
  const ReadCacheOptions options_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Known> young_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Known> old_ ABSL_GUARDED_BY(mutex_);
  // Keys that are being read, or wait in a queue for their turn.
  absl::flat_hash_map<std::string, Wanted> wanted_ ABSL_GUARDED_BY(mutex_);
  // Keys that are known, by themselves: a flood of invented ones does not delay what shoppers look at.
  std::deque<std::string> renewals_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mutex_);
  size_t reading_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool starting_ ABSL_GUARDED_BY(mutex_) = false;
  bool renewed_last_ ABSL_GUARDED_BY(mutex_) = false;  // the last read was of a key that is known
};

}  // namespace tranche::server
