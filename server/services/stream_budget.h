// How many streams may be open, and how many of their answers may be in memory: for the node, for callers at one
// address, and for each connection.
//
// gRPC's own memory limit does not see answers that wait here because a caller does not take them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace tranche::server {

// No answer of StreamReservations takes more for each reservation that it tells, whatever the fields hold
// (stream_budget_test.cc). So an answer that may tell several counts as several. In a frame most take a few bytes, but
// that is not known before.
inline constexpr int64_t kAnswerBytes = 2048;

struct StreamBounds {
  int streams = 0;
  int64_t answers = 0;
};

struct StreamLimits {
  StreamBounds node{.streams = 1024, .answers = 32768};
  StreamBounds address{.streams = 512, .answers = 16384};
  StreamBounds connection{.streams = 256, .answers = 8192};
};

class StreamShare;

// Thread-safe. Kept alive by its shares.
class StreamBudget : public std::enable_shared_from_this<StreamBudget> {
 public:
  static std::shared_ptr<StreamBudget> Make(const StreamLimits& limits);

  // For one more stream of `peer` (CallContext::peer), which names a connection; TOO_MANY_STREAMS if there is no room.
  absl::StatusOr<std::unique_ptr<StreamShare>> Open(const std::string& peer);

  // How many are open.
  int streams() const {
    absl::MutexLock lock(&mutex_);
    return streams_;
  }
  // How many are taken, of all connections.
  int64_t answers() const { return answers_.load(std::memory_order_relaxed); }

 private:
  friend class StreamShare;
  struct Count {
    int streams = 0;  // guarded by the budget's mutex
    std::atomic<int64_t> answers{0};
  };
  // Those with a stream.
  using Counts = std::map<std::string, Count>;

  explicit StreamBudget(const StreamLimits& limits) : limits_(limits) {}
  void Close(Counts::iterator address, Counts::iterator connection);

  const StreamLimits limits_;
  std::atomic<int64_t> answers_{0};
  mutable absl::Mutex mutex_;
  int streams_ ABSL_GUARDED_BY(mutex_) = 0;
  Counts addresses_ ABSL_GUARDED_BY(mutex_);
  Counts connections_ ABSL_GUARDED_BY(mutex_);
};

// What one stream takes; its destructor gives everything back. Not thread-safe. Takes no lock and allocates nothing
// while it lives.
class StreamShare {
 public:
  ~StreamShare();
  StreamShare(const StreamShare&) = delete;
  StreamShare& operator=(const StreamShare&) = delete;

  // Takes room for so many more answers, and leaves room for `spare` others; false, and takes nothing, if there is not
  // that much.
  bool TryTake(int64_t answers = 1, int64_t spare = 0);
  void GiveBack(int64_t answers);
  // Whether there is no room for so many more.
  bool Exhausted(int64_t answers = 1) const;

 private:
  friend class StreamBudget;
  StreamShare(std::shared_ptr<StreamBudget> budget, StreamBudget::Counts::iterator address,
              StreamBudget::Counts::iterator connection)
      : budget_(std::move(budget)), address_(address), connection_(connection) {}

  const std::shared_ptr<StreamBudget> budget_;
  const StreamBudget::Counts::iterator address_;
  const StreamBudget::Counts::iterator connection_;
  int64_t taken_ = 0;
};

}  // namespace tranche::server
