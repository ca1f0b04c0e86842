// Logs the events of the sales of a shard: by its leader alone, so once for all nodes.
//
// It reads nothing itself. It sees the SKUs that the repair goes through every few seconds, and those that the round
// reads because a node is dry or because units move: so a SKU that sells out while buyers ask for more is seen at once.
#pragma once

#include "quota/balancer/sale_events.h"
#include "quota/coordination/announcement_repair.h"
#include "storage/clock.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::quota {

// Used by one thread.
class SaleWatch : public SkuObserver {
 public:
  // The clock outlives it.
  explicit SaleWatch(storage::Clock* clock) : clock_(*clock) {}

  void OnPassBegins() override { events_.BeginPass(); }
  void OnSku(const storage::Sku& sku) override;
  void OnPassEnds() override { events_.EndPass(); }

  // In every round: sales open and end by the clock.
  void Tick() { Log(events_.Tick(clock_.Now())); }
  // A leader that begins knows nothing, and tells nothing of what it finds.
  void Forget() { events_.Forget(); }

 private:
  static void Log(const std::vector<SaleEvent>& events);

  storage::Clock& clock_;
  SaleEvents events_;
};

}  // namespace tranche::quota
