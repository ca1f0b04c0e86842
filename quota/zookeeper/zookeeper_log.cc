#include "quota/zookeeper/zookeeper_log.h"

#include <glog/logging.h>
#include <zookeeper/zookeeper.h>

#include <atomic>
#include <cstdint>
#include <cstring>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tranche::quota {
namespace {

// The client starts each line with its own time and process id, which glog writes already.
const char* WithoutTime(const char* message) {
  const char* const text = std::strstr(message, ":ZOO_");
  return text == nullptr ? message : text + 1;
}

bool IsTurn() {
  static std::atomic<int64_t> next_turn_s{0};
  const int64_t now_s = absl::ToUnixSeconds(absl::Now());
  int64_t turn_s = next_turn_s.load(std::memory_order_relaxed);
  return now_s >= turn_s && next_turn_s.compare_exchange_strong(turn_s, now_s + 1, std::memory_order_relaxed);
}

}  // namespace

void LogFromZookeeper(const char* message) noexcept {
  const char* const text = WithoutTime(message);
  const bool is_problem = std::strncmp(text, "ZOO_ERROR", 9) == 0 || std::strncmp(text, "ZOO_WARN", 8) == 0;
  if (is_problem && IsTurn()) {
    LOG(WARNING) << "ZooKeeper client: " << text;
  } else {
    VLOG(2) << "ZooKeeper client: " << text;
  }
}

void LimitZookeeperLog() {
  [[maybe_unused]] static const bool once = [] {
    zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
    return true;
  }();
}

}  // namespace tranche::quota
