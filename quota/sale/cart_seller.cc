#include "quota/sale/cart_seller.h"

#include <iterator>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace tranche::quota {
namespace {

using storage::CommitOutcome;
using storage::CommitResult;

CartRefused RefusedAs(Refusal refusal, std::string sku_id = "") {
  return CartRefused{Refused{.refusal = refusal}, std::move(sku_id)};
}

// What the ledger's decision on a cart means for the slice of one of its SKUs.
CommitResult VerdictFor(const std::string& sku_id, absl::Span<const storage::ReservationClaim> lines,
                        const storage::CartResult& result) {
  CommitResult verdict;
  // Nothing was spent here. kReplayed, not kCreated, so that the units are given back.
  verdict.outcome = CommitOutcome::kReplayed;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].sku_id != sku_id) continue;
    const CommitResult& line = result.lines[i];
    const bool decides =
        result.committed || line.outcome == CommitOutcome::kShort || line.outcome == CommitOutcome::kNotHeld;
    if (decides) verdict = line;
  }
  return verdict;
}

}  // namespace

void CartSeller::Sell(std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist,
                      CartDone done) {
  if (!accepting_.load(std::memory_order_relaxed)) return done(RefusedAs(Refusal::kDraining));
  auto cart = std::make_shared<Cart>(Cart{std::move(lines), deadline, may_exist, std::move(done), {}, {}});
  for (const storage::ReservationClaim& line : cart->lines) cart->wants[line.sku_id].units += line.quantity;
  Resolve(cart, cart->wants.begin());
}

void CartSeller::Resolve(const CartPtr& cart, std::map<std::string, Want>::iterator want) {
  for (; want != cart->wants.end(); ++want) {
    const std::string& sku_id = want->first;
    want->second.slice = slices_->Find(sku_id);
    const auto terms = want->second.slice == nullptr ? nullptr : want->second.slice->terms();
    // As in Seller::Sell: without an announcement the ledger is asked.
    if (terms == nullptr || want->second.slice->counter().version() == 0) break;
    want->second.terms = *terms;
  }
  if (want == cart->wants.end()) return TakeAll(cart);
  directory_->Lookup(want->first, [this, cart, want](const SkuDirectory::Found& found) {
    const std::string& sku_id = want->first;
    if (!found.ok()) return cart->done(RefusedAs(RefusalOf(found.status()), sku_id));
    if (!found->has_value()) return cart->done(RefusedAs(Refusal::kSkuNotFound, sku_id));
    want->second.terms = **found;
    // Null before the first incarnation.
    want->second.slice = slices_->FindOrAdd(sku_id);
    if (Slice* slice = want->second.slice.get(); slice != nullptr) {
      if (slice->counter().version() == 0 || slice->terms() == nullptr) slice->OfferTerms(**found);
    }
    Resolve(cart, std::next(want));
  });
}

void CartSeller::TakeAll(const CartPtr& cart) {
  // One transaction works on one shard.
  const std::string& shard = cart->wants.begin()->second.terms.shard;
  for (const auto& [sku_id, want] : cart->wants) {
    if (want.terms.shard != shard) return cart->done(RefusedAs(Refusal::kCartSpansShards, sku_id));
  }
  cart->shard = shard;
  const absl::Time now = clock_->Now();
  for (const auto& [sku_id, want] : cart->wants) {
    if (const auto refused = RefuseByTerms(want.terms, want.units, now)) {
      return Refuse(cart, CartRefused{*refused, sku_id});
    }
  }
  // Draining may have begun while a SKU was looked up.
  if (!accepting_.load(std::memory_order_relaxed)) return cart->done(RefusedAs(Refusal::kDraining));
  bool all = true;
  for (auto& [_, want] : cart->wants) {
    Grant grant;
    if (want.slice != nullptr && TryGrant(want.slice, want.units, &grant)) {
      want.grant = std::move(grant);
    } else {
      all = false;
    }
  }
  // One transaction belongs to one incarnation. Slices of two only meet while the node begins a new one.
  const storage::IncarnationId incarnation =
      all ? cart->wants.begin()->second.grant->slice->incarnation() : storage::kPool;
  for (const auto& [_, want] : cart->wants) all = all && want.slice->incarnation() == incarnation;
  if (all) return Commit(cart);
  RefuseForWantOfUnits(cart);
}

// Every dry SKU is demand, not only the first, so that the next try finds units of them all.
void CartSeller::RefuseForWantOfUnits(const CartPtr& cart) {
  CartRefused refused = RefusedAs(Refusal::kExhaustedHere);
  for (auto& [sku_id, want] : cart->wants) {
    if (want.grant.has_value()) continue;
    const Refused why = OutOfUnits(want.terms, want.units);
    if (refused.sku_id.empty() || (IsFinal(why) && !IsFinal(refused.refused))) refused = {why, sku_id};
    if (want.slice == nullptr) continue;
    if (IsFinal(why)) {
      want.slice->CountRefused(want.units);
      continue;
    }
    want.slice->CountDenied(want.units);
    if (want.slice->MarkWanted(want.units)) slices_->NoteExhausted();
  }
  GiveBack(*cart);
  Refuse(cart, std::move(refused));
}

// Nothing was sent.
void CartSeller::GiveBack(Cart& cart) {
  SettleAll(cart, absl::CancelledError("not sent"));
  for (const auto& [sku_id, want] : cart.wants) {
    if (want.slice != nullptr && want.slice->counter().free() > 0) slices_->NoteChanged(sku_id);
  }
}

void CartSeller::Commit(const CartPtr& cart) {
  {
    absl::MutexLock lock(&mutex_);
    ++unanswered_;
  }
  const storage::IncarnationId incarnation = cart->wants.begin()->second.slice->incarnation();
  books_->CommitCart(cart->shard, incarnation, cart->lines, cart->deadline,
                     [this, cart](absl::StatusOr<storage::CartResult> result) { Decided(cart, std::move(result)); });
}

void CartSeller::Decided(const CartPtr& cart, absl::StatusOr<storage::CartResult> result) {
  SettleAll(*cart, result);
  const bool decided = result.ok();
  cart->done(AnswerOf(*cart, std::move(result)));
  // Units that were given back may serve a waiting request. Not after an error: all waiting requests would be refused
  // one by one.
  for (const auto& [sku_id, want] : cart->wants) {
    if (decided && want.slice->counter().free() > 0) slices_->NoteChanged(sku_id);
  }
  absl::MutexLock lock(&mutex_);
  --unanswered_;
}

CartSale CartSeller::AnswerOf(const Cart& cart, absl::StatusOr<storage::CartResult> result) {
  if (!result.ok()) return RefusedAs(RefusalOf(result.status()));
  if (result->committed) {
    CartSold sold;
    for (CommitResult& line : result->lines) sold.reservations.push_back(std::move(line.reservation));
    sold.replayed = result->lines.front().outcome == CommitOutcome::kReplayed;
    return sold;
  }
  for (size_t i = 0; i < cart.lines.size(); ++i) {
    const CommitResult& line = result->lines[i];
    if (line.outcome == CommitOutcome::kCreated || line.outcome == CommitOutcome::kReplayed) continue;
    const std::string& sku_id = cart.lines[i].sku_id;
    const SkuTerms& terms = cart.wants.at(sku_id).terms;
    return CartRefused{
        Refused{.refusal = RefusalOf(line), .opens_at = terms.opens_at, .per_user_limit = terms.per_user_limit},
        sku_id};
  }
  // Some of the ids belong to another cart, or to single claims.
  return RefusedAs(Refusal::kReservationIdReused);
}

void CartSeller::SettleAll(Cart& cart, const absl::StatusOr<storage::CartResult>& result) {
  for (auto& [sku_id, want] : cart.wants) {
    if (!want.grant.has_value()) continue;
    Settle(*want.grant, *slices_,
           result.ok() ? absl::StatusOr<CommitResult>(VerdictFor(sku_id, cart.lines, *result)) : result.status());
    want.grant.reset();
  }
}

void CartSeller::Refuse(const CartPtr& cart, CartRefused refused) {
  if (!cart->may_exist) return cart->done(std::move(refused));
  std::vector<storage::Uuid> ids;
  for (const storage::ReservationClaim& line : cart->lines) ids.push_back(line.reservation_id);
  books_->Read(cart->shard, std::move(ids),
               [cart, refused = std::move(refused)](absl::StatusOr<std::vector<storage::Reservation>> found) {
                 cart->done(FoundAs(*cart, refused, std::move(found)));
               });
}

// As Seller does for one claim. Lines are committed together, so if one is found, all must be.
CartSale CartSeller::FoundAs(const Cart& cart, const CartRefused& otherwise,
                             absl::StatusOr<std::vector<storage::Reservation>> found) {
  if (absl::IsResourceExhausted(found.status())) return RefusedAs(Refusal::kOverloaded);
  if (!found.ok()) return RefusedAs(Refusal::kCommitUnknown);
  if (found->empty()) return otherwise;
  absl::flat_hash_map<storage::Uuid, storage::Reservation> by_id;
  for (storage::Reservation& one : *found) by_id.emplace(one.reservation_id, std::move(one));
  CartSold sold{{}, /*replayed=*/true};
  for (const storage::ReservationClaim& line : cart.lines) {
    const auto one = by_id.find(line.reservation_id);
    if (one == by_id.end() || !IsOf(one->second, line)) return RefusedAs(Refusal::kReservationIdReused);
    sold.reservations.push_back(std::move(one->second));
  }
  return sold;
}

int64_t CartSeller::unanswered() const {
  absl::MutexLock lock(&mutex_);
  return unanswered_;
}

bool CartSeller::AwaitAnswered(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  const auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return unanswered_ == 0; };
  return mutex_.AwaitWithTimeout(absl::Condition(&none), timeout);
}

}  // namespace tranche::quota
