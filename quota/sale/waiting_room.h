// Where requests wait a moment for units that are on their way to this node.
//
// Bounded in number and in time, so that a sale that is over cannot pile up requests. First come first served among
// those who wait, with one exception: who asks for more units than have come does not hold up those behind him.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"

namespace tranche::quota {

// Thread-safe. Calls nothing but `admit`, so that answers are given without its lock.
class WaitingRoom {
 public:
  explicit WaitingRoom(size_t max_waiting) : max_waiting_(max_waiting) {}

  // False when it is full: `request` is as it was.
  bool TryEnter(SaleRequest& request);

  // Those of the SKU for whom `admit` says so, asked in the order of their coming.
  std::vector<SaleRequest> Leave(const std::string& sku_id, absl::FunctionRef<bool(const SaleRequest&)> admit);

  // Those whose wait_until has come.
  std::vector<SaleRequest> LeaveOverdue(absl::Time now);

  // Without the lock.
  bool empty() const { return size_.load(std::memory_order_relaxed) == 0; }
  size_t size(const std::string& sku_id) const;

 private:
  using Line = std::deque<SaleRequest>;

  void LeaveLine(Line& line, absl::FunctionRef<bool(const SaleRequest&)> admit, std::vector<SaleRequest>* leaving)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_waiting_;
  mutable absl::Mutex mutex_;
  // Ordered, so that answers do not depend on hashes: the simulation replays them.
  std::map<std::string, Line> by_sku_ ABSL_GUARDED_BY(mutex_);
  std::atomic<size_t> size_{0};  // written with mutex_ held
};

}  // namespace tranche::quota
