// Sells several SKUs to one buyer at once: takes the units of all lines from this node's slices, or none, commits them
// in one transaction, and settles each slice as the seller does (quota/sale/grant.h).
//
// A cart does not wait for units: what is missing here counts as demand, so that the balancer brings it, and the
// buyer's next try finds it. Units that a cart could not use are given back before its answer.
#pragma once

#include <atomic>
#include <cstdint>
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
#include "storage/books.h"
#include "storage/clock.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::quota {

// Thread-safe. Outlived by its dependencies.
class CartSeller {
 public:
  CartSeller(SliceTable* slices, SkuDirectory* directory, storage::Books* books, storage::Clock* clock)
      : slices_(slices), directory_(directory), books_(books), clock_(clock) {}

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
    std::string shard;
    // Ascending by SKU, so that two carts that want the last units of the same SKUs block each other least.
    std::map<std::string, Want> wants;
  };
  using CartPtr = std::shared_ptr<Cart>;

  // Starting at this SKU: looks up each SKU, then takes the units.
  void Resolve(const CartPtr& cart, std::map<std::string, Want>::iterator want);
  void TakeAll(const CartPtr& cart);
  void RefuseForWantOfUnits(const CartPtr& cart);
  void GiveBack(Cart& cart);

  void Commit(const CartPtr& cart);
  void Decided(const CartPtr& cart, absl::StatusOr<storage::CartResult> result);
  static CartSale AnswerOf(const Cart& cart, absl::StatusOr<storage::CartResult> result);
  void SettleAll(Cart& cart, const absl::StatusOr<storage::CartResult>& result);

  void Refuse(const CartPtr& cart, CartRefused refused);
  static CartSale FoundAs(const Cart& cart, const CartRefused& otherwise,
                          absl::StatusOr<std::vector<storage::Reservation>> found);

  SliceTable* const slices_;
  SkuDirectory* const directory_;
  storage::Books* const books_;
  storage::Clock* const clock_;
  std::atomic<bool> accepting_{true};

  mutable absl::Mutex mutex_;
  int64_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::quota
