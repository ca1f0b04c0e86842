// At most one of a kind in a while, for a bounded number of kinds: what others can cause at will must not fill a log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/clock.h"

namespace tranche::server {

// Thread-safe.
class OncePer {
 public:
  // `clock` outlives this. A kind that does not fit among `max_kinds` of the last `interval` is left out.
  OncePer(absl::Duration interval, size_t max_kinds, storage::Clock* clock)
      : interval_(interval), max_kinds_(max_kinds), clock_(clock) {}

  // If this is the first of its kind in the interval: how many were left out since the one before. Otherwise nullopt.
  std::optional<int64_t> Take(const std::string& kind) {
    const absl::Time now = clock_->Now();
    absl::MutexLock lock(&mutex_);
    const auto found = kinds_.find(kind);
    if (found == kinds_.end()) {
      if (!MakeRoom(now)) return std::nullopt;
      kinds_.emplace(kind, Kind{now, 0});
      return 0;
    }
    if (!IsOver(found->second, now)) {
      ++found->second.left_out;
      return std::nullopt;
    }
    const int64_t left_out = found->second.left_out;
    found->second = {now, 0};
    return left_out;
  }

  // As if this kind had not been there yet.
  void Forget(const std::string& kind) {
    absl::MutexLock lock(&mutex_);
    kinds_.erase(kind);
  }

 private:
  struct Kind {
    absl::Time taken_at;
    int64_t left_out = 0;
  };

  // Also after the clock was set back.
  bool IsOver(const Kind& kind, absl::Time now) const {
    return now - kind.taken_at >= interval_ || now < kind.taken_at;
  }

  bool MakeRoom(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (kinds_.size() < max_kinds_) return true;
    // Going through them takes time, so a flood of new kinds does not do it each time.
    if (now >= swept_at_ && now - swept_at_ < interval_ / 10) return false;
    swept_at_ = now;
    for (auto kind = kinds_.begin(); kind != kinds_.end();) {
      if (IsOver(kind->second, now)) {
        kinds_.erase(kind++);
      } else {
        ++kind;
      }
    }
    return kinds_.size() < max_kinds_;
  }

  const absl::Duration interval_;
  const size_t max_kinds_;
  storage::Clock* const clock_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Kind> kinds_ ABSL_GUARDED_BY(mutex_);
  absl::Time swept_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace tranche::server
