// Sells several SKUs to one buyer at once: asks the gate once for the whole cart, as Seller does, takes the units of
// all lines from this node's slices, or none, commits them in one transaction, and settles each slice as the seller
// does (quota/sale/grant.h).
//
// If units of some SKU are missing here and may still come, the cart waits for them as a claim does
// (quota/sale/waiting_room.h). If claims for one of its SKUs go another way than to the ledger
// (quota/sale/claim_diversion.h), the whole cart does. All that it misses counts as demand at once, so that the
// balancer brings all of it. The cart itself waits for one SKU at a time; when that comes, it takes the units of all
// lines, or goes on waiting for the next that is missing. While it waits, it holds nothing. A cart that wants many
// units of a SKU, and waits in vain, is told whether there are that many at all (quota/sale/shortage.h).
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
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/sale/claim_diversion.h"
#include "quota/sale/grant.h"
#include "quota/sale/sale_gate.h"
#include "quota/sale/sale_result.h"
#include "quota/sale/sku_directory.h"
#include "quota/sale/waiting_room.h"
#include "quota/slices/slice_table.h"
#include "storage/books.h"
#include "storage/clock.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::quota {

// Thread-safe. Outlived by its dependencies. Whoever owns the gate and the diversion sees to it that no cart waits
// there any more when this is destroyed.
class CartSeller {
 public:
  // `gate` and `diversion` as for Seller.
  CartSeller(SliceTable* slices, SkuDirectory* directory, storage::Books* books, storage::Clock* clock,
             WaitingRoom* room, SaleGate* gate = nullptr, ClaimDiversion* diversion = nullptr)
      : slices_(slices),
        directory_(directory),
        books_(books),
        clock_(clock),
        room_(room),
        gate_(gate),
        diversion_(diversion) {}
  // Closes the room.
  ~CartSeller();

  // `lines` are of one buyer, with distinct ids, 1 to kMaxCartLines of them. `deadline` and `may_exist` as for
  // Seller::Sell. `visitors`, for the gate and the diversion: one for each line, or none.
  void Sell(std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist, CartDone done,
            std::vector<Visitor> visitors = {});

  // While not accepting, every Sell is refused with kDraining, and so is who has waited at the gate. What was granted
  // goes on; who waits for units is the room's matter.
  void SetAccepting(bool accepting) { accepting_.store(accepting, std::memory_order_relaxed); }

  // Carts that the ledger has not decided yet. Those that wait for units are not among them.
  int64_t unanswered() const;
  // Waits until there are none, or `timeout`. True if there are none.
  bool AwaitAnswered(absl::Duration timeout);

 private:
  // What a cart wants of one SKU, over all its lines.
  struct Want {
    int64_t units = 0;
    std::shared_ptr<Slice> slice;
    SkuTerms terms;
    bool denied = false;  // counted as such
    std::optional<Grant> grant;
  };
  using Wants = std::map<std::string, Want>;
  struct Cart {
    std::vector<storage::ReservationClaim> lines;
    absl::Time deadline;
    bool may_exist = false;
    CartDone done;
    std::string shard;
    // Ascending by SKU, so that of two carts that want the last units of the same SKUs one gets them.
    Wants wants;
    std::vector<Visitor> visitors;  // one for each line, or none
    bool let_in = false;            // by the gate: it is asked once
  };
  using CartPtr = std::shared_ptr<Cart>;
  class WaitingCart;
  using ShortageDone = absl::AnyInvocable<void(std::optional<CartRefused>)>;

  // From its beginning, with the slices and the terms of now.
  void Start(const CartPtr& cart);
  // Starting at this SKU: looks up each SKU, then sells.
  void Resolve(const CartPtr& cart, Wants::iterator want);
  // Looks again at the slices of the present incarnation and at what was announced.
  void Refresh(Cart& cart);
  void SellHere(const CartPtr& cart);
  // Asks the gate, if it was not asked yet. False: the cart waits there, or was refused.
  bool LetIn(const CartPtr& cart);
  GateVerdict AskGate(const Cart& cart);
  void WaitAtGate(const CartPtr& cart, absl::Duration wait);

  static bool AcceptsQueued(const Cart& cart) { return !cart.visitors.empty() && cart.visitors.front().accept_queued; }
  // As in Seller.
  bool GoesElsewhere(const std::string& sku_id, const SkuTerms* terms, const Cart& cart) const;
  // The same. True: the cart is queued or refused.
  bool Divert(const CartPtr& cart);
  void Queue(const CartPtr& cart, const std::string& sku_id);

  // The incarnation that all slices of the cart must belong to: one transaction belongs to one. Slices of two only meet
  // while the node begins a new one.
  static storage::IncarnationId IncarnationOf(const Cart& cart);
  // Why no such cart can be sold at present, here or elsewhere. Chooses the shard.
  static std::optional<CartRefused> RefusedByTerms(Cart& cart, absl::Time now);
  // The first SKU of which units are missing here, or one that nobody has enough of; nullopt: everything is here.
  static std::optional<CartRefused> Missing(const Cart& cart);
  // The units of all lines, or none.
  bool TakeAll(Cart& cart);
  // Outside of the waiting room, once nothing was missing.
  bool TakeAllOrServe(Cart& cart);
  static void NoteDemand(Cart& cart, NewDemand& demand);

  void EnterRoom(const CartPtr& cart);
  // Units of it are missing here, and perhaps everywhere without an announcement that says so.
  static bool MayBeShort(const Want& want);
  // The same, and there were too few when the ledger was last asked.
  bool WasShort(const Cart& cart) const;
  // Starting at this SKU: asks about each that may be short. nullopt: there is enough, or the ledger does not answer.
  void FindShortage(const CartPtr& cart, Wants::iterator want, ShortageDone done);

  void Commit(const CartPtr& cart);
  void Decided(const CartPtr& cart, absl::StatusOr<storage::CartResult> result);
  static CartSale AnswerOf(const Cart& cart, absl::StatusOr<storage::CartResult> result, absl::Time now);
  void SettleAll(Cart& cart, const absl::StatusOr<storage::CartResult>& result);

  void Refuse(const CartPtr& cart, CartRefused refused);
  // At once: what it wants of that SKU is no demand.
  void RefuseAsShort(const CartPtr& cart, CartRefused refused);
  // After it has waited: as `exhausted`, unless the ledger says of some SKU that there is too little of it, or all has
  // come.
  void RefuseInVain(const CartPtr& cart, CartRefused exhausted);
  bool MayBeQueued(const Cart& cart) const;
  // As in Seller, of a cart that may be queued.
  static void NoteRefused(storage::Books* books, const CartPtr& cart, CartRefused refused);
  static CartSale NotedAs(const Cart& cart, const CartRefused& refused, std::vector<storage::RefuseResult> results);
  static CartSale FoundAs(const Cart& cart, const CartRefused& otherwise,
                          absl::StatusOr<std::vector<storage::Reservation>> found);

  SliceTable* const slices_;
  SkuDirectory* const directory_;
  storage::Books* const books_;
  storage::Clock* const clock_;
  WaitingRoom* const room_;
  SaleGate* const gate_;
  ClaimDiversion* const diversion_;
  std::atomic<bool> accepting_{true};

  mutable absl::Mutex mutex_;
  int64_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::quota
