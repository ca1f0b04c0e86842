// When the announcements are compared with the ledger: in passes, at intervals, and soon after a failure.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "quota/balancer/balancer_options.h"
#include "quota/coordination/announcement_repair.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

// Used by one thread.
class RepairSchedule {
 public:
  // Dependencies outlive it.
  RepairSchedule(storage::StockLedger* ledger, Announcer* announcer, storage::Clock* clock,
                 const BalancerOptions* options, SkuObserver* observer);

  // The next pass is due at once.
  void Soon() { last_pass_ = absl::InfinitePast(); }
  // Did the latest look leave open whether our copy of the SKU counts?
  bool IsOpen(const std::string& sku_id) const { return repair_.IsOpen(sku_id); }
  // Begins a pass or does the next piece of one, if that is due.
  absl::Status Step(Coordination& session);
  // Announces all that one incarnation holds; if that fails, the next pass does it.
  void AnnounceSlicesOf(storage::IncarnationId incarnation);

 private:
  storage::Clock* const clock_;
  const BalancerOptions& options_;
  AnnouncementRepair repair_;
  absl::Time last_pass_ = absl::InfinitePast();
  absl::Time last_step_ = absl::InfinitePast();
};

}  // namespace tranche::quota
