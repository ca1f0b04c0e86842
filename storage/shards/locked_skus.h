// SKUs that calls have lately found locked for as long as they may wait.
//
// Calls of all SKUs that share a few threads would otherwise wait for one locked SKU, one after the other, and hold up
// those for the others. So a call for such a SKU is refused at once, but for one try now and then.
#pragma once

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/clock.h"

namespace tranche::storage {

// Thread-safe. A SKU whose id is empty is unknown, and always tried.
class LockedSkus {
 public:
  explicit LockedSkus(Clock* clock) : clock_(clock) {}

  // Whether a call for the SKU is to be sent now. Call Tried when it is over.
  bool MayTry(const std::string& sku_id);
  // `locked`: it has waited in vain.
  void Tried(const std::string& sku_id, bool locked);

 private:
  Clock* const clock_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, absl::Time> next_try_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::storage
