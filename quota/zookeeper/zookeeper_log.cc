#include "quota/zookeeper/zookeeper_log.h"

#include <glog/logging.h>
#include <zookeeper/zookeeper.h>

#include <cstring>
#include <string>

#include "absl/base/const_init.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tranche::quota {
namespace {

// The client starts each line with its own time and process id, which glog writes already.
const char* WithoutTime(const char* message) {
  const char* const text = std::strstr(message, ":ZOO_");
  return text == nullptr ? message : text + 1;
}

// A cause is told once a minute: the client repeats its lines with every try to connect. "ZOO_ERROR@check_events@2490"
// is one cause, whatever the rest of the line says.
bool IsTurn(absl::string_view text) {
  constexpr absl::Duration kTellEvery = absl::Minutes(1);
  static absl::Mutex mutex(absl::kConstInit);
  static auto* const last_told = new absl::flat_hash_map<std::string, absl::Time>;
  const absl::string_view cause = text.substr(0, text.find(':'));
  const absl::Time now = absl::Now();
  absl::MutexLock lock(&mutex);
  const auto [told, first] = last_told->try_emplace(cause, now);
  if (!first && now < told->second + kTellEvery && now >= told->second) return false;
  told->second = now;
  return true;
}

}  // namespace

void LogFromZookeeper(const char* message) noexcept {
  const char* const text = WithoutTime(message);
  const bool is_problem = std::strncmp(text, "ZOO_ERROR", 9) == 0 || std::strncmp(text, "ZOO_WARN", 8) == 0;
  if (is_problem && IsTurn(text)) {
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
