// Waiting for the replies to asynchronous ZooKeeper requests, with a bound.
//
// A caller sends a batch of requests, each with a token from PendingCalls, and waits on the ReplyBatch. The client's
// completion thread finishes each token with its reply. If the caller gives up, the batch lives on: its replies arrive
// late and are dropped.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/coordination/coordination.h"

namespace tranche::quota {

struct ZookeeperReply {
  int rc = 0;
  Znode node;                         // of a get
  std::vector<std::string> children;  // of a list
  bool open = false;                  // of a look at its access rules: do they let everybody do something?
  int child_count = 0;                // of the same
};

// Thread-safe; shared by the waiter and the pending calls.
class ReplyBatch {
 public:
  explicit ReplyBatch(size_t size);

  void Set(size_t index, ZookeeperReply reply);

  // Call it once: returns the replies in order, when all have arrived or at the deadline. Missing ones have rc
  // ZOPERATIONTIMEOUT.
  std::vector<ZookeeperReply> Wait(absl::Time deadline);

 private:
  absl::Mutex mutex_;
  size_t missing_ ABSL_GUARDED_BY(mutex_);
  bool abandoned_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<ZookeeperReply> replies_ ABSL_GUARDED_BY(mutex_);
};

// Owns what the client's completions point to, so that nothing leaks if the client closes without calling one.
// Destroyed only after the client is closed. Thread-safe.
class PendingCalls {
 public:
  // The `data` argument of one asynchronous request.
  const void* Add(std::shared_ptr<ReplyBatch> batch, size_t index);

  // Gives the reply to the call's batch. Exactly once for each token.
  static void Finish(const void* token, ZookeeperReply reply);

 private:
  struct Call {
    PendingCalls* owner;
    std::shared_ptr<ReplyBatch> batch;
    size_t index;
  };

  absl::Mutex mutex_;
  absl::flat_hash_map<const void*, std::unique_ptr<Call>> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::quota
