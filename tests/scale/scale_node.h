// A front node without its server: the real agent, slices and demand reports, and buyers of which only the outcome is
// modelled.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "quota/node/node_agent.h"
#include "quota/node/node_host.h"
#include "quota/slices/slice_table.h"
#include "storage/clock.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::testing {

class ScaleNode {
 public:
  // Dependencies outlive the node. Destroying it is its sudden death.
  ScaleNode(quota::CoordinationConnector* connector, storage::StockLedger* stock, storage::ReservationLedger* sales,
            storage::Clock* clock, int number);

  quota::NodeAgent& agent() { return agent_; }
  quota::SliceTable& slices() { return slices_; }
  absl::Time next_turn() const { return next_turn_; }
  void set_next_turn(absl::Time turn) { next_turn_ = turn; }

  // A buyer comes and waits until the units are here.
  void Ask(const storage::Sku& sku, int32_t units);
  // Sells to waiting buyers, as far as units have come.
  void ServeWaiting();
  size_t waiting() const { return waiting_.size(); }
  int64_t WaitingFor(const std::string& sku_id) const;

  // Sells all units of a SKU that are here. Returns how many.
  int64_t SellAll(const std::string& sku_id);
  // Adds traffic to the report for the balancer, without a commit for each unit.
  void CountTraffic(const std::string& sku_id, int64_t units);

 private:
  struct Asked {
    std::string sku_id;
    int32_t units = 0;
  };
  class Host : public quota::NodeHost {
   public:
    void SetDraining(bool) override {}
    bool Idle() override { return true; }
    void ExitAfterDrain() override {}
    bool LedgerAnswers() override { return true; }
  };

  bool TrySell(const std::string& sku_id, int32_t units);

  storage::ReservationLedger* const sales_;
  const int number_;
  Host host_;
  quota::SliceTable slices_;
  quota::NodeAgent agent_;
  absl::Time next_turn_;
  std::vector<Asked> waiting_;
  absl::flat_hash_map<std::string, int64_t> waiting_by_sku_;
  int64_t sales_made_ = 0;
};

}  // namespace tranche::testing
