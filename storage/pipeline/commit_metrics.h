// What a pipeline counts about its way to the ledger, for one kind of requests.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/base/counter.h"
#include "storage/base/histogram.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {

// Thread-safe; takes no lock. A request that is sent several times waits once, and each of its tries is counted.
struct CommitMetrics {
  Histogram queueing_s{LatencyBounds()};  // from its arrival until a request is first sent
  Histogram batch_size{SizeBounds()};     // requests in one try
  Histogram try_s{LatencyBounds()};       // how long one takes at the ledger
  Counter committed;                      // tries that the ledger has answered, whatever it said of each request
  Counter unknown;                        // whose answer was lost
  Counter failed;                         // that changed nothing

  // The request is taken from its queue. `queued_at` is its arrival, and forgotten then.
  void NoteTaken(absl::Time now, absl::Time* queued_at) {
    if (*queued_at == absl::InfinitePast()) return;
    // The clock may have been set meanwhile.
    queueing_s.Observe(std::max(absl::ZeroDuration(), now - *queued_at));
    *queued_at = absl::InfinitePast();
  }

  void NoteTry(size_t requests, absl::Duration took, const absl::Status& status, absl::Time now) {
    took = std::max(absl::ZeroDuration(), took);  // the clock may have been set
    batch_size.Observe(static_cast<double>(requests));
    try_s.Observe(took);
    (status.ok() ? committed : IsUnknownCommit(status) ? unknown : failed).Add();
    if (!status.ok()) return;
    // Of two lanes at once one may get lost: the next tries tell the same.
    const int64_t before = recent_try_ns.load(std::memory_order_relaxed);
    recent_try_ns.store(before + (absl::ToInt64Nanoseconds(took) - before) / kRecentTries, std::memory_order_relaxed);
    recent_try_at_us.store(absl::ToUnixMicros(now), std::memory_order_relaxed);
  }

  // How long an answered try has taken lately: of a few tries, so that one alone tells little. 0 if none was answered
  // for kRecent.
  absl::Duration recent_try(absl::Time now) const {
    const absl::Time at = absl::FromUnixMicros(recent_try_at_us.load(std::memory_order_relaxed));
    if (absl::AbsDuration(now - at) > kRecent) return absl::ZeroDuration();
    return absl::Nanoseconds(recent_try_ns.load(std::memory_order_relaxed));
  }

  static constexpr int64_t kRecentTries = 8;
  static constexpr absl::Duration kRecent = absl::Seconds(10);
  std::atomic<int64_t> recent_try_ns{0};
  std::atomic<int64_t> recent_try_at_us{0};
};

}  // namespace tranche::storage
