// How many bytes of answers to unary calls may wait for callers who do not take them: for the node, for callers at one
// address, and for each connection.
//
// gRPC's own memory limit does not see them. An answer is in memory from its Finish until the caller's window of flow
// control has had room for all of it, or the call has ended. Without a deadline, that may be never.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/clock.h"

namespace tranche::server {

// What is not larger is not counted: HTTP/2 has room for it as a rule, and an open call costs more.
inline constexpr int64_t kSmallAnswerBytes = 4096;

struct AnswerLimits {
  int64_t node_bytes = int64_t{64} << 20;
  int64_t address_bytes = int64_t{32} << 20;
  int64_t connection_bytes = int64_t{16} << 20;
  // A call whose answer waits for longer is cancelled when another answer finds no room because of it.
  absl::Duration unread_timeout = absl::Seconds(10);
};

class AnswerShare;

// Thread-safe. Outlived by the clock; outlives its shares. `peer` (CallContext::peer) names a connection.
class AnswerBudget {
 public:
  AnswerBudget(const AnswerLimits& limits, storage::Clock* clock);
  AnswerBudget(const AnswerBudget&) = delete;
  AnswerBudget& operator=(const AnswerBudget&) = delete;

  // Room for an answer; OVERLOADED if there is none. One that is larger than a limit counts as much as the limit, so it
  // finds room when there is nothing else.
  //
  // `cancel` ends the answer's call. It is called at most once, on a thread of another call and without a lock, perhaps
  // when the share is gone already. Absent: the call is left alone, however long it takes.
  absl::StatusOr<std::unique_ptr<AnswerShare>> Take(const std::string& peer, int64_t bytes,
                                                    std::function<void()> cancel);

  // For a call that changes something, whose answer must be sent: OVERLOADED, before the call begins, if there is no
  // room for any answer. TakeAnyway then counts its answer above the limits, too.
  absl::Status Admit(const std::string& peer);
  std::unique_ptr<AnswerShare> TakeAnyway(const std::string& peer, int64_t bytes, std::function<void()> cancel);

  // How many are taken, of all connections.
  int64_t bytes();

 private:
  friend class AnswerShare;
  enum class Scope { kConnection, kAddress, kNode };
  // Bytes, of those that have taken some.
  using Counts = std::map<std::string, int64_t>;
  struct Held {
    Counts::iterator address;
    Counts::iterator connection;
    int64_t bytes;
    absl::Time since;
    std::function<void()> cancel;  // empty also once it was called
  };
  struct Late {
    std::string peer;
    std::function<void()> cancel;
  };

  int64_t Counted(int64_t bytes) const;
  std::unique_ptr<AnswerShare> Hold(const std::string& peer, const std::string& address, int64_t bytes,
                                    std::function<void()> cancel) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveBack(std::list<Held>::iterator held);
  // Whose limit `bytes` more would exceed.
  std::optional<Scope> FullFor(const std::string& peer, const std::string& address, int64_t bytes) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The answers that take this room for too long.
  std::vector<Late> TakeLate(Scope scope, const std::string& peer, const std::string& address)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Cancels the calls that were taken so. The error for the one that finds no room.
  static absl::Status Refuse(Scope scope, const std::vector<Late>& late);

  const AnswerLimits limits_;
  storage::Clock* const clock_;
  absl::Mutex mutex_;
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  Counts addresses_ ABSL_GUARDED_BY(mutex_);
  Counts connections_ ABSL_GUARDED_BY(mutex_);
  std::list<Held> held_ ABSL_GUARDED_BY(mutex_);  // the oldest first
};

// What one answer takes; its destructor gives it back.
class AnswerShare {
 public:
  ~AnswerShare() { budget_->GiveBack(held_); }
  AnswerShare(const AnswerShare&) = delete;
  AnswerShare& operator=(const AnswerShare&) = delete;

 private:
  friend class AnswerBudget;
  AnswerShare(AnswerBudget* budget, std::list<AnswerBudget::Held>::iterator held) : budget_(budget), held_(held) {}

  AnswerBudget* const budget_;
  const std::list<AnswerBudget::Held>::iterator held_;
};

}  // namespace tranche::server
