// What became of the calls to one server outside.
#pragma once

#include <atomic>
#include <cstdint>

namespace tranche::server {

// Thread-safe.
struct HookCounts {
  std::atomic<int64_t> answered{0};
  std::atomic<int64_t> late{0};
  std::atomic<int64_t> failed{0};
  std::atomic<int64_t> skipped{0};  // not begun: the breaker is open, or too many are under way
  std::atomic<bool> open{false};    // it has failed, and no call has succeeded since; not a count
};

}  // namespace tranche::server
