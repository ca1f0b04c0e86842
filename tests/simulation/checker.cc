#include "tests/simulation/checker.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "storage/ledger/claim_refusal.h"

namespace tranche::simulation {
namespace {

using storage::CommitOutcome;
using storage::HeldSlice;
using storage::IncarnationId;
using storage::QuotaSnapshot;
using storage::Refusal;

const HeldSlice* Find(const QuotaSnapshot& quota, IncarnationId holder) {
  for (const HeldSlice& slice : quota.slices) {
    if (slice.holder == holder) return &slice;
  }
  return nullptr;
}

int64_t Total(const QuotaSnapshot& quota) {
  int64_t total = 0;
  for (const HeldSlice& slice : quota.slices) total += slice.remaining;
  return total;
}

// Is `b` the reservation `a`, perhaps later in its life?
bool SameReservation(const storage::Reservation& a, const storage::Reservation& b) {
  // LifeChecker knows what may change the end.
  const bool same_end = a.expires_at == b.expires_at || a.revision < b.revision;
  return a.reservation_id == b.reservation_id && a.sku_id == b.sku_id && a.user_id == b.user_id &&
         a.quantity == b.quantity && a.amount_minor == b.amount_minor && a.currency == b.currency &&
         a.created_at == b.created_at && same_end && a.revision <= b.revision;
}

}  // namespace

Checker::Checker(storage::FakeLedger* ledger, Scheduler* scheduler, Trace* trace)
    : ledger_(ledger), scheduler_(scheduler), trace_(trace) {}

void Checker::Violated(std::string rule, std::string detail) {
  if (violation_.has_value()) return;
  violation_ = Violation{std::move(rule), std::move(detail)};
  scheduler_->Stop();
}

QuotaSnapshot Checker::Update(SkuBooks& books) {
  QuotaSnapshot before = books.quota;
  auto read = ledger_->ReadQuota(before.sku_id);
  if (!read.ok()) {
    Violated("harness", absl::StrCat("cannot read the quota: ", read.status().message()));
    return before;
  }
  books.quota = *std::move(read);
  const int64_t total = Total(books.quota);
  if (total + books.reserved != books.stock) {
    Violated("conservation", absl::StrCat(before.sku_id, ": unsold ", total, " + reserved ", books.reserved,
                                          " is not the stock ", books.stock));
  }
  for (const HeldSlice& slice : books.quota.slices) {
    if (slice.remaining < 0) Violated("conservation", absl::StrCat(before.sku_id, ": a slice has less than nothing"));
    const HeldSlice* const was = Find(before, slice.holder);
    const int64_t more = slice.remaining - (was == nullptr ? 0 : was->remaining);
    if (more > 0 && slice.holder != storage::kPool && !live_.contains(slice.holder)) {
      Violated("ownership", absl::StrCat(before.sku_id, ": units for the ended incarnation ", slice.holder));
    }
    // The pool's slice is announced to nobody; units that come back to the pool do not change other slices.
    const bool announced = was != nullptr && slice.holder != storage::kPool;
    if (announced && was->allotted != slice.allotted && slice.version <= was->version) {
      Violated("versions", absl::StrCat(before.sku_id, ": a slice changed and its version did not grow"));
    }
  }
  NoteShortages(books, total);
  return before;
}

void Checker::NoteShortages(SkuBooks& books, int64_t unsold) {
  for (int64_t quantity = 1; quantity <= books.per_user_limit; ++quantity) {
    Shortage& shortage = books.shortages[quantity];
    if (unsold < quantity) {
      shortage.last = absl::InfiniteFuture();
    } else if (shortage.last == absl::InfiniteFuture()) {
      shortage = {.last = scheduler_->Now(), .ended_by_return = false};
    }
  }
}

void Checker::OnSkuCreated(const storage::Sku& sku) {
  SkuBooks& books = books_[sku.sku_id];
  books.number = static_cast<int64_t>(books_.size()) - 1;
  books.stock = sku.stock;
  books.per_user_limit = sku.per_user_limit;
  books.paused = sku.paused;
  books.price_minor = sku.price_minor;
  books.quota.sku_id = sku.sku_id;
  // Created again: there were none until now, and nodes may know the earlier one.
  for (int32_t quantity = 1; lost_skus_.contains(sku.sku_id) && quantity <= sku.per_user_limit; ++quantity) {
    books.shortages[quantity].last = absl::InfiniteFuture();
  }
  Update(books);
}

void Checker::OnCommit(ActorId actor, IncarnationId incarnation, absl::Span<const storage::ReservationClaim> claims,
                       absl::Span<const storage::CommitResult> results) {
  std::map<std::string, int64_t> created;
  for (size_t i = 0; i < claims.size(); ++i) {
    const auto books = books_.find(claims[i].sku_id);
    if (books == books_.end()) continue;
    ++tries_[claims[i].reservation_id].sent;
    trace_->Add(scheduler_->Now(), actor, "commit: sku, units, outcome", books->second.number, claims[i].quantity,
                static_cast<int64_t>(results[i].outcome));
    // A row of a claim that was refused for good is the ClaimChecker's.
    const bool replayed = results[i].outcome == CommitOutcome::kReplayed;
    if (replayed && !storage::RefusalOf(results[i].reservation).has_value()) CheckReplay(results[i].reservation);
    if (results[i].outcome != CommitOutcome::kCreated) continue;
    CheckCreated(books->second, claims[i], results[i]);
    created[claims[i].sku_id] += claims[i].quantity;
  }
  for (const auto& [sku_id, units] : created) {
    SkuBooks& books = books_.at(sku_id);
    books.reserved += units;
    const QuotaSnapshot before = Update(books);
    CheckSpent(books, before, incarnation, units);
  }
  for (size_t i = 0; i < claims.size(); ++i) {
    if (results[i].refusal == Refusal::kUserLimitReached) CheckUserLimit(claims[i]);
  }
}

void Checker::OnCartRefused(absl::Span<const storage::ReservationClaim> lines) {
  for (const storage::ReservationClaim& line : lines) {
    ++tries_[line.reservation_id].sent;
    const auto row = ledger_->FindReservation(line.reservation_id);
    // The lines of a queued cart are refused for good one after the other: a row, and nothing booked.
    if (Exists(line.reservation_id) || !row.ok() || storage::RefusalOf(*row).has_value()) continue;
    Violated("cart", absl::StrCat(line.reservation_id.ToString(), ": booked, and the rest of its cart is not"));
  }
}

void Checker::CheckUserLimit(const storage::ReservationClaim& claim) {
  const auto books = books_.find(claim.sku_id);
  if (books == books_.end()) return;
  const auto units = books->second.units_by_user.find(claim.user_id);
  if (units == books->second.units_by_user.end() || units->second + claim.quantity <= books->second.per_user_limit) {
    Violated("user limit", absl::StrCat(claim.reservation_id.ToString(), ": refused although the limit leaves room"));
  }
}

void Checker::CheckCreated(SkuBooks& books, const storage::ReservationClaim& claim,
                           const storage::CommitResult& result) {
  const auto violated = [&](const char* rule, absl::string_view detail) {
    Violated(rule, absl::StrCat(claim.reservation_id.ToString(), " of ", claim.sku_id, ": ", detail));
  };
  if (!reservations_.emplace(claim.reservation_id, result.reservation).second) violated("replay", "inserted twice");
  const Tries& tries = tries_[claim.reservation_id];
  if (tries.open == 0 && !tries.lost && !tries.unknown) {
    violated("one answer", "created after every try was answered with 'nothing happened'");
  }
  int64_t& units = books.units_by_user[claim.user_id];
  units += claim.quantity;
  if (units > books.per_user_limit) violated("user limit", absl::StrCat("the buyer has ", units));
  if (books.paused) violated("paused", "sold while the sale is paused");
  const int64_t amount = result.reservation.amount_minor;
  const bool at_own_price = claim.group == nullptr;  // otherwise at an offer's, which GroupChecker knows
  if (at_own_price && amount != books.price_minor * claim.quantity) {
    violated("price", absl::StrCat("sold for ", amount));
  }
}

void Checker::CheckSpent(const SkuBooks& books, const QuotaSnapshot& before, IncarnationId incarnation, int64_t units) {
  if (!live_.contains(incarnation)) {
    Violated("ownership", absl::StrCat(before.sku_id, ": created for the ended incarnation ", incarnation));
  }
  for (const HeldSlice& was : before.slices) {
    const HeldSlice* const is = Find(books.quota, was.holder);
    const int64_t spent = was.remaining - (is == nullptr ? 0 : is->remaining);
    const int64_t expected = was.holder == incarnation ? units : 0;
    if (spent == expected && is != nullptr && is->allotted == was.allotted) continue;
    Violated("ownership", absl::StrCat(before.sku_id, ": a commit of incarnation ", incarnation, " over ", units,
                                       " units took ", spent, " from ", was.holder));
  }
}

void Checker::OnTaken(ActorId actor, const storage::PoolRequest& request, const storage::PoolTake& take) {
  SkuBooks& books = books_.at(request.sku_id);
  const QuotaSnapshot before = Update(books);
  const auto violated = [&](absl::string_view what) {
    Violated("pool", absl::StrCat(request.sku_id, ": incarnation ", request.incarnation, " ", what));
  };
  if (take.ended && live_.contains(request.incarnation)) violated("is told that it has ended, and has not");
  if (take.taken != 0 && take.taken < request.wanted) violated("got fewer units than are of use to it");
  if (take.taken != 0 && take.ended) violated("has ended, and got units");
  if (take.taken != 0 && (take.sku.closed || take.sku.quota_frozen)) violated("got units of a SKU that stands still");
  if (take.taken > 0 && take.slice.version <= before.quota_version) violated("got units without a new version");
  for (const HeldSlice& is : books.quota.slices) {
    const HeldSlice* const was = Find(before, is.holder);
    const int64_t gained = is.remaining - (was == nullptr ? 0 : was->remaining);
    const int64_t expected = is.holder == request.incarnation ? take.taken
                             : is.holder == storage::kPool    ? -take.taken
                                                              : 0;
    if (gained != expected) violated(absl::StrCat("changed what ", is.holder, " has by ", gained));
  }
  moves_ += take.taken > 0 ? 1 : 0;
  ++pool_requests_;
  trace_->Add(scheduler_->Now(), actor, "taken: sku, units, version", books.number, take.taken, take.slice.version);
}

void Checker::OnMoved(ActorId actor, bool automatic, absl::Span<const storage::QuotaMove> moves,
                      absl::Span<const absl::StatusOr<storage::SkuQuota>> results) {
  for (size_t i = 0; i < moves.size(); ++i) {
    if (!results[i].ok()) continue;
    SkuBooks& books = books_.at(moves[i].sku_id);
    const QuotaSnapshot before = Update(books);
    if (moves[i].expected_quota_version.value_or(before.quota_version) != before.quota_version) {
      Violated("expected version", absl::StrCat(before.sku_id, ": moved on old information"));
    }
    // A version that the ledger gives again after a loss is no longer a sign that nothing has changed.
    const bool planned = automatic && moves[i].expected_quota_version.has_value();
    if (planned && !history_broke_off_) CheckPlan(moves[i], before);
    int64_t moved = 0;
    for (const HeldSlice& is : books.quota.slices) {
      const HeldSlice* const was = Find(before, is.holder);
      const int64_t spent_before = was == nullptr ? 0 : was->allotted - was->remaining;
      if (is.allotted - is.remaining != spent_before) {
        Violated("conservation", absl::StrCat(before.sku_id, ": a move changed what ", is.holder, " has spent"));
      }
      moved += std::max<int64_t>(0, is.remaining - (was == nullptr ? 0 : was->remaining));
    }
    moves_ += moved > 0 ? 1 : 0;
    trace_->Add(scheduler_->Now(), actor, "moved: sku, units, version", books.number, moved, books.quota.quota_version);
  }
}

void Checker::CheckPlan(const storage::QuotaMove& move, const QuotaSnapshot& before) {
  int64_t asked = 0;
  for (const storage::QuotaDelta& delta : move.deltas) asked += delta.units;
  const HeldSlice* const pool = Find(before, storage::kPool);
  if (pool == nullptr || asked <= pool->remaining) return;
  Violated("exact plans",
           absl::StrCat(before.sku_id, ": ", asked, " units planned out of a pool of ", pool->remaining));
}

void Checker::OnAnnounced(ActorId actor, const std::string& path, int64_t version) {
  int64_t& announced = announced_[path];
  if (version < announced) Violated("versions", absl::StrCat(path, ": ", version, " was written over ", announced));
  announced = version;
}

void Checker::OnStock(ActorId actor, const storage::Sku& sku, int64_t units) {
  SkuBooks& books = books_.at(sku.sku_id);
  trace_->Add(scheduler_->Now(), actor, "stock: sku, change", books.number, units);
  books.stock += units;
  books.frozen = sku.quota_frozen;
  books.paused = sku.paused;
  books.price_minor = sku.price_minor;
  Update(books);
}

void Checker::OnReturned(ActorId actor, absl::Span<const storage::Reservation> lapsed) {
  std::map<std::string, int64_t> returned;
  for (const storage::Reservation& reservation : lapsed) {
    SkuBooks& books = books_.at(reservation.sku_id);
    books.reserved -= reservation.quantity;
    books.units_by_user[reservation.user_id] -= reservation.quantity;
    returned[reservation.sku_id] += reservation.quantity;
  }
  for (const auto& [sku_id, units] : returned) {
    SkuBooks& books = books_.at(sku_id);
    const std::map<int64_t, Shortage> shortages = books.shortages;
    const QuotaSnapshot before = Update(books);
    for (auto& [quantity, shortage] : books.shortages) {
      if (shortages.at(quantity).last == absl::InfiniteFuture()) shortage.ended_by_return = true;
    }
    CheckReturned(books, before, units);
    trace_->Add(scheduler_->Now(), actor, "returned: sku, units, version", books.number, units,
                books.quota.quota_version);
  }
}

void Checker::CheckReturned(const SkuBooks& books, const QuotaSnapshot& before, int64_t units) {
  for (const HeldSlice& was : before.slices) {
    const HeldSlice* const is = Find(books.quota, was.holder);
    const int64_t came = is == nullptr ? -1 : is->remaining - was.remaining;
    if (came == (was.holder == storage::kPool ? units : 0)) continue;
    Violated("returned",
             absl::StrCat(before.sku_id, ": of ", units, " units that came back, ", came, " went to ", was.holder));
  }
}

void Checker::OnRebooked(ActorId actor, const storage::Reservation& rebooked) {
  SkuBooks& books = books_.at(rebooked.sku_id);
  books.reserved += rebooked.quantity;
  int64_t& units = books.units_by_user[rebooked.user_id];
  units += rebooked.quantity;
  if (units > books.per_user_limit) {
    Violated("user limit", absl::StrCat(rebooked.reservation_id.ToString(), ": the buyer has ", units));
  }
  if (books.paused) Violated("paused", absl::StrCat(rebooked.reservation_id.ToString(), ": booked again while paused"));
  Update(books);
  trace_->Add(scheduler_->Now(), actor, "rebooked: sku, units, version", books.number, rebooked.quantity,
              books.quota.quota_version);
}

void Checker::OnRegistered(ActorId actor, IncarnationId incarnation) {
  trace_->Add(scheduler_->Now(), actor, "registered", incarnation);
  if (!live_.insert(incarnation).second) Violated("ownership", "an incarnation's number was given twice");
  // A ledger that was restored may have given it before.
  std::erase_if(applied_, [&](const auto& entry) { return entry.first.first == incarnation; });
  std::erase_if(lost_units_, [&](const auto& entry) { return entry.first.first == incarnation; });
}

void Checker::OnReclaimed(ActorId actor, IncarnationId incarnation) {
  if (live_.erase(incarnation) == 0) return;
  trace_->Add(scheduler_->Now(), actor, "reclaimed", incarnation);
  for (auto& [sku_id, books] : books_) {
    if (Find(books.quota, incarnation) == nullptr) continue;
    Update(books);
    if (Find(books.quota, incarnation) != nullptr) Violated("ownership", "a reclaimed incarnation still holds a slot");
  }
}

Checker::Past Checker::Save() const { return {books_, live_, reservations_}; }

void Checker::GoBack(const Past& past) {
  for (const auto& [id, reservation] : reservations_) {
    if (!past.reservations.contains(id)) lost_.insert(id);
  }
  const std::map<std::string, SkuBooks> lost = std::exchange(books_, past.books);
  live_ = past.live;
  reservations_ = past.reservations;
  history_broke_off_ = true;
  broke_off_at_ = scheduler_->Now();
  for (const auto& [sku_id, books] : lost) {
    if (!books_.contains(sku_id)) lost_skus_.insert(sku_id);
  }
  for (auto& [sku_id, books] : books_) {
    // When units were short is told by what was, not by what the ledger remembers.
    if (const auto was = lost.find(sku_id); was != lost.end()) books.shortages = was->second.shortages;
    Update(books);
  }
}

void Checker::OnHistoryBegun(ActorId actor, IncarnationId first) {
  trace_->Add(scheduler_->Now(), actor, "begins a new history", first);
  history_broke_off_ = false;
  first_of_history_ = first;
}

std::set<IncarnationId> Checker::LiveFromBefore() const {
  std::set<IncarnationId> live;
  for (const IncarnationId incarnation : live_) {
    if (IsFromBefore(incarnation)) live.insert(incarnation);
  }
  return live;
}

void Checker::OnCommitUnknown(IncarnationId incarnation, absl::Span<const storage::ReservationClaim> claims) {
  for (const storage::ReservationClaim& claim : claims) {
    if (Exists(claim.reservation_id)) lost_units_[{incarnation, claim.sku_id}] += claim.quantity;
  }
}

void Checker::OnTryBegun(const storage::ReservationClaim& claim) { ++tries_[claim.reservation_id].open; }

void Checker::OnDecidedBefore(const storage::Uuid& reservation_id) {
  if (--tries_[reservation_id].open < 0) Violated("one answer", "answered twice");
}

void Checker::OnTryLost(const storage::Uuid& reservation_id) {
  Tries& tries = tries_[reservation_id];
  --tries.open;
  tries.lost = true;
}

void Checker::OnAnswer(ActorId actor, const storage::ReservationClaim& claim, bool may_exist, bool existed_before,
                       const quota::SaleResult& result) {
  Tries& tries = tries_[claim.reservation_id];
  if (--tries.open < 0) Violated("one answer", "answered twice");
  if (const auto* sold = std::get_if<quota::Sold>(&result)) {
    trace_->Add(scheduler_->Now(), actor, "answer: sold", claim.quantity, sold->replayed ? 1 : 0);
    tries.sold = true;
    return CheckSold(claim, *sold);
  }
  if (std::holds_alternative<quota::Queued>(result)) {
    trace_->Add(scheduler_->Now(), actor, "answer: queued", claim.quantity);
    tries.unknown = true;
    return;
  }
  const quota::Refused& refused = std::get<quota::Refused>(result);
  trace_->Add(scheduler_->Now(), actor, "answer: refused", claim.quantity, static_cast<int64_t>(refused.refusal));
  if (refused.refusal == Refusal::kCommitUnknown) {
    tries.unknown = true;
  } else {
    CheckRefused(claim, tries, may_exist, existed_before, refused);
  }
}

void Checker::OnCartAnswer(ActorId actor, absl::Span<const storage::ReservationClaim> lines, bool may_exist,
                           bool existed_before, const quota::CartSale& sale) {
  const auto* sold = std::get_if<quota::CartSold>(&sale);
  if (sold != nullptr && sold->reservations.size() != lines.size()) {
    return Violated("cart", absl::StrCat(lines.size(), " lines, and ", sold->reservations.size(), " sold"));
  }
  std::map<std::string, int32_t> units;
  for (const storage::ReservationClaim& line : lines) units[line.sku_id] += line.quantity;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (sold != nullptr) {
      OnAnswer(actor, lines[i], may_exist, existed_before, quota::Sold{sold->reservations[i], sold->replayed});
      continue;
    }
    if (const auto* queued = std::get_if<quota::Queued>(&sale); queued != nullptr) {
      OnAnswer(actor, lines[i], may_exist, existed_before, *queued);
      continue;
    }
    const auto& [refused, sku_id, _] = std::get<quota::CartRefused>(sale);
    // What is said about the units of one SKU concerns all its lines together, and says nothing about other SKUs.
    storage::ReservationClaim all = lines[i];
    all.quantity = units.at(all.sku_id);
    const bool about_units = refused.refusal == Refusal::kSoldOut || refused.refusal == Refusal::kInsufficientUnits;
    const bool concerned = !about_units || sku_id.empty() || sku_id == all.sku_id;
    OnAnswer(actor, all, may_exist, existed_before, concerned ? refused : quota::Refused{Refusal::kExhaustedHere});
  }
}

void Checker::CheckSold(const storage::ReservationClaim& claim, const quota::Sold& sold) {
  const std::string id = claim.reservation_id.ToString();
  const storage::Reservation& told = sold.reservation;
  if (told.sku_id != claim.sku_id || told.user_id != claim.user_id || told.quantity != claim.quantity) {
    return Violated("acknowledged", absl::StrCat(id, ": another reservation than the one asked for"));
  }
  const auto found = ledger_->FindReservation(claim.reservation_id);
  // An answer that was on its way when the ledger lost what it says.
  if (!found.ok() && lost_.contains(claim.reservation_id)) return;
  if (!found.ok()) return Violated("acknowledged", absl::StrCat(id, ": the buyer was told 'sold' and has no row"));
  if (!SameReservation(told, *found)) return Violated("acknowledged", absl::StrCat(id, ": not as told"));
  CheckReplay(told);
}

void Checker::CheckReplay(const storage::Reservation& again) {
  const auto first = reservations_.find(again.reservation_id);
  if (first == reservations_.end() || !SameReservation(first->second, again)) {
    Violated("replay", absl::StrCat(again.reservation_id.ToString(), ": not the first answer"));
  }
}

void Checker::CheckRefused(const storage::ReservationClaim& claim, const Tries& tries, bool may_exist,
                           bool existed_before, const quota::Refused& refused) {
  const auto violated = [&](const char* rule, absl::string_view detail) {
    Violated(rule, absl::StrCat(claim.reservation_id.ToString(), " of ", claim.sku_id, ": ", detail));
  };
  // Of two tries with one id, one may be refused and the other sold to.
  const bool nothing_else = tries.open == 0 && !tries.lost && !tries.unknown && !tries.sold;
  // What the ledger lost may come back with a standby that had it, or a backup from before the loss.
  if (nothing_else && Exists(claim.reservation_id) && !lost_.contains(claim.reservation_id)) {
    violated("one answer", absl::StrCat("refused as ", static_cast<int>(refused.refusal), " and yet committed"));
  }
  switch (refused.refusal) {
    case Refusal::kSoldOut:
    case Refusal::kInsufficientUnits:
    case Refusal::kExhaustedHere:
    case Refusal::kSaleNotOpen:
    case Refusal::kSaleClosed:
    case Refusal::kSalePaused:
    case Refusal::kUserLimitReached:
    case Refusal::kQuantityAboveUserLimit:
    case Refusal::kGroupNotFound:
    case Refusal::kGroupOver:
    case Refusal::kGroupFull:
    case Refusal::kAlreadyInGroup:
    case Refusal::kOfferNotFound:
    case Refusal::kOfferClosed:
    case Refusal::kTooManyGroups:
      // Without may_exist it is allowed: the clock of the node may be behind, or a later answer may have overtaken this
      // one.
      if (may_exist && existed_before && !lost_.contains(claim.reservation_id)) {
        violated("replay", "refused although the caller has the reservation");
      }
      break;
    case Refusal::kReservationIdReused:
      violated("replay", "nobody uses an id for two purposes here");
      break;
    default:
      break;
  }
  // Nodes speak of what the ledger has lost, until they hear of it.
  if (scheduler_->Now() < broke_off_at_ + absl::Seconds(10)) return;
  const auto found = books_.find(claim.sku_id);
  if (found == books_.end()) return;
  if (refused.refusal == Refusal::kSoldOut) CheckShortage(found->second, "sold out", 1);
  if (refused.refusal != Refusal::kInsufficientUnits) return;
  if (refused.available >= claim.quantity) violated("insufficient units", "said although there are enough");
  CheckShortage(found->second, "insufficient units", claim.quantity);
}

void Checker::CheckShortage(SkuBooks& books, const char* rule, int64_t quantity) {
  const Shortage& shortage = books.shortages[quantity];
  if (shortage.last == absl::InfinitePast()) {
    return Violated(rule, absl::StrCat(books.quota.sku_id, ": said although there always were ", quantity, " unsold"));
  }
  const absl::Duration staleness = shortage.ended_by_return ? returned_staleness_ : sold_out_staleness_;
  if (shortage.last < scheduler_->Now() - staleness) {
    Violated(rule, absl::StrCat(books.quota.sku_id, ": said although there have been ", quantity, " unsold for ",
                                absl::FormatDuration(scheduler_->Now() - shortage.last)));
  }
}

void Checker::CheckCounter(const quota::SliceTable& slices, const std::string& sku_id, bool settled) {
  const auto books = books_.find(sku_id);
  const std::shared_ptr<quota::Slice> local = slices.Find(sku_id);
  if (local == nullptr || books == books_.end()) return;
  if (IsFromBefore(local->incarnation())) {
    // It may have counted anything, but it soon ends.
    if (settled) Violated("restore", absl::StrCat("incarnation ", local->incarnation(), " has outlived its history"));
    return;
  }
  int64_t& applied = applied_[{local->incarnation(), sku_id}];
  const int64_t version = local->counter().version();
  if (version < applied) {
    Violated("versions", absl::StrCat(sku_id, ": announcement ", version, " was applied over ", applied));
  }
  applied = version;
  const HeldSlice* const slice = Find(books->second.quota, local->incarnation());
  // If the node used an older announcement than the ledger's latest, it cannot know better.
  if (slice == nullptr || slice->version != version) return;
  const auto lost = lost_units_.find({local->incarnation(), sku_id});
  const int64_t excess = lost == lost_units_.end() ? 0 : lost->second;
  const int64_t free = local->counter().free();
  if (free > slice->remaining + excess) {
    Violated("counter", absl::StrCat(sku_id, ": ", free, " free at incarnation ", slice->holder, " that has ",
                                     slice->remaining, "; lost answers explain ", excess));
  }
  if (settled && free < slice->remaining) {
    Violated("stranded",
             absl::StrCat(sku_id, ": ", free, " free at incarnation ", slice->holder, " that has ", slice->remaining));
  }
}

void Checker::VerifyLedger() {
  const auto report = ledger_->Verify("");
  if (!report.ok()) return Violated("harness", "the ledger cannot be verified");
  if (report->violations.empty()) return;
  const storage::LedgerViolation& first = report->violations.front();
  Violated(first.rule, absl::StrCat(first.sku_id, ": ", first.detail));
}

bool Checker::AnyHeldByOthersThan(const std::set<IncarnationId>& incarnations) const {
  for (const auto& [sku_id, books] : books_) {
    for (const HeldSlice& slice : books.quota.slices) {
      const bool known = slice.holder == storage::kPool || incarnations.contains(slice.holder);
      if (!known && slice.remaining > 0) return true;
    }
  }
  return false;
}

bool Checker::HasRoomFor(const storage::Reservation& lapsed) const {
  const auto books = books_.find(lapsed.sku_id);
  if (books == books_.end() || books->second.paused) return false;
  if (Total(books->second.quota) < lapsed.quantity) return false;
  const auto units = books->second.units_by_user.find(lapsed.user_id);
  const int64_t has = units == books->second.units_by_user.end() ? 0 : units->second;
  return has + lapsed.quantity <= books->second.per_user_limit;
}

bool Checker::Frozen(const std::string& sku_id) const {
  const auto books = books_.find(sku_id);
  return books != books_.end() && books->second.frozen;
}

int64_t Checker::Unsold(const std::string& sku_id) const {
  const auto books = books_.find(sku_id);
  return books == books_.end() ? 0 : Total(books->second.quota);
}

}  // namespace tranche::simulation
