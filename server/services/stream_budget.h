// How many streams may be open and how many of their answers may be in memory, for the node and for each connection.
//
// gRPC's own memory limit does not see answers that wait here because a caller does not take them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace tranche::server {

// No answer of StreamReservations takes more, whatever its fields hold (stream_budget_test.cc).
inline constexpr int64_t kAnswerBytes = 2048;

struct StreamBounds {
  int streams = 1024;
  int64_t answers = 32768;
};

class StreamShare;

// Thread-safe. Kept alive by its shares.
class StreamBudget : public std::enable_shared_from_this<StreamBudget> {
 public:
  static std::shared_ptr<StreamBudget> Make(StreamBounds node, StreamBounds connection);

  // For one more stream on `connection`; TOO_MANY_STREAMS if there is no room for it.
  absl::StatusOr<std::unique_ptr<StreamShare>> Open(const std::string& connection);

  // How many are taken, of all connections.
  int64_t answers() const { return answers_.load(std::memory_order_relaxed); }

 private:
  friend class StreamShare;
  struct Connection {
    int streams = 0;  // guarded by the budget's mutex
    std::atomic<int64_t> answers{0};
  };
  using Connections = std::map<std::string, Connection>;

  StreamBudget(StreamBounds node, StreamBounds connection) : node_(node), connection_(connection) {}
  void Close(Connections::iterator connection);

  const StreamBounds node_;
  const StreamBounds connection_;
  std::atomic<int64_t> answers_{0};
  absl::Mutex mutex_;
  int streams_ ABSL_GUARDED_BY(mutex_) = 0;
  Connections connections_ ABSL_GUARDED_BY(mutex_);  // those with a stream
};

// What one stream takes; its destructor gives everything back. Not thread-safe. Takes no lock and allocates nothing
// while it lives.
class StreamShare {
 public:
  ~StreamShare();
  StreamShare(const StreamShare&) = delete;
  StreamShare& operator=(const StreamShare&) = delete;

  // Takes room for one more answer; false if there is none.
  bool TryTake();
  void GiveBack(int64_t answers);
  // Whether TryTake would fail.
  bool Exhausted() const;

 private:
  friend class StreamBudget;
  StreamShare(std::shared_ptr<StreamBudget> budget, StreamBudget::Connections::iterator connection)
      : budget_(std::move(budget)), connection_(connection) {}

  const std::shared_ptr<StreamBudget> budget_;
  const StreamBudget::Connections::iterator connection_;
  int64_t taken_ = 0;
};

}  // namespace tranche::server
