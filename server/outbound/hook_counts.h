// What became of the calls to one server outside.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace tranche::server {

// Thread-safe; `open` is set once, before others see it.
struct HookCounts {
  std::atomic<int64_t> answered{0};
  std::atomic<int64_t> late{0};
  std::atomic<int64_t> failed{0};
  std::atomic<int64_t> skipped{0};                    // not begun: it is open, or too many are under way
  std::function<bool()> open = [] { return false; };  // whether the breaker is, now: it has failed, and not come back
};

}  // namespace tranche::server
