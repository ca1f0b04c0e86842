// Which shards are too slow to let callers wait: the pace of each, as a node last noted it.
#pragma once

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/queue/path_chooser.h"

namespace tranche::server {

// Thread-safe.
class ShardPaces {
 public:
  // As ShardPace::Note, of this shard. Several times a second.
  void Note(const std::string& shard, bool answers, absl::Duration waited, absl::Time now) {
    absl::MutexLock lock(&mutex_);
    paces_[shard].Note(answers, waited, now);
  }
  // False also of a shard that nothing was noted of.
  bool Slow(const std::string& shard) const {
    absl::ReaderMutexLock lock(&mutex_);
    const auto found = paces_.find(shard);
    return found != paces_.end() && found->second.slow();
  }

 private:
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, ShardPace> paces_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
