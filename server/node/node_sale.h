// The selling parts of a front node: the sellers, and where their requests wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "quota/sale/cart_seller.h"
#include "quota/sale/claim_diversion.h"
#include "quota/sale/entry_check.h"
#include "quota/sale/pool_taker.h"
#include "quota/sale/sale_gate.h"
#include "quota/sale/sale_result.h"
#include "quota/sale/seller.h"
#include "quota/sale/sku_directory.h"
#include "quota/sale/waiting_room.h"
#include "quota/slices/slice_table.h"
#include "server/process/options.h"
#include "server/process/periodic_task.h"
#include "storage/books.h"
#include "storage/clock.h"

namespace tranche::server {

// Thread-safe, except for ending. Outlived by its dependencies.
class NodeSale {
 public:
  // `gate`: asked for each claim and cart. `diversion`: likewise; null: all go to the ledger at once.
  NodeSale(const ServerOptions& options, quota::SliceTable* slices, storage::Books* books, quota::SaleGate* gate,
           quota::ClaimDiversion* diversion = nullptr);

  quota::Seller& seller() { return seller_; }
  quota::CartSeller& carts() { return carts_; }
  // See quota::CheckEntry. Of a paused sale it says when it opens, or has opened, too, if that is known: who comes
  // before is shuffled in a waiting room, also during a pause.
  void CheckEntry(const std::string& sku_id, quota::EntryChecked done);
  // How many requests wait for units of the SKU.
  int64_t waiting(const std::string& sku_id) const { return static_cast<int64_t>(room_.waiting(sku_id)); }

  // How many requests wait for units of any SKU.
  size_t waiting() const { return room_.waiting(); }
  const quota::PoolTakeCounts& pool_takes() const { return pools_.counts(); }

  // While not accepting, claims and carts are refused with kDraining, and so are requests that wait for units.
  void SetAccepting(bool accepting);
  // Ends the task that answers requests whose wait for units is over. Call it when nobody waits any more.
  void StopTasks() { overdue_task_.reset(); }

 private:
  void TellOpening(const std::string& sku_id, quota::Refused paused, quota::EntryChecked done);

  const quota::SliceTable* const slices_;
  quota::SkuDirectory directory_;
  quota::PoolTaker pools_;
  quota::WaitingRoom room_;
  quota::Seller seller_;
  quota::CartSeller carts_;
  std::unique_ptr<PeriodicTask> overdue_task_;  // last: it uses the others
};

}  // namespace tranche::server
