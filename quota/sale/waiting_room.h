// Where requests wait a moment for units that are on their way to this node.
//
// Bounded in number and in time, so that a sale that is over cannot pile up requests. Requests are served in the order
// in which they came, with one exception: one that wants more units than have come does not block those behind it.
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

// Thread-safe. Calls only `admit`, so that answers are given without its lock.
class WaitingRoom {
 public:
  explicit WaitingRoom(size_t max_waiting) : max_waiting_(max_waiting) {}

  // False when it is full: then `request` is unchanged.
  bool TryEnter(SaleRequest& request);

  // Takes the requests for the SKU that `admit` accepts, asked in the order in which they came.
  std::vector<SaleRequest> Leave(const std::string& sku_id, absl::FunctionRef<bool(const SaleRequest&)> admit);

  // Takes the requests whose wait_until has come.
  std::vector<SaleRequest> LeaveOverdue(absl::Time now);

  // Read without the lock.
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
