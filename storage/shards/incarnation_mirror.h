// Keeps one shard besides home informed of this node's incarnation: home numbers it, the others are told. This runs on
// its own thread and retries until it succeeds, so that a shard that is down delays nothing; until then the node sells
// nothing there.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/ledger/incarnation_ledger.h"
#include "storage/ledger/shard_ledger.h"

namespace tranche::storage {

// Thread-safe.
class IncarnationMirror {
 public:
  // `ended` is called with an incarnation that has ended there, on the mirror's thread; must only take note. Ledgers
  // outlive it.
  IncarnationMirror(ShardLedger* shards, IncarnationLedger* stock, std::function<void(IncarnationId)> ended);
  ~IncarnationMirror();
  IncarnationMirror(const IncarnationMirror&) = delete;
  IncarnationMirror& operator=(const IncarnationMirror&) = delete;

  // The node is this incarnation now.
  void Follow(const Incarnation& incarnation);
  // The incarnation is over: what it holds goes to the pools.
  void End(IncarnationId incarnation);
  // Waits until the shard knows everything that it should be told, or `timeout`.
  bool AwaitTold(absl::Duration timeout);

 private:
  void Run();
  bool Told() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !to_register_.has_value() && to_end_.empty(); }

  ShardLedger* const shards_;
  IncarnationLedger* const stock_;
  const std::function<void(IncarnationId)> ended_;
  absl::Mutex mutex_;
  std::optional<Incarnation> to_register_ ABSL_GUARDED_BY(mutex_);
  std::set<IncarnationId> to_end_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace tranche::storage
