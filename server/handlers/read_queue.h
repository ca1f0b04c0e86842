// Bounds reads of the ledger that are neither remembered nor shared, since whoever asks may have changed just before
// what is read: each read begins after it was asked for.
//
//   - At most `max_reads` are under way; others wait for their turn. So a rush delays itself, and takes no more of the
//     ledger's threads from those who buy.
//   - At most `max_waiting` callers wait. More would only wait for answers that come too late.
//   - Whoever's deadline has passed when their turn comes costs no read.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/clock.h"

namespace tranche::server {

// Thread-safe. Outlived by its clock and by what `read` uses; destroyed when no read is under way.
template <typename Key, typename Value>
class ReadQueue {
 public:
  // Called exactly once, inline or on another thread; must not block.
  using Done = absl::AnyInvocable<void(absl::StatusOr<Value>)>;
  // Answers exactly once, inline or on another thread. Must not block. `deadline` is the caller's: what waits for a
  // thread until then need not be read either.
  using Read = std::function<void(const Key& key, absl::Time deadline, Done done)>;

  ReadQueue(Read read, storage::Clock* clock, size_t max_waiting, size_t max_reads)
      : read_(std::move(read)), clock_(clock), max_waiting_(max_waiting), max_reads_(max_reads) {}

  // Errors are those of `read`; kResourceExhausted when too many wait, kDeadlineExceeded when it was too late to read.
  void Get(Key key, absl::Time deadline, Done done) {
    // Whoever is late leaves their place.
    StartReads();
    {
      absl::MutexLock lock(&mutex_);
      if (waiting_.size() < max_waiting_) {
        waiting_.push_back({std::move(key), deadline, std::move(done)});
        done = nullptr;
      }
    }
    if (done != nullptr) return done(absl::ResourceExhaustedError("too many callers wait for the ledger"));
    StartReads();
  }

 private:
  struct Wanted {
    Key key;
    absl::Time deadline;
    Done done;
  };

  void StartReads() {
    bool starter = false;
    std::optional<Wanted> next;
    do {
      std::vector<Wanted> late;
      next = NextToRead(&starter, &late);
      for (Wanted& one : late) one.done(absl::DeadlineExceededError("the deadline passed before the ledger was asked"));
      if (!next.has_value()) continue;
      read_(next->key, next->deadline, [this, done = std::move(next->done)](absl::StatusOr<Value> value) mutable {
        Finish();
        StartReads();
        done(std::move(value));
      });
    } while (next.has_value());
  }

  // A read that answers inline comes here again: only the first one goes on, so that no recursion results.
  std::optional<Wanted> NextToRead(bool* starter, std::vector<Wanted>* late) {
    absl::MutexLock lock(&mutex_);
    if (starting_ && !*starter) return std::nullopt;
    const absl::Time now = clock_->Now();
    while (!waiting_.empty() && waiting_.front().deadline <= now) {
      late->push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    starting_ = *starter = reading_ < max_reads_ && !waiting_.empty();
    if (!starting_) return std::nullopt;
    Wanted next = std::move(waiting_.front());
    waiting_.pop_front();
    ++reading_;
    return next;
  }

  void Finish() {
    absl::MutexLock lock(&mutex_);
    --reading_;
  }

  const Read read_;
  storage::Clock* const clock_;
  const size_t max_waiting_;
  const size_t max_reads_;
  absl::Mutex mutex_;
  std::deque<Wanted> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t reading_ ABSL_GUARDED_BY(mutex_) = 0;
  bool starting_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche::server
