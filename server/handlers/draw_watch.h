// Which draws workers have something to do for, and for how long. The ledger does not keep since when a place is free:
// so whoever looks remembers what they saw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/ledger/draw_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// Thread-safe. Remembers a few numbers of each draw that waits.
class DrawWatch {
 public:
  static constexpr size_t kMostTold = 10;

  // Of these draws of the shard, which DrawLedger::ListDrawWork tells, those that wait for a worker: that with the
  // longest wait first, at most kMostTold. Forgets the draws that do not wait.
  std::vector<v1::WaitingDraw> Waiting(const std::string& shard, const std::vector<storage::Draw>& draws,
                                       absl::Time now);

 private:
  // By SKU and number.
  using Name = std::pair<std::string, int64_t>;
  struct Seen {
    storage::DrawState state = storage::DrawState::kOpen;
    int64_t awards = 0;
    absl::Time since;
  };

  absl::Mutex mutex_;
  std::map<std::string, std::map<Name, Seen>> shards_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
