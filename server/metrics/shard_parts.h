// The parts of a process that work for one shard each: they come and go with the shards while scrapes read them.
#pragma once

#include <list>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace tranche::server {

// Thread-safe.
template <typename Part>
class ShardParts {
 public:
  // The part is read as long as this lives. Its end waits for a scrape that reads the parts just now.
  class Membership {
   public:
    // `parts` outlives it.
    Membership(ShardParts* parts, Part part) : parts_(*parts) {
      absl::MutexLock lock(&parts_.mutex_);
      where_ = parts_.parts_.insert(parts_.parts_.end(), std::move(part));
    }
    ~Membership() {
      absl::MutexLock lock(&parts_.mutex_);
      parts_.parts_.erase(where_);
    }
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;

   private:
    ShardParts& parts_;
    typename std::list<Part>::iterator where_;
  };

  // `read` must not block.
  void ForEach(absl::FunctionRef<void(const Part&)> read) const {
    absl::MutexLock lock(&mutex_);
    for (const Part& part : parts_) read(part);
  }

 private:
  mutable absl::Mutex mutex_;
  std::list<Part> parts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
