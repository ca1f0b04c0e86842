// What every limiter that is compared is asked through, so that all of them are asked alike.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace tranche::limiters {

// So many tries may come at once, and after them one for each interval. Both are positive.
struct LimitTerms {
  int64_t burst = 1;
  absl::Duration interval = absl::Seconds(1);
};

// Short enough to need no allocation.
inline std::string KeyName(int64_t key) { return absl::StrCat("user-", key); }

// For one thread. Outlived by its limiter.
class LimiterCaller {
 public:
  virtual ~LimiterCaller() = default;
  // One try of each key, in this order, all sent before the first answer is awaited, where they are sent at all. How
  // many were taken. kUnavailable: the limiter cannot be asked; then the caller is of no more use.
  virtual absl::StatusOr<int64_t> Try(absl::Span<const int64_t> keys) = 0;
};

// What has been needed since the limiter was empty.
struct LimiterMemory {
  int64_t used_bytes = 0;      // by its own account
  int64_t resident_bytes = 0;  // of its process
};

class Limiter {
 public:
  virtual ~Limiter() = default;
  // `node`: the one of those that the limiter was made for at which the caller tries, from 0. Not thread-safe.
  virtual absl::StatusOr<std::unique_ptr<LimiterCaller>> Connect(int node, const LimitTerms& terms) = 0;
  virtual absl::StatusOr<LimiterMemory> Memory() = 0;
  // How many keys it can remember at a time. May fill it to find that out; afterwards it is empty. Call it before
  // anything is tried.
  virtual absl::StatusOr<int64_t> Capacity() = 0;
};

}  // namespace tranche::limiters
