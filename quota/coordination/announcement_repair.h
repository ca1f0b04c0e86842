// Compares the ledger with all announcements, writes what is missing or old and overrules what the ledger cannot have
// said, a bounded piece at a time. So hundreds of thousands of SKUs cost a steady trickle of reads and never delay the
// balancer's other work.
//
// A SKU that is announced as being at another shard may be an older copy, which a restore brought back: then it is
// given up and not announced. Until that is known, the announcement stays.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/stock_ledger.h"
#include "storage/shards/older_copies.h"

namespace tranche::quota {

// Hears what the repair reads anyway, on its thread. Does not block.
class SkuObserver {
 public:
  virtual ~SkuObserver() = default;
  // Between these two, OnSku is called at least once for each SKU that was there all the time.
  virtual void OnPassBegins() = 0;
  virtual void OnPassEnds() = 0;
  // As it was read. Not for a copy of which it is open whether it counts.
  virtual void OnSku(const storage::Sku& sku) = 0;
};

// Used by one thread.
class AnnouncementRepair {
 public:
  // Dependencies outlive it. `of_home`: the ledger knows of every incarnation whether it is live and whether it drains.
  // `copies` knows the other shards; null: there are none, so every copy counts. `observer` may be null.
  AnnouncementRepair(storage::StockLedger* ledger, Announcer* announcer, bool of_home = true,
                     storage::CopyCheck* copies = nullptr, SkuObserver* observer = nullptr)
      : ledger_(ledger), announcer_(announcer), copies_(copies), observer_(observer), of_home_(of_home) {}

  // Begins a pass at the start.
  void Begin();
  bool running() const { return phase_ != Phase::kIdle; }
  // Did the latest look leave open whether our copy of the SKU counts?
  bool IsOpen(const std::string& sku_id) const { return open_.contains(sku_id); }
  // Does the next piece of the pass. A piece that fails is skipped: the next pass comes soon.
  absl::Status Step(Coordination& session);

  // Announces all that one incarnation holds, at once.
  absl::Status AnnounceSlicesOf(storage::IncarnationId incarnation, size_t* announced = nullptr);

 private:
  enum class Phase { kIdle, kSkus, kSlices, kIncarnations };

  absl::Status Overruled(Announcer& announcer, const absl::Status& announced, const std::vector<AheadOfLedger>& ahead);
  absl::Status StepSkus();
  void Tell(const std::vector<storage::Sku>& page, const std::vector<AnnouncedElsewhere>& elsewhere);
  absl::Status JudgeCopies(const std::vector<AnnouncedElsewhere>& elsewhere);
  absl::Status StepSlices();
  absl::Status RepairIncarnations(Coordination& session);

  storage::StockLedger* const ledger_;
  Announcer* const announcer_;
  storage::CopyCheck* const copies_;
  SkuObserver* const observer_;
  const bool of_home_;
  Phase phase_ = Phase::kIdle;
  std::string after_sku_;
  // SKUs that may be older copies. What is announced of their slices is the newer copy's.
  std::set<std::string> open_;
  storage::IncarnationId after_incarnation_ = storage::kPool;
};

}  // namespace tranche::quota
