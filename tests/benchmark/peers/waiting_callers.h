// Callers who wait for what somebody else finds out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/benchmark/peers/peer.h"

namespace tranche::peers {

// Thread-safe.
class WaitingCallers {
 public:
  // Names this object's callers apart from those of others, also of earlier processes.
  WaitingCallers();

  // Waits from its construction to its end; nobody is told of what comes later.
  class Caller {
   public:
    explicit Caller(WaitingCallers* all);
    ~Caller();
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;

    // What to answer to: no two callers have the same.
    const std::string& correlation() const { return correlation_; }
    // nullopt: no answer until then.
    std::optional<Outcome> Await(absl::Time deadline);

   private:
    friend class WaitingCallers;
    WaitingCallers* const all_;
    std::string correlation_;
    // Guarded by the mutex of `all_`.
    bool answered_ = false;
    Outcome outcome_ = Outcome::kConflict;
  };

  // Nothing happens if nobody waits for it.
  void Answer(const std::string& correlation, Outcome outcome) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const std::string name_;
  absl::Mutex mutex_;
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Caller*> callers_ ABSL_GUARDED_BY(mutex_);  // by correlation
};

}  // namespace tranche::peers
