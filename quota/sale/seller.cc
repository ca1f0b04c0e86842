#include "quota/sale/seller.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "quota/sale/grant.h"
#include "storage/mutation.h"

namespace tranche::quota {

using storage::CommitOutcome;
using storage::CommitResult;
using storage::ReservationClaim;

Seller::Seller(SliceTable* slices, SkuDirectory* directory, storage::Books* books, storage::Clock* clock,
               SellerOptions options)
    : slices_(slices),
      directory_(directory),
      books_(books),
      clock_(clock),
      options_(options),
      room_(options.max_waiting) {
  slices_->SetChangeListener([this](const std::string& sku_id) { ServeWaiting(sku_id); });
}

Seller::~Seller() {
  slices_->SetChangeListener({});
  SetAccepting(false);
}

void Seller::Sell(ReservationClaim claim, absl::Time deadline, bool may_exist, SaleDone done) {
  SaleRequest request{std::move(claim), deadline, may_exist, std::move(done)};
  if (!accepting_.load(std::memory_order_relaxed)) return request.done(Refused{.refusal = Refusal::kDraining});
  const std::shared_ptr<Slice> slice = slices_->Find(request.claim.sku_id);
  const std::shared_ptr<const SkuTerms> terms = slice == nullptr ? nullptr : slice->terms();
  // Without an announcement, the terms of the last look apply, if any.
  if (terms == nullptr || slice->counter().version() == 0) return SellWithoutSlice(std::move(request));
  if (const auto refused = RefuseByTerms(*terms, request.claim.quantity, clock_->Now())) {
    return Refuse(std::move(request), *refused);
  }
  Grant grant;
  if (TryGrant(slice, request.claim.quantity, &grant)) return Commit(std::move(grant), std::move(request));
  WaitForUnits(*slice, *terms, std::move(request));
}

// The node holds nothing of the SKU: the ledger knows whether it exists and on what terms. If it has unsold units, this
// request counts as demand.
void Seller::SellWithoutSlice(SaleRequest request) {
  const std::string sku_id = request.claim.sku_id;
  directory_->Lookup(sku_id, [this, request = std::move(request)](const SkuDirectory::Found& found) mutable {
    if (!found.ok()) return request.done(Refused{.refusal = RefusalOf(found.status())});
    if (!found->has_value()) return request.done(Refused{.refusal = Refusal::kSkuNotFound});
    const SkuTerms& terms = **found;
    if (const auto refused = RefuseByTerms(terms, request.claim.quantity, clock_->Now())) {
      return Refuse(std::move(request), *refused);
    }
    const std::shared_ptr<Slice> slice = slices_->FindOrAdd(request.claim.sku_id);
    const int64_t units = request.claim.quantity;
    if (slice == nullptr) return Refuse(std::move(request), OutOfUnits(terms, units));
    // Until the SKU's own announcement is read; the slice's may come first.
    if (slice->counter().version() == 0 || slice->terms() == nullptr) slice->OfferTerms(terms);
    // Units may have come while the ledger was asked.
    Grant grant;
    if (TryGrant(slice, request.claim.quantity, &grant)) return Commit(std::move(grant), std::move(request));
    WaitForUnits(*slice, terms, std::move(request));
  });
}

// The slice is dry. If units exist elsewhere, this request is demand, and they may be on their way.
void Seller::WaitForUnits(Slice& slice, const SkuTerms& terms, SaleRequest request) {
  const Refused out_of_units = OutOfUnits(terms, request.claim.quantity);
  if (IsFinal(out_of_units)) {
    slice.CountRefused(request.claim.quantity);
    return Refuse(std::move(request), out_of_units);
  }
  // Draining may have begun while the SKU was looked up.
  if (!accepting_.load(std::memory_order_relaxed)) return request.done(Refused{.refusal = Refusal::kDraining});
  slice.CountDenied(request.claim.quantity);
  if (slice.MarkWanted(request.claim.quantity)) slices_->NoteExhausted();
  const absl::Time now = clock_->Now();
  request.wait_until = std::min(now + options_.exhausted_wait, request.deadline);
  if (request.wait_until <= now) return Refuse(std::move(request), out_of_units);
  const std::string sku_id = request.claim.sku_id;
  const int64_t units = request.claim.quantity;
  if (!room_.TryEnter(request)) return Refuse(std::move(request), out_of_units);
  // Units that came before the request entered have woken nobody.
  if (slice.counter().free() >= units) ServeWaiting(sku_id);
}

// Units or other terms have come: requests that can be served go on, in the order in which they came.
void Seller::ServeWaiting(const std::string& sku_id) {
  if (room_.empty() || storage::Mutated(storage::Mutation::kWaitersNeverWoken)) return;
  const std::shared_ptr<Slice> slice = slices_->Find(sku_id);
  const std::shared_ptr<const SkuTerms> terms = slice == nullptr ? nullptr : slice->terms();
  if (terms == nullptr) return;
  const absl::Time now = clock_->Now();
  std::vector<std::optional<Grant>> grants;
  int64_t still_wanted = 0;
  std::vector<SaleRequest> leaving = room_.Leave(sku_id, [&](const SaleRequest& request) {
    const int64_t units = request.claim.quantity;
    Grant grant;
    const bool allowed =
        accepting_.load(std::memory_order_relaxed) && !RefuseByTerms(*terms, request.claim.quantity, now).has_value();
    if (allowed && TryGrant(slice, units, &grant)) {
      grants.emplace_back(std::move(grant));
      return true;
    }
    if (allowed && !IsFinal(OutOfUnits(*terms, units))) {
      still_wanted = still_wanted == 0 ? units : std::min(still_wanted, units);
      return false;
    }
    grants.emplace_back(std::nullopt);
    return true;
  });
  for (size_t i = 0; i < leaving.size(); ++i) {
    SaleRequest& request = leaving[i];
    if (grants[i].has_value()) {
      Commit(*std::move(grants[i]), std::move(request));
    } else {
      const int64_t units = request.claim.quantity;
      const Refused refused = RefuseByTerms(*terms, units, now).value_or(OutOfUnits(*terms, units));
      const bool accepting = accepting_.load(std::memory_order_relaxed);
      Refuse(std::move(request), accepting ? refused : Refused{.refusal = Refusal::kDraining});
    }
  }
  if (still_wanted > 0 && slice->MarkWanted(still_wanted)) slices_->NoteExhausted();
}

void Seller::AnswerOverdue() {
  if (room_.empty() || storage::Mutated(storage::Mutation::kWaitersForgotten)) return;
  const absl::Time now = clock_->Now();
  for (SaleRequest& request : room_.LeaveOverdue(now)) {
    const std::shared_ptr<Slice> slice = slices_->Find(request.claim.sku_id);
    const std::shared_ptr<const SkuTerms> terms = slice == nullptr ? nullptr : slice->terms();
    const bool allowed = terms != nullptr && !RefuseByTerms(*terms, request.claim.quantity, now).has_value();
    // Units that were given back after an error have woken nobody.
    Grant grant;
    if (allowed && TryGrant(slice, request.claim.quantity, &grant)) {
      Commit(std::move(grant), std::move(request));
    } else {
      const int64_t units = request.claim.quantity;
      Refuse(std::move(request),
             terms == nullptr ? Refused{.refusal = Refusal::kExhaustedHere} : OutOfUnits(*terms, units));
    }
  }
}

void Seller::SetAccepting(bool accepting) {
  accepting_.store(accepting, std::memory_order_relaxed);
  if (accepting) return;
  for (SaleRequest& request : room_.LeaveOverdue(absl::InfiniteFuture())) {
    request.done(Refused{.refusal = Refusal::kDraining});
  }
}

void Seller::Refuse(SaleRequest request, Refused refused) {
  if (request.may_exist && !storage::Mutated(storage::Mutation::kMayExistIgnored))
    return AnswerFromLedger(std::move(request), refused);
  request.done(refused);
}

void Seller::AnswerFromLedger(SaleRequest request, Refused otherwise) {
  books_->Find(request.claim.reservation_id,
               [claim = std::move(request.claim), otherwise,
                done = std::move(request.done)](absl::StatusOr<storage::Reservation> found) mutable {
                 if (absl::IsNotFound(found.status())) return done(otherwise);
                 if (absl::IsResourceExhausted(found.status())) return done(Refused{.refusal = Refusal::kOverloaded});
                 if (!found.ok()) return done(Refused{.refusal = Refusal::kCommitUnknown});
                 if (!IsOf(*found, claim)) return done(Refused{.refusal = Refusal::kReservationIdReused});
                 done(Sold{*std::move(found), /*replayed=*/true});
               });
}

void Seller::Commit(Grant grant, SaleRequest request) {
  const storage::IncarnationId incarnation = grant.slice->incarnation();
  if (storage::Mutated(storage::Mutation::kAcknowledgeBeforeCommit)) return request.done(Sold{});
  const auto terms = grant.slice->terms();
  books_->Commit(
      terms == nullptr ? storage::kHomeShard : terms->shard, incarnation, std::move(request.claim), request.deadline,
      [this, grant = std::move(grant), done = std::move(request.done)](absl::StatusOr<CommitResult> result) mutable {
        Settle(grant, *slices_, result);
        if (!result.ok()) return done(Refused{.refusal = RefusalOf(result.status())});
        // Units that were given back may serve a waiting request. Not after an error: all waiting requests would be
        // refused one by one.
        const bool gave_back = result->outcome != CommitOutcome::kCreated && !room_.empty();
        if (result->outcome == CommitOutcome::kCreated || result->outcome == CommitOutcome::kReplayed) {
          done(Sold{std::move(result->reservation), result->outcome == CommitOutcome::kReplayed});
        } else {
          Refused refused{.refusal = RefusalOf(*result)};
          if (const auto terms = grant.slice->terms(); terms != nullptr) {
            refused.per_user_limit = terms->per_user_limit;
            refused.opens_at = terms->opens_at;
          }
          done(refused);
        }
        if (gave_back && grant.slice->counter().free() > 0) ServeWaiting(grant.slice->sku_id());
      });
}

}  // namespace tranche::quota
