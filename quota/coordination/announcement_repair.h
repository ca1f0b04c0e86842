// Compares the ledger with all announcements, writes what is missing or old and overrules what the ledger cannot have
// said, a bounded piece at a time. So hundreds of thousands of SKUs cost a steady trickle of reads and never delay the
// balancer's other work.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

// Used by one thread.
class AnnouncementRepair {
 public:
  // Dependencies outlive it. `of_home`: the ledger knows of every incarnation whether it is live and whether it drains.
  AnnouncementRepair(storage::StockLedger* ledger, Announcer* announcer, bool of_home = true)
      : ledger_(ledger), announcer_(announcer), of_home_(of_home) {}

  // Begins a pass at the start.
  void Begin();
  bool running() const { return phase_ != Phase::kIdle; }
  // Does the next piece of the pass. A piece that fails is skipped: the next pass comes soon.
  absl::Status Step(Coordination& session);

  // Announces all that one incarnation holds, at once.
  absl::Status AnnounceSlicesOf(storage::IncarnationId incarnation, size_t* announced = nullptr);

 private:
  enum class Phase { kIdle, kSkus, kSlices, kIncarnations };

  absl::Status Overruled(const absl::Status& announced, const std::vector<AheadOfLedger>& ahead);
  absl::Status StepSkus();
  absl::Status StepSlices();
  absl::Status RepairIncarnations(Coordination& session);

  storage::StockLedger* const ledger_;
  Announcer* const announcer_;
  const bool of_home_;
  Phase phase_ = Phase::kIdle;
  std::string after_sku_;
  storage::IncarnationId after_incarnation_ = storage::kPool;
};

}  // namespace tranche::quota
