// The open streams of a node.
#pragma once

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/services/stream_budget.h"

namespace tranche::server {

class ReservationStream;

// Thread-safe.
class ReservationStreamSet {
 public:
  explicit ReservationStreamSet(const StreamLimits& limits);
  // Not inline: the streams' class is complete only in the .cc.
  ~ReservationStreamSet();

  StreamBudget& budget() { return *budget_; }

  void Add(const std::shared_ptr<ReservationStream>& stream);
  void Remove(ReservationStream* stream);
  // Stops the open streams and every one that is added later, so that a draining node ends them.
  void StopAll();
  // Looks at every open stream (ReservationStream::Check).
  void CheckAll(absl::Time now);

 private:
  std::vector<std::shared_ptr<ReservationStream>> Open();

  const std::shared_ptr<StreamBudget> budget_;
  absl::Mutex mutex_;
  absl::flat_hash_map<ReservationStream*, std::shared_ptr<ReservationStream>> streams_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche::server
