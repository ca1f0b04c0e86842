#include "quota/sale/cart_seller.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "glog/logging.h"
#include "quota/sale/noted_refusal.h"
#include "quota/sale/shortage.h"
#include "storage/mutation.h"

namespace tranche::quota {
namespace {

using storage::CommitOutcome;
using storage::CommitResult;

CartRefused RefusedAs(Refusal refusal, std::string sku_id = "") {
  return CartRefused{Refused{.refusal = refusal}, std::move(sku_id)};
}

CartRefused ReusedAt(const storage::ReservationClaim& line) {
  return CartRefused{Refused{.refusal = Refusal::kReservationIdReused}, "", line.reservation_id};
}

bool BelongsTo(storage::IncarnationId incarnation, const std::shared_ptr<Slice>& slice) {
  return slice != nullptr && slice->incarnation() == incarnation;
}

bool IsNew(const storage::CartResult& result) {
  return result.committed && result.lines.front().outcome == CommitOutcome::kCreated;
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

// A cart in the waiting room.
class CartSeller::WaitingCart : public Waiter {
 public:
  WaitingCart(CartSeller* seller, CartPtr cart) : seller_(seller), cart_(std::move(cart)) {}

  bool TryToGo(absl::Time now, NewDemand& demand) override {
    if (MustWaitOn(now, demand)) return false;
    seller_->Refresh(*cart_);
    refused_ = RefusedByTerms(*cart_, now);
    while (!refused_.has_value()) {
      if (seller_->TakeAll(*cart_)) return true;
      refused_ = Missing(*cart_);  // nothing, if others took the units and gave them back in this moment
    }
    if (IsFinal(refused_->refused)) return true;
    NoteDemand(*cart_, demand);
    const bool moves = sku_id().empty() || !storage::Mutated(storage::Mutation::kCartStaysInItsLine);
    if (moves) WaitFor(refused_->sku_id);
    return false;
  }

  void GoOn() override {
    if (refused_.has_value()) return seller_->Refuse(cart_, *std::move(refused_));
    seller_->Commit(cart_);
  }
  void GiveUp() override { seller_->RefuseInVain(cart_, *std::move(refused_)); }
  void SendAway() override { cart_->done(RefusedAs(Refusal::kDraining)); }
  int64_t wanted() const override { return cart_->wants.at(sku_id()).units; }

 private:
  // The SKU that it waits for is looked at first, since many may wait for the same one. At the end of its time, what
  // became of the others counts, too: it is told that one of them is sold out, if one is.
  bool MustWaitOn(absl::Time now, NewDemand& demand) const {
    if (sku_id().empty() || now >= wait_until()) return false;
    const std::shared_ptr<Slice> slice = seller_->slices_->Find(sku_id());
    const std::shared_ptr<const SkuTerms> terms = slice == nullptr ? nullptr : slice->terms();
    const int64_t units = cart_->wants.at(sku_id()).units;
    if (terms == nullptr || slice->counter().free() >= units) return false;
    if (RefuseByTerms(*terms, units, now).has_value() || IsFinal(OutOfUnits(*terms, units))) return false;
    demand.Note(slice, units);
    return true;
  }

  CartSeller* const seller_;
  const CartPtr cart_;
  std::optional<CartRefused> refused_;  // of the last try; nullopt: it has its units
};

CartSeller::~CartSeller() { room_->SetOpen(false); }

void CartSeller::Sell(std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist, CartDone done,
                      std::vector<Visitor> visitors) {
  CHECK(visitors.empty() || visitors.size() == lines.size());
  auto cart =
      std::make_shared<Cart>(Cart{std::move(lines), deadline, may_exist, std::move(done), {}, {}, std::move(visitors)});
  for (const storage::ReservationClaim& line : cart->lines) cart->wants[line.sku_id].units += line.quantity;
  Start(cart);
}

void CartSeller::Start(const CartPtr& cart) {
  if (!accepting_.load(std::memory_order_relaxed)) return cart->done(RefusedAs(Refusal::kDraining));
  Resolve(cart, cart->wants.begin());
}

void CartSeller::Resolve(const CartPtr& cart, Wants::iterator want) {
  for (; want != cart->wants.end(); ++want) {
    const std::string& sku_id = want->first;
    want->second.slice = slices_->Find(sku_id);
    const auto terms = want->second.slice == nullptr ? nullptr : want->second.slice->terms();
    // As in Seller::Sell: without an announcement the ledger is asked.
    const bool known = terms != nullptr && want->second.slice->counter().version() != 0;
    if (!known && !GoesElsewhere(sku_id, terms.get(), *cart)) break;
    want->second.terms = *terms;
  }
  if (want == cart->wants.end()) return SellHere(cart);
  directory_->Lookup(want->first, [this, cart, want](const SkuDirectory::Found& found) {
    const std::string& sku_id = want->first;
    if (!found.ok()) return cart->done(RefusedAs(RefusalOf(found.status()), sku_id));
    if (!found->has_value()) return cart->done(RefusedAs(Refusal::kSkuNotFound, sku_id));
    want->second.terms = (*found)->terms;
    // Null before the first incarnation.
    want->second.slice = slices_->FindOrAdd(sku_id);
    if (Slice* slice = want->second.slice.get(); slice != nullptr) {
      if (slice->counter().version() == 0 || slice->terms() == nullptr) slice->OfferTerms((*found)->terms);
    }
    Resolve(cart, std::next(want));
  });
}

void CartSeller::Refresh(Cart& cart) {
  for (auto& [sku_id, want] : cart.wants) {
    want.slice = slices_->Find(sku_id);
    if (want.slice == nullptr) want.slice = slices_->FindOrAdd(sku_id);
    if (want.slice == nullptr) continue;  // before the first incarnation
    if (const auto terms = want.slice->terms(); terms != nullptr) {
      want.terms = *terms;
    } else {
      want.slice->OfferTerms(want.terms);
    }
  }
}

void CartSeller::SellHere(const CartPtr& cart) {
  // Draining may have begun while a SKU was looked up.
  if (!accepting_.load(std::memory_order_relaxed)) return cart->done(RefusedAs(Refusal::kDraining));
  if (auto refused = RefusedByTerms(*cart, clock_->Now())) return Refuse(cart, *std::move(refused));
  const std::optional<CartRefused> missing = Missing(*cart);
  if (missing.has_value() && IsFinal(missing->refused)) return RefuseAsShort(cart, *missing);
  if (!LetIn(cart)) return;
  if (diversion_ != nullptr && Divert(cart)) return;
  if (!missing.has_value() && TakeAllOrServe(*cart)) return Commit(cart);
  if (!WasShort(*cart)) return EnterRoom(cart);
  // As in Seller::WaitForUnits: asked before it is demand.
  FindShortage(cart, cart->wants.begin(), [this, cart](std::optional<CartRefused> shortage) {
    if (shortage.has_value()) return RefuseAsShort(cart, *std::move(shortage));
    EnterRoom(cart);
  });
}

bool CartSeller::LetIn(const CartPtr& cart) {
  if (gate_ == nullptr || cart->let_in || !gate_->closed_to_some()) return true;
  const GateVerdict verdict = AskGate(*cart);
  if (verdict.refused.has_value()) {
    // Who is denied is denied everything, and a mode limits everything: no SKU is at fault.
    const Refusal refusal = verdict.refused->refusal;
    const bool of_no_line = refusal == Refusal::kDenied || refusal == Refusal::kServiceLimited;
    Refuse(cart, CartRefused{*verdict.refused, of_no_line ? "" : cart->lines.at(verdict.line).sku_id});
    return false;
  }
  cart->let_in = true;
  if (verdict.wait <= absl::ZeroDuration()) return true;
  WaitAtGate(cart, verdict.wait);
  return false;
}

GateVerdict CartSeller::AskGate(const Cart& cart) {
  const Visitor unknown;
  std::vector<GateLine> lines;
  lines.reserve(cart.lines.size());
  for (size_t i = 0; i < cart.lines.size(); ++i) {
    lines.push_back({&cart.lines[i], cart.visitors.empty() ? &unknown : &cart.visitors[i]});
  }
  return gate_->Check(lines, clock_->Now(), cart.deadline);
}

// As in Seller::WaitAtGate.
void CartSeller::WaitAtGate(const CartPtr& cart, absl::Duration wait) {
  const bool parked = gate_->Park(wait, [this, cart] {
    if (clock_->Now() < cart->deadline) return Start(cart);
    Refuse(cart, RefusedAs(Refusal::kDeadlinePassed));
  });
  if (!parked) cart->done(RefusedAs(Refusal::kDraining));
}

bool CartSeller::GoesElsewhere(const std::string& sku_id, const SkuTerms* terms, const Cart& cart) const {
  if (diversion_ == nullptr || terms == nullptr || !terms->announced) return false;
  return diversion_->WayOf(sku_id, *terms, AcceptsQueued(cart)) != ClaimDiversion::Way::kSell;
}

bool CartSeller::Divert(const CartPtr& cart) {
  std::optional<std::string> queued;
  for (const auto& [sku_id, want] : cart->wants) {
    const ClaimDiversion::Way way = diversion_->WayOf(sku_id, want.terms, AcceptsQueued(*cart));
    if (way == ClaimDiversion::Way::kRefuse) {
      Refuse(cart, RefusedAs(Refusal::kClaimsAreQueued, sku_id));
      return true;
    }
    if (way != ClaimDiversion::Way::kQueue) continue;
    if (want.slice != nullptr) slices_->NoteDiverted(*want.slice, want.units);
    if (!queued.has_value()) queued = sku_id;
  }
  if (!queued.has_value()) return false;
  Queue(cart, *queued);
  return true;
}

void CartSeller::Queue(const CartPtr& cart, const std::string& sku_id) {
  const SkuTerms& terms = cart->wants.at(sku_id).terms;
  diversion_->Queue(cart->lines, /*cart=*/true, sku_id, terms, cart->deadline,
                    [this, cart, sku_id](std::variant<Queued, Refused> answer) {
                      if (auto* queued = std::get_if<Queued>(&answer)) return cart->done(std::move(*queued));
                      Refuse(cart, CartRefused{std::get<Refused>(std::move(answer)), sku_id});
                    });
}

void CartSeller::EnterRoom(const CartPtr& cart) {
  room_->Enter(std::make_unique<WaitingCart>(this, cart), cart->deadline);
}

bool CartSeller::MayBeShort(const Want& want) {
  const bool missing = want.slice == nullptr || want.slice->counter().free() < want.units;
  return missing && MayLackUnannounced(want.terms, want.units);
}

bool CartSeller::WasShort(const Cart& cart) const {
  for (const auto& [sku_id, want] : cart.wants) {
    if (MayBeShort(want) && directory_->LastSawFewerThan(sku_id, want.units)) return true;
  }
  return false;
}

void CartSeller::FindShortage(const CartPtr& cart, Wants::iterator want, ShortageDone done) {
  while (want != cart->wants.end() && !MayBeShort(want->second)) ++want;
  if (want == cart->wants.end()) return done(std::nullopt);
  directory_->Lookup(want->first, [this, cart, want, done = std::move(done)](const SkuDirectory::Found& found) mutable {
    if (const std::optional<Refused> too_few = TooFew(found, want->second.units)) {
      return done(CartRefused{*too_few, want->first});
    }
    FindShortage(cart, std::next(want), std::move(done));
  });
}

std::optional<CartRefused> CartSeller::RefusedByTerms(Cart& cart, absl::Time now) {
  // One transaction works on one shard.
  cart.shard = cart.wants.begin()->second.terms.shard;
  for (const auto& [sku_id, want] : cart.wants) {
    if (want.terms.shard != cart.shard) return RefusedAs(Refusal::kCartSpansShards, sku_id);
  }
  for (const auto& [sku_id, want] : cart.wants) {
    if (const auto refused = RefuseByTerms(want.terms, want.units, now)) return CartRefused{*refused, sku_id};
  }
  return std::nullopt;
}

storage::IncarnationId CartSeller::IncarnationOf(const Cart& cart) {
  storage::IncarnationId newest = storage::kPool;
  for (const auto& [_, want] : cart.wants) {
    if (want.slice != nullptr) newest = std::max(newest, want.slice->incarnation());
  }
  return newest;
}

std::optional<CartRefused> CartSeller::Missing(const Cart& cart) {
  const storage::IncarnationId incarnation = IncarnationOf(cart);
  std::optional<CartRefused> first;
  for (const auto& [sku_id, want] : cart.wants) {
    if (BelongsTo(incarnation, want.slice) && want.slice->counter().free() >= want.units) continue;
    const CartRefused missing{OutOfUnits(want.terms, want.units), sku_id};
    if (IsFinal(missing.refused)) return missing;
    if (!first.has_value()) first = missing;
  }
  return first;
}

bool CartSeller::TakeAll(Cart& cart) {
  const storage::IncarnationId incarnation = IncarnationOf(cart);
  for (auto& [_, want] : cart.wants) {
    Grant grant;
    if (BelongsTo(incarnation, want.slice) && TryGrant(want.slice, want.units, &grant)) {
      want.grant = std::move(grant);
      continue;
    }
    if (!storage::Mutated(storage::Mutation::kCartKeepsItsUnits)) SettleAll(cart, absl::CancelledError("not sent"));
    return false;
  }
  return true;
}

bool CartSeller::TakeAllOrServe(Cart& cart) {
  if (TakeAll(cart)) return true;
  // Others were faster. What was taken and given back may be missed by who waits.
  for (const auto& [sku_id, _] : cart.wants) room_->Serve(sku_id);
  return false;
}

// Every SKU of which units are missing, not only the first, so that units of all of them are on their way at once.
void CartSeller::NoteDemand(Cart& cart, NewDemand& demand) {
  for (auto& [_, want] : cart.wants) {
    if (want.slice == nullptr || want.slice->counter().free() >= want.units) continue;
    if (!want.denied) want.slice->CountDenied(want.units);
    want.denied = true;
    demand.Note(want.slice, want.units);
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
  // As in Seller::Commit: not after an error.
  const bool gave_back = result.ok() && !IsNew(*result);
  CartSale answer = AnswerOf(*cart, std::move(result), clock_->Now());
  const auto* const refused = std::get_if<CartRefused>(&answer);
  if (refused != nullptr && cart->may_exist && MayBeQueued(*cart)) {
    NoteRefused(books_, cart, *refused);
  } else {
    cart->done(std::move(answer));
  }
  for (const auto& [sku_id, want] : cart->wants) {
    if (gave_back && want.slice->counter().free() > 0) room_->Serve(sku_id);
  }
  absl::MutexLock lock(&mutex_);
  --unanswered_;
}

CartSale CartSeller::AnswerOf(const Cart& cart, absl::StatusOr<storage::CartResult> result, absl::Time now) {
  if (!result.ok()) return RefusedAs(RefusalOf(result.status(), cart.may_exist));
  if (result->committed) {
    CartSold sold;
    for (CommitResult& line : result->lines) sold.reservations.push_back(std::move(line.reservation));
    sold.replayed = !IsNew(*result);
    return sold;
  }
  for (size_t i = 0; i < cart.lines.size(); ++i) {
    const CommitResult& line = result->lines[i];
    if (line.outcome == CommitOutcome::kCreated || line.outcome == CommitOutcome::kReplayed) continue;
    const std::string& sku_id = cart.lines[i].sku_id;
    const Want& want = cart.wants.at(sku_id);
    CartRefused refused{RefusedByLedger(line, &want.terms, want.units, now), sku_id};
    if (RefusalOf(line) == Refusal::kReservationIdReused) refused.reservation_id = cart.lines[i].reservation_id;
    return refused;
  }
  // A line was reserved before, and another was not: it belongs to another cart, or to a single claim.
  const auto before =
      absl::c_find_if(result->lines, [](const CommitResult& line) { return line.outcome == CommitOutcome::kReplayed; });
  return ReusedAt(cart.lines[before - result->lines.begin()]);
}

void CartSeller::SettleAll(Cart& cart, const absl::StatusOr<storage::CartResult>& result) {
  for (auto& [sku_id, want] : cart.wants) {
    if (!want.grant.has_value()) continue;
    const absl::StatusOr<CommitResult> verdict =
        result.ok() ? absl::StatusOr<CommitResult>(VerdictFor(sku_id, cart.lines, *result)) : result.status();
    Settle(*want.grant, *slices_, verdict);
    if (IsShort(verdict)) room_->NoteShort(want.slice, verdict->slice_version, want.units);
    want.grant.reset();
  }
}

void CartSeller::RefuseAsShort(const CartPtr& cart, CartRefused refused) {
  const Want& want = cart->wants.at(refused.sku_id);
  if (want.slice != nullptr) {
    want.slice->CountRefused(want.units);
    room_->NoteRefused(want.slice, want.terms, want.units);
  }
  Refuse(cart, std::move(refused));
}

void CartSeller::RefuseInVain(const CartPtr& cart, CartRefused exhausted) {
  // At its deadline nobody hears the answer any more.
  if (clock_->Now() >= cart->deadline) return Refuse(cart, std::move(exhausted));
  FindShortage(cart, cart->wants.begin(),
               [this, cart, exhausted = std::move(exhausted)](std::optional<CartRefused> shortage) {
                 if (shortage.has_value()) return Refuse(cart, *std::move(shortage));
                 // Units may have come while the ledger was asked, and have woken nobody.
                 Refresh(*cart);
                 const bool all_here = !RefusedByTerms(*cart, clock_->Now()).has_value() && !Missing(*cart).has_value();
                 if (all_here && TakeAllOrServe(*cart)) return Commit(cart);
                 Refuse(cart, exhausted);
               });
}

void CartSeller::Refuse(const CartPtr& cart, CartRefused refused) {
  const bool at_no_shard = refused.refused.refusal == Refusal::kCartSpansShards;
  if (!cart->may_exist || at_no_shard) return cart->done(std::move(refused));
  std::vector<storage::Uuid> ids;
  for (const storage::ReservationClaim& line : cart->lines) ids.push_back(line.reservation_id);
  books_->FindReplicated(
      cart->shard, std::move(ids), cart->deadline,
      [books = books_, cart, refused = std::move(refused),
       may_be_queued = MayBeQueued(*cart)](absl::StatusOr<std::vector<storage::Reservation>> found) mutable {
        // A consumer may have noted the refusal of some lines.
        const bool undecided =
            found.ok() && found->size() < cart->lines.size() &&
            absl::c_all_of(*found, [](const storage::Reservation& one) { return storage::RefusalOf(one).has_value(); });
        if (undecided && may_be_queued) return NoteRefused(books, cart, std::move(refused));
        cart->done(FoundAs(*cart, refused, std::move(found)));
      });
}

bool CartSeller::MayBeQueued(const Cart& cart) const {
  if (diversion_ == nullptr || !AcceptsQueued(cart)) return false;
  return diversion_->MayHaveQueued() || absl::c_any_of(cart.wants, [](const auto& want) {
           return want.second.terms.claim_path != storage::ClaimPath::kDirect;
         });
}

// As in Seller.
void CartSeller::NoteRefused(storage::Books* books, const CartPtr& cart, CartRefused refused) {
  if (IsOpenInQueue(cart->shard, refused.refused)) return cart->done(RefusedAs(Refusal::kCommitUnknown));
  if (!MustBeNoted(cart->shard, refused.refused)) return cart->done(std::move(refused));
  std::vector<storage::ClaimRefusal> batch;
  batch.reserve(cart->lines.size());
  for (const storage::ReservationClaim& line : cart->lines) {
    batch.push_back({.claim = line, .refusal = refused.refused.refusal});
  }
  books->RefuseClaims(cart->shard, std::move(batch), cart->deadline,
                      [cart, refused = std::move(refused)](absl::StatusOr<std::vector<storage::RefuseResult>> results) {
                        if (!results.ok() || results->size() != cart->lines.size()) {
                          return cart->done(RefusedAs(RefusalNotNoted(results.status())));
                        }
                        cart->done(NotedAs(*cart, refused, *std::move(results)));
                      });
}

CartSale CartSeller::NotedAs(const Cart& cart, const CartRefused& refused, std::vector<storage::RefuseResult> results) {
  const auto is_sold = [](const storage::RefuseResult& one) { return one.outcome == storage::RefuseOutcome::kSold; };
  if (absl::c_all_of(results, is_sold)) {
    CartSold sold{{}, /*replayed=*/true};
    for (storage::RefuseResult& one : results) sold.reservations.push_back(std::move(one.reservation));
    return sold;
  }
  std::optional<CartRefused> first;
  for (size_t i = 0; i < results.size(); ++i) {
    // Sold alone: to a single claim, or with another cart.
    if (is_sold(results[i])) return ReusedAt(cart.lines[i]);
    const Refused noted = RefusedAsNoted(results[i], refused.refused);
    if (noted.refusal == Refusal::kReservationIdReused) return ReusedAt(cart.lines[i]);
    if (noted.refusal == Refusal::kCommitUnknown) return RefusedAs(Refusal::kCommitUnknown);
    const bool other = noted.refusal != refused.refused.refusal;
    if (other && !first.has_value()) first = CartRefused{noted, cart.lines[i].sku_id};
  }
  return first.value_or(refused);
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
    if (one == by_id.end() || !IsOf(one->second, line)) return ReusedAt(line);
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
