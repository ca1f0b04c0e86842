// Sells: asks the gate, takes units from the node's slice, commits the claim through the pipeline, and corrects the
// slice by what the ledger decided. This is all of a front node's logic between "a well-formed request" and "an
// answer", without gRPC.
//
// While the slice is dry and units may still come, a request waits for them for a bounded moment
// (quota/sale/waiting_room.h). Whoever wants many, and waits in vain, is told whether there are that many at all
// (quota/sale/shortage.h).
//
// The gate (quota/sale/sale_gate.h) is asked once for each claim, after what the node knows of the sale's terms and of
// units that are finally gone, and before any unit is taken. It may make a claim wait; that is then looked at afresh.
//
// After the gate, a SKU's claims may go another way than to the ledger (quota/sale/claim_diversion.h): then no unit is
// taken or waited for.
#pragma once

#include <atomic>
#include <memory>
#include <string>

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
#include "storage/ledger/reservation_ledger.h"

namespace tranche::quota {

// Thread-safe. Outlived by its dependencies. Whoever owns the gate and the diversion sees to it that no claim waits
// there any more when this is destroyed.
class Seller {
 public:
  // `gate`: null if everybody may try. `diversion`: null if every claim goes to the ledger at once, whatever its SKU's
  // path says.
  Seller(SliceTable* slices, SkuDirectory* directory, storage::Books* books, storage::Clock* clock, WaitingRoom* room,
         SaleGate* gate = nullptr, ClaimDiversion* diversion = nullptr)
      : slices_(slices),
        directory_(directory),
        books_(books),
        clock_(clock),
        room_(room),
        gate_(gate),
        diversion_(diversion) {}
  // Closes the room.
  ~Seller();

  // `deadline` bounds how long the claim may wait before it is sent to the ledger, and how long a lost answer of the
  // ledger is looked up. `may_exist` says that an earlier try with this id may have been committed: before refusing
  // from memory, the node then looks the id up in the ledger, so that nobody who has a reservation is told "sold out".
  // `visitor` is for the gate and the diversion.
  void Sell(storage::ReservationClaim claim, absl::Time deadline, bool may_exist, SaleDone done, Visitor visitor = {});

  // While not accepting, every Sell is refused with kDraining, and so is who has waited at the gate. What was granted
  // goes on; who waits for units is the room's matter.
  void SetAccepting(bool accepting) { accepting_.store(accepting, std::memory_order_relaxed); }

 private:
  class WaitingClaim;

  // From its beginning, with the slice and the terms of now.
  void Start(SaleRequest request);
  void SellWithoutSlice(SaleRequest request);
  void SellFrom(const std::shared_ptr<Slice>& slice, const SkuTerms& terms, SaleRequest request);
  // Asks the gate, if it was not asked yet. False: the claim waits there or is refused, and `request` is used up.
  bool LetIn(SaleRequest& request);
  void WaitAtGate(SaleRequest request, absl::Duration wait);
  void NotePath(const SkuTerms& terms, SaleRequest& request) const;
  // What was announced of its SKU, without a slice of it here, is enough: no unit is needed here.
  bool GoesElsewhere(const SkuTerms* terms, const SaleRequest& request) const;
  // Asks the diversion. True: the claim is queued or refused, and `request` is used up.
  bool Divert(const SkuTerms& terms, SaleRequest& request);
  void Queue(const SkuTerms& terms, SaleRequest request);
  void WaitForUnits(const std::shared_ptr<Slice>& slice, const SkuTerms& terms, SaleRequest request);
  // Nobody has as many units.
  void RefuseAsShort(const std::shared_ptr<Slice>& slice, const SkuTerms& terms, SaleRequest request, Refused refused);
  void EnterRoom(Slice& slice, SaleRequest request);
  // Of a request that wants many: kExhaustedHere, unless the ledger says that there are too few, or they have come.
  void RefuseInVain(SaleRequest request);
  void Refuse(SaleRequest request, Refused refused);
  void AnswerFromLedger(SaleRequest request, Refused otherwise);
  // Refuses, once the ledger has nothing of this claim. If it may be queued, the ledger is told first.
  static void NoteRefused(storage::Books* books, SaleRequest request, Refused refused);
  void Commit(Grant grant, SaleRequest request);

  SliceTable* const slices_;
  SkuDirectory* const directory_;
  storage::Books* const books_;
  storage::Clock* const clock_;
  WaitingRoom* const room_;
  SaleGate* const gate_;
  ClaimDiversion* const diversion_;
  std::atomic<bool> accepting_{true};
};

}  // namespace tranche::quota
