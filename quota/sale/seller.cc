#include "quota/sale/seller.h"

#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/types/span.h"
#include "quota/sale/grant.h"
#include "quota/sale/noted_refusal.h"
#include "quota/sale/shortage.h"
#include "storage/mutation.h"

namespace tranche::quota {

using storage::CommitOutcome;
using storage::CommitResult;
using storage::ReservationClaim;

// A claim in the waiting room.
class Seller::WaitingClaim : public Waiter {
 public:
  WaitingClaim(Seller* seller, SaleRequest request)
      : Waiter(request.claim.sku_id), seller_(seller), request_(std::move(request)) {}

  bool TryToGo(absl::Time now, NewDemand& demand) override {
    const std::shared_ptr<Slice> slice = seller_->slices_->Find(sku_id());
    const std::shared_ptr<const SkuTerms> terms = slice == nullptr ? nullptr : slice->terms();
    if (terms == nullptr) return false;
    const int64_t units = request_.claim.quantity;
    may_lack_unannounced_ = MayLackUnannounced(*terms, units);
    refused_ = RefuseByTerms(*terms, units, now);
    if (refused_.has_value() || TryGrant(slice, units, &grant_)) return true;
    if (const Refused out_of_units = OutOfUnits(*terms, units); IsFinal(out_of_units)) {
      refused_ = out_of_units;
      return true;
    }
    demand.Note(slice, units);
    return false;
  }

  void GoOn() override {
    if (refused_.has_value()) return seller_->Refuse(std::move(request_), *refused_);
    seller_->Commit(std::move(grant_), std::move(request_));
  }
  void GiveUp() override {
    if (may_lack_unannounced_) return seller_->RefuseInVain(std::move(request_));
    seller_->Refuse(std::move(request_), Refused{.refusal = Refusal::kExhaustedHere});
  }
  void SendAway() override { request_.done(Refused{.refusal = Refusal::kDraining}); }
  int64_t wanted() const override { return request_.claim.quantity; }

 private:
  Seller* const seller_;
  SaleRequest request_;
  std::optional<Refused> refused_;
  bool may_lack_unannounced_ = false;
  Grant grant_;
};

Seller::~Seller() { room_->SetOpen(false); }

void Seller::Sell(ReservationClaim claim, absl::Time deadline, bool may_exist, SaleDone done, Visitor visitor) {
  Start({std::move(claim), deadline, may_exist, std::move(done), std::move(visitor)});
}

void Seller::Start(SaleRequest request) {
  if (!accepting_.load(std::memory_order_relaxed)) return request.done(Refused{.refusal = Refusal::kDraining});
  const std::shared_ptr<Slice> slice = slices_->Find(request.claim.sku_id);
  const std::shared_ptr<const SkuTerms> terms = slice == nullptr ? nullptr : slice->terms();
  // Without an announcement, the terms of the last look apply, if any.
  const bool known = terms != nullptr && slice->counter().version() != 0;
  if (terms != nullptr) NotePath(*terms, request);
  if (!known && !GoesElsewhere(terms.get(), request)) return SellWithoutSlice(std::move(request));
  if (const auto refused = RefuseByTerms(*terms, request.claim.quantity, clock_->Now())) {
    return Refuse(std::move(request), *refused);
  }
  SellFrom(slice, *terms, std::move(request));
}

void Seller::SellFrom(const std::shared_ptr<Slice>& slice, const SkuTerms& terms, SaleRequest request) {
  const int64_t units = request.claim.quantity;
  // Before the gate: what is gone costs nobody a try.
  if (slice->counter().free() < units) {
    const Refused out_of_units = OutOfUnits(terms, units);
    if (IsFinal(out_of_units)) return RefuseAsShort(slice, terms, std::move(request), out_of_units);
  }
  if (!LetIn(request)) return;
  if (diversion_ != nullptr && Divert(terms, request)) {
    slices_->NoteDiverted(*slice, units);
    return;
  }
  Grant grant;
  if (TryGrant(slice, units, &grant)) return Commit(std::move(grant), std::move(request));
  WaitForUnits(slice, terms, std::move(request));
}

bool Seller::LetIn(SaleRequest& request) {
  if (gate_ == nullptr || request.let_in || !gate_->closed_to_some()) return true;
  const GateLine line{&request.claim, &request.visitor};
  const GateVerdict verdict = gate_->Check(absl::MakeConstSpan(&line, 1), clock_->Now(), request.deadline);
  if (verdict.refused.has_value()) {
    Refuse(std::move(request), *verdict.refused);
    return false;
  }
  request.let_in = true;
  request.claim.has_token = verdict.has_token;
  if (verdict.wait <= absl::ZeroDuration()) return true;
  WaitAtGate(std::move(request), verdict.wait);
  return false;
}

void Seller::WaitAtGate(SaleRequest request, absl::Duration wait) {
  // Shared, because the gate drops what it does not take.
  auto waiting = std::make_shared<SaleRequest>(std::move(request));
  const bool parked = gate_->Park(wait, [this, waiting] {
    // The gate may be late. The sale may have changed: nothing that was known before the wait counts.
    if (clock_->Now() < waiting->deadline) return Start(std::move(*waiting));
    Refuse(std::move(*waiting), Refused{.refusal = Refusal::kDeadlinePassed});
  });
  // The gate ends with the node.
  if (!parked) waiting->done(Refused{.refusal = Refusal::kDraining});
}

void Seller::NotePath(const SkuTerms& terms, SaleRequest& request) const {
  // The path may have changed since an earlier try; who accepts no queue was never put into one.
  const bool may_be_queued = diversion_ != nullptr && request.visitor.accept_queued &&
                             (diversion_->MayHaveQueued() || terms.claim_path != storage::ClaimPath::kDirect);
  request.queue_shard = may_be_queued ? terms.shard : "";
}

bool Seller::GoesElsewhere(const SkuTerms* terms, const SaleRequest& request) const {
  if (diversion_ == nullptr || terms == nullptr || !terms->announced) return false;
  return diversion_->WayOf(request.claim.sku_id, *terms, request.visitor.accept_queued) != ClaimDiversion::Way::kSell;
}

bool Seller::Divert(const SkuTerms& terms, SaleRequest& request) {
  switch (diversion_->WayOf(request.claim.sku_id, terms, request.visitor.accept_queued)) {
    case ClaimDiversion::Way::kSell:
      return false;
    case ClaimDiversion::Way::kQueue:
      Queue(terms, std::move(request));
      return true;
    case ClaimDiversion::Way::kRefuse:
      break;
  }
  Refuse(std::move(request), Refused{.refusal = Refusal::kClaimsAreQueued});
  return true;
}

// An earlier try that was committed is found by whoever decides this one. So it is looked up only if this one is not
// queued.
void Seller::Queue(const SkuTerms& terms, SaleRequest request) {
  // Draining may have begun while the SKU was looked up.
  if (!accepting_.load(std::memory_order_relaxed)) return request.done(Refused{.refusal = Refusal::kDraining});
  std::vector<ReservationClaim> lines = {request.claim};
  const std::string sku_id = request.claim.sku_id;
  const absl::Time deadline = request.deadline;
  diversion_->Queue(std::move(lines), /*cart=*/false, sku_id, terms, deadline,
                    [this, request = std::move(request)](std::variant<Queued, Refused> answer) mutable {
                      if (auto* queued = std::get_if<Queued>(&answer)) return request.done(std::move(*queued));
                      Refuse(std::move(request), std::get<Refused>(std::move(answer)));
                    });
}

// The node holds nothing of the SKU: the ledger knows whether it exists and on what terms. If it has unsold units, this
// request counts as demand.
void Seller::SellWithoutSlice(SaleRequest request) {
  const std::string sku_id = request.claim.sku_id;
  directory_->Lookup(sku_id, [this, request = std::move(request)](const SkuDirectory::Found& found) mutable {
    if (!found.ok()) return request.done(Refused{.refusal = RefusalOf(found.status())});
    if (!found->has_value()) return request.done(Refused{.refusal = Refusal::kSkuNotFound});
    const SkuTerms& terms = (*found)->terms;
    NotePath(terms, request);
    if (const auto refused = RefuseByTerms(terms, request.claim.quantity, clock_->Now())) {
      return Refuse(std::move(request), *refused);
    }
    const std::shared_ptr<Slice> slice = slices_->FindOrAdd(request.claim.sku_id);
    const int64_t units = request.claim.quantity;
    const SkuTerms exact = (*found)->ExactTerms();
    if (slice == nullptr) return Refuse(std::move(request), OutOfUnits(exact, units));
    // Until the SKU's own announcement is read; the slice's may come first.
    if (slice->counter().version() == 0 || slice->terms() == nullptr) slice->OfferTerms(terms);
    // Units may have come while the ledger was asked.
    SellFrom(slice, exact, std::move(request));
  });
}

// The slice is dry. If units exist elsewhere, this request is demand, and they may be on their way.
void Seller::WaitForUnits(const std::shared_ptr<Slice>& slice, const SkuTerms& terms, SaleRequest request) {
  const int64_t units = request.claim.quantity;
  const Refused out_of_units = OutOfUnits(terms, units);
  if (IsFinal(out_of_units)) return RefuseAsShort(slice, terms, std::move(request), out_of_units);
  const std::string sku_id = request.claim.sku_id;
  const bool ask_first = MayLackUnannounced(terms, units) && directory_->LastSawFewerThan(sku_id, units);
  if (!ask_first) return EnterRoom(*slice, std::move(request));
  // The last one waited in vain for units that do not exist. If there still are too few, this one is no demand.
  directory_->Lookup(sku_id,
                     [this, slice, units, request = std::move(request)](const SkuDirectory::Found& found) mutable {
                       const std::optional<Refused> too_few = TooFew(found, units);
                       if (!too_few.has_value()) return EnterRoom(*slice, std::move(request));
                       slice->CountRefused(units);
                       Refuse(std::move(request), *too_few);
                     });
}

void Seller::RefuseAsShort(const std::shared_ptr<Slice>& slice, const SkuTerms& terms, SaleRequest request,
                           Refused refused) {
  const int64_t units = request.claim.quantity;
  slice->CountRefused(units);
  room_->NoteRefused(slice, terms, units);
  Refuse(std::move(request), refused);
}

void Seller::EnterRoom(Slice& slice, SaleRequest request) {
  // Draining may have begun while the SKU was looked up.
  if (!accepting_.load(std::memory_order_relaxed)) return request.done(Refused{.refusal = Refusal::kDraining});
  slice.CountDenied(request.claim.quantity);
  const absl::Time deadline = request.deadline;
  room_->Enter(std::make_unique<WaitingClaim>(this, std::move(request)), deadline);
}

void Seller::RefuseInVain(SaleRequest request) {
  const Refused exhausted{.refusal = Refusal::kExhaustedHere};
  // At its deadline nobody hears the answer any more.
  if (clock_->Now() >= request.deadline) return Refuse(std::move(request), exhausted);
  const std::string sku_id = request.claim.sku_id;
  directory_->Lookup(sku_id, [this, exhausted, request = std::move(request)](const SkuDirectory::Found& found) mutable {
    const int64_t units = request.claim.quantity;
    if (const auto too_few = TooFew(found, units)) return Refuse(std::move(request), *too_few);
    // Units may have come while the ledger was asked, and have woken nobody.
    const std::shared_ptr<Slice> slice = slices_->Find(request.claim.sku_id);
    Grant grant;
    if (slice != nullptr && TryGrant(slice, units, &grant)) return Commit(std::move(grant), std::move(request));
    Refuse(std::move(request), exhausted);
  });
}

void Seller::Refuse(SaleRequest request, Refused refused) {
  if (request.may_exist && !storage::Mutated(storage::Mutation::kMayExistIgnored))
    return AnswerFromLedger(std::move(request), refused);
  request.done(refused);
}

void Seller::AnswerFromLedger(SaleRequest request, Refused otherwise) {
  const storage::Uuid id = request.claim.reservation_id;
  const absl::Time deadline = request.deadline;
  books_->Find(id, storage::Assurance::kReplicated, deadline,
               [books = books_, request = std::move(request),
                otherwise = std::move(otherwise)](absl::StatusOr<storage::Reservation> found) mutable {
                 if (absl::IsNotFound(found.status())) {
                   return NoteRefused(books, std::move(request), std::move(otherwise));
                 }
                 if (absl::IsResourceExhausted(found.status())) {
                   return request.done(Refused{.refusal = Refusal::kOverloaded});
                 }
                 if (!found.ok()) return request.done(Refused{.refusal = Refusal::kCommitUnknown});
                 if (!IsOf(*found, request.claim)) {
                   return request.done(Refused{.refusal = Refusal::kReservationIdReused});
                 }
                 request.done(Sold{*std::move(found), /*replayed=*/true});
               });
}

// A queue may have the claim from a try whose confirm was lost. Whoever is told a decision must not be sold to later.
void Seller::NoteRefused(storage::Books* books, SaleRequest request, Refused refused) {
  if (IsOpenInQueue(request.queue_shard, refused)) return request.done(Refused{.refusal = Refusal::kCommitUnknown});
  if (!MustBeNoted(request.queue_shard, refused)) return request.done(std::move(refused));
  const std::string shard = request.queue_shard;
  const absl::Time deadline = request.deadline;
  std::vector<storage::ClaimRefusal> batch = {{.claim = request.claim, .refusal = refused.refusal}};
  books->RefuseClaims(shard, std::move(batch), deadline,
                      [request = std::move(request), refused = std::move(refused)](
                          absl::StatusOr<std::vector<storage::RefuseResult>> results) mutable {
                        if (!results.ok() || results->size() != 1) {
                          return request.done(Refused{.refusal = RefusalNotNoted(results.status())});
                        }
                        storage::RefuseResult& result = results->front();
                        if (result.outcome == storage::RefuseOutcome::kSold) {
                          return request.done(Sold{std::move(result.reservation), /*replayed=*/true});
                        }
                        request.done(RefusedAsNoted(result, std::move(refused)));
                      });
}

void Seller::Commit(Grant grant, SaleRequest request) {
  const storage::IncarnationId incarnation = grant.slice->incarnation();
  if (storage::Mutated(storage::Mutation::kAcknowledgeBeforeCommit)) return request.done(Sold{});
  const auto terms = grant.slice->terms();
  ReservationClaim claim = request.may_exist ? request.claim : std::move(request.claim);
  const absl::Time deadline = request.deadline;
  books_->Commit(
      terms == nullptr ? storage::kHomeShard : terms->shard, incarnation, std::move(claim), deadline,
      [this, grant = std::move(grant), request = std::move(request)](absl::StatusOr<CommitResult> result) mutable {
        Settle(grant, *slices_, result);
        if (IsShort(result)) room_->NoteShort(grant.slice, result->slice_version, grant.units);
        if (!result.ok()) {
          return request.done(Refused{.refusal = RefusalOf(result.status(), request.may_exist)});
        }
        // Units that were given back may serve a waiting request. Not after an error: all waiting requests
        // would be refused one by one.
        const bool gave_back = result->outcome != CommitOutcome::kCreated;
        if (result->outcome == CommitOutcome::kCreated || result->outcome == CommitOutcome::kReplayed) {
          request.done(Sold{std::move(result->reservation), result->outcome == CommitOutcome::kReplayed});
        } else {
          const auto terms = grant.slice->terms();
          Refused refused = RefusedByLedger(*result, terms.get(), grant.units, clock_->Now());
          if (request.may_exist) {
            NoteRefused(books_, std::move(request), std::move(refused));
          } else {
            request.done(std::move(refused));
          }
        }
        if (gave_back && grant.slice->counter().free() > 0) room_->Serve(grant.slice->sku_id());
      });
}

}  // namespace tranche::quota
