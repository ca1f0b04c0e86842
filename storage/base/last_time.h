// When something last happened, for those who ask on other threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include "absl/time/time.h"

namespace tranche {

// Thread-safe. To the microsecond.
class LastTime {
 public:
  void Set(absl::Time when) { micros_.store(absl::ToUnixMicros(when), std::memory_order_relaxed); }

  // InfinitePast: never.
  absl::Time Get() const {
    const int64_t micros = micros_.load(std::memory_order_relaxed);
    return micros == kNever ? absl::InfinitePast() : absl::FromUnixMicros(micros);
  }

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::min();

  std::atomic<int64_t> micros_{kNever};
};

}  // namespace tranche
