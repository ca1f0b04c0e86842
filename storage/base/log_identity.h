// Which node this process is, for its log lines.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace tranche {

namespace log_identity_internal {
inline std::atomic<const std::string*> name{nullptr};
inline std::atomic<int64_t> incarnation{0};
}  // namespace log_identity_internal

// Once, when it is known: later calls change nothing. Thread-safe.
inline void SetLogNode(std::string name) {
  auto kept = std::make_unique<const std::string>(std::move(name));
  const std::string* expected = nullptr;
  // It stays as long as the process, because any thread may be reading it.
  if (log_identity_internal::name.compare_exchange_strong(expected, kept.get())) (void)kept.release();
}
// 0: none at present. Thread-safe.
inline void SetLogIncarnation(int64_t incarnation) {
  log_identity_internal::incarnation.store(incarnation, std::memory_order_relaxed);
}

// Without a lock. "" while not known.
inline const std::string& LogNode() {
  static const std::string* const none = new std::string();
  const std::string* const name = log_identity_internal::name.load(std::memory_order_acquire);
  return name == nullptr ? *none : *name;
}
inline int64_t LogIncarnation() { return log_identity_internal::incarnation.load(std::memory_order_relaxed); }

}  // namespace tranche
