// The shards that a front node knows: home from the start, the others as home lists them. While home is down, the known
// ones stay.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "storage/shards/incarnation_mirror.h"
#include "storage/shards/shard_backend.h"

namespace tranche::storage {

using ShardList = std::vector<std::shared_ptr<ShardBackend>>;

// Thread-safe.
class ShardSet {
 public:
  using Make = std::function<std::unique_ptr<ShardBackend>(const Shard& shard)>;

  // `make` makes the backend of a new shard; `ended` as for IncarnationMirror.
  ShardSet(std::unique_ptr<ShardBackend> home, Make make, std::function<void(IncarnationId)> ended);

  // Reads home's list. Blocks; one call at a time.
  absl::Status Refresh();
  // Makes the shard's backend anew, because the old one was given up. Not beside Refresh.
  void Renew(const Shard& shard) { Add(shard); }

  ShardBackend& home() const { return *home_; }
  // Home first, then by name.
  ShardList All() const;
  // Null if there is no such shard.
  std::shared_ptr<ShardBackend> Find(absl::string_view name) const;
  // The names of shards besides home that do not answer.
  std::vector<std::string> Silent() const;

  // Tells all shards besides home, also those that are added later, about the node's incarnation and its end.
  void Follow(const Incarnation& incarnation);
  void End(IncarnationId incarnation);
  // Waits until the shards that answer know it, or `timeout`.
  void AwaitTold(absl::Duration timeout);

  // For every backend, in the order of shutdown; see ShardBackend. After RefuseWaiting no shard is added: its pipelines
  // would not be refused, nor its ledger given up.
  void RefuseWaiting();
  void GiveUpLedgers();
  // See CartPipeline. Not after StopExecutors.
  void TrySlowCarts();
  void StopMirrors();
  void StopExecutors();
  void StopPipelines();

 private:
  struct Member {
    std::shared_ptr<ShardBackend> backend;
    std::shared_ptr<IncarnationMirror> mirror;  // null for home
  };

  std::vector<Member> Members() const;
  // Including those that were replaced.
  ShardList Everyone() const;
  void Add(const Shard& shard);
  bool Closed() const;

  const std::shared_ptr<ShardBackend> home_;
  const Make make_;
  const std::function<void(IncarnationId)> ended_;
  mutable absl::Mutex mutex_;
  std::vector<Member> members_ ABSL_GUARDED_BY(mutex_);
  // Those whose DSN changed: their calls may still be under way, so they stay until the end.
  std::vector<Member> replaced_ ABSL_GUARDED_BY(mutex_);
  std::optional<Incarnation> present_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche::storage
