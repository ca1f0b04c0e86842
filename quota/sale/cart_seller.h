// Sells several SKUs to one buyer at once: takes the units of all lines from this node's slices, or none, commits them
// in one transaction, and settles each slice as the seller does (quota/sale/grant.h).
//
// A cart does not wait for units: what is missing here is demand, so that the balancer brings it, and the buyer's next
// try finds it. Units that a cart could not use are given back before its answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/sale/grant.h"
#include "quota/sale/sale_result.h"
#include "quota/sale/sku_directory.h"
#include "quota/slices/slice_table.h"
#include "storage/clock.h"
#include "storage/executor.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::quota {

// Thread-safe. Outlived by its dependencies.
class CartSeller {
 public:
  // Where the carts of a shard are committed; what it points to lives as long as the seller. Null: there is no such
  // shard.
  struct Shard {
    storage::LifecycleLedger* ledger = nullptr;
    storage::Executor* executor = nullptr;
  };
  using FindShard = std::function<Shard(const std::string& shard)>;

  CartSeller(SliceTable* slices, SkuDirectory* directory, FindShard find_shard, storage::Clock* clock)
      : slices_(slices), directory_(directory), find_shard_(std::move(find_shard)), clock_(clock) {}
  // Of one ledger.
  CartSeller(SliceTable* slices, SkuDirectory* directory, storage::LifecycleLedger* ledger, storage::Executor* executor,
             storage::Clock* clock)
      : CartSeller(
            slices, directory, [shard = Shard{ledger, executor}](const std::string&) { return shard; }, clock) {}

  // `lines` are of one buyer, with distinct ids, 1 to kMaxCartLines of them. `deadline` and `may_exist` as for
  // Seller::Sell.
  void Sell(std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist, CartDone done);

  // While not accepting, every Sell is refused with kDraining. What was granted goes on.
  void SetAccepting(bool accepting) { accepting_.store(accepting, std::memory_order_relaxed); }

  // Carts that the ledger has not decided yet.
  int64_t unanswered() const;
  // Waits until there are none, or `timeout`. True if there are none.
  bool AwaitAnswered(absl::Duration timeout);

 private:
  // What a cart wants of one SKU, over all its lines.
  struct Want {
    int64_t units = 0;
    std::shared_ptr<Slice> slice;
    SkuTerms terms;
    std::optional<Grant> grant;
  };
  struct Cart {
    std::vector<storage::ReservationClaim> lines;
    absl::Time deadline;
    bool may_exist = false;
    CartDone done;
    Shard shard;
    // Ascending, so that two carts that want the last units of the same SKUs get into each other's way least.
    std::map<std::string, Want> wants;
  };
  using CartPtr = std::shared_ptr<Cart>;

  // From this SKU on: finds out what is known of each, then goes on to take the units.
  void Resolve(const CartPtr& cart, std::map<std::string, Want>::iterator want);
  void TakeAll(const CartPtr& cart);
  void RefuseForWantOfUnits(const CartPtr& cart);
  void GiveBack(Cart& cart);

  void Commit(const CartPtr& cart);
  absl::StatusOr<storage::CartResult> Send(const Cart& cart);
  void Decided(const CartPtr& cart, absl::StatusOr<storage::CartResult> result);
  static CartSale AnswerOf(const Cart& cart, absl::StatusOr<storage::CartResult> result);
  void SettleAll(Cart& cart, const absl::StatusOr<storage::CartResult>& result);

  void Refuse(const CartPtr& cart, CartRefused refused);
  CartSale LookUp(const Cart& cart, const CartRefused& otherwise);

  SliceTable* const slices_;
  SkuDirectory* const directory_;
  const FindShard find_shard_;
  storage::Clock* const clock_;
  std::atomic<bool> accepting_{true};

  mutable absl::Mutex mutex_;
  int64_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::quota
