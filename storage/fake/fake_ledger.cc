// The commit of reservations and the faults; fake_stock_ledger.cc and fake_quota_ledger.cc have the rest.
#include "storage/fake/fake_ledger.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "absl/container/flat_hash_set.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/claim_refusal.h"
#include "storage/ledger/ledger_error.h"
#include "storage/mutation.h"

namespace tranche::storage {
namespace {

bool IsPaused(const Sku& sku) { return sku.paused && !Mutated(Mutation::kSellsWhilePaused); }

bool IsOpen(const Sku& sku, absl::Time now) {
  return !sku.closed && !IsPaused(sku) && sku.opens_at <= now && now < sku.closes_at;
}

// Positions of the claims, smaller quantities first.
std::vector<size_t> CommitOrder(absl::Span<const ReservationClaim> claims) {
  std::vector<size_t> order(claims.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&claims](size_t a, size_t b) { return claims[a].quantity < claims[b].quantity; });
  return order;
}

absl::Status CheckDistinct(absl::Span<const ReservationClaim> claims) {
  absl::flat_hash_set<Uuid> ids;
  for (const ReservationClaim& claim : claims) {
    if (!ids.insert(claim.reservation_id).second) {
      return absl::InvalidArgumentError("reservation ids of a batch must be distinct");
    }
  }
  return absl::OkStatus();
}

bool Overlooks(const Reservation& first) {
  return Mutated(Mutation::kNoReplay) || (Mutated(Mutation::kRefusedIsSoldAgain) && RefusalOf(first).has_value());
}

bool AnyJoins(absl::Span<const ReservationClaim> claims) {
  return std::any_of(claims.begin(), claims.end(), [](const auto& claim) { return claim.group != nullptr; });
}

bool ValidUser(const std::string& user_id) { return !user_id.empty() && user_id.size() <= 128; }

}  // namespace

// PostgreSQL keeps microseconds.
absl::Time FakeLedger::DatabaseNow() const { return absl::FromUnixMicros(absl::ToUnixMicros(clock_->Now())); }

absl::Status FakeLedger::Enter() {
  ++waiting_;
  mutex_.Await(absl::Condition(
      +[](bool* blocked) { return !*blocked; }, &blocked_));
  --waiting_;
  if (fail_next_ == 0) return absl::OkStatus();
  --fail_next_;
  return NotReachedError("the fake ledger was told to fail");
}

absl::StatusOr<std::vector<CommitResult>> FakeLedger::CommitReservations(IncarnationId incarnation, LockMode mode,
                                                                         absl::Span<const ReservationClaim> claims) {
  CHECK_LE(claims.size(), static_cast<size_t>(kMaxBatch));
  absl::MutexLock lock(&mutex_);
  ++commit_calls_;
  RETURN_IF_ERROR(Enter());
  const LostCommit lost = std::exchange(lose_next_commit_, LostCommit::kNone);
  if (lost == LostCommit::kNotPerformed) return UnknownCommitError("lost, and not performed");
  auto results = AnyJoins(claims) ? Join(incarnation, mode, claims) : Commit(incarnation, mode, claims);
  if (lost == LostCommit::kPerformed) return UnknownCommitError("lost, but performed");
  return results;
}

absl::StatusOr<std::vector<CommitResult>> FakeLedger::Commit(IncarnationId incarnation, LockMode mode,
                                                             absl::Span<const ReservationClaim> claims) {
  RETURN_IF_ERROR(CheckDistinct(claims));
  return Book(incarnation, mode, claims, LockSlots(incarnation, mode, claims));
}

absl::StatusOr<std::vector<CommitResult>> FakeLedger::Book(IncarnationId incarnation, LockMode mode,
                                                           absl::Span<const ReservationClaim> claims,
                                                           const LockedSlots& locked) {
  const std::vector<size_t> order = CommitOrder(claims);
  for (const ReservationClaim& claim : claims) {
    // An invalid user fails the whole transaction, but only when the row would have been inserted.
    if (!ValidUser(claim.user_id) && Fits(claim, locked)) return absl::InvalidArgumentError("malformed user id");
  }
  std::vector<CommitResult> results(claims.size());
  std::vector<bool> created(claims.size(), false);
  for (const size_t i : order) {
    if (!Fits(claims[i], locked)) continue;
    results[i] = Insert(incarnation, claims[i], locked.at(claims[i].sku_id));
    created[i] = true;
  }
  for (size_t i = 0; i < claims.size(); ++i) {
    if (!created[i]) results[i] = Classify(claims[i], incarnation, mode, locked);
  }
  return results;
}

absl::StatusOr<std::vector<CommitResult>> FakeLedger::CommitFromPool(absl::Span<const ReservationClaim> claims,
                                                                     size_t most,
                                                                     absl::Span<const FakeOutbox::Extra> members) {
  CHECK_LE(claims.size(), static_cast<size_t>(kMaxBatch));
  CHECK_EQ(claims.size(), members.size());
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(CheckDistinct(claims));
  std::vector<CommitResult> results;
  size_t created = 0;
  for (size_t i = 0; i < claims.size() && created < most; ++i) {
    const auto found = skus_.find(claims[i].sku_id);
    LockedSlots locked;
    if (found != skus_.end()) locked[claims[i].sku_id] = {&found->second.pool()};
    ASSIGN_OR_RETURN(const auto booked, Book(kPool, LockMode::kWait, claims.subspan(i, 1), locked));
    results.push_back(booked.front());
    if (booked.front().outcome == CommitOutcome::kCreated) {
      ++created;
      // What was sold is not the pool's any more, and what is left is to be announced.
      SkuState& state = found->second;
      state.pool().allotted = state.pool().remaining;
      state.pool().version = ++state.sku.quota_version;
      ListIfPooled(state);
      returned_.insert(state.sku.sku_id);
      Tell("reservation.awarded", booked.front().reservation, {}, members[i]);
    } else if (booked.front().refusal != Refusal::kUserLimitReached) {
      break;
    }
  }
  return results;
}

FakeLedger::LockedSlots FakeLedger::LockSlots(IncarnationId incarnation, LockMode mode,
                                              absl::Span<const ReservationClaim> claims) {
  LockedSlots locked;
  for (const ReservationClaim& claim : claims) {
    const auto found = skus_.find(claim.sku_id);
    if (found == skus_.end() || locked.contains(claim.sku_id)) continue;
    auto slice = found->second.slices.find(incarnation);
    if (slice == found->second.slices.end() && Mutated(Mutation::kNoHolderCheck)) slice = found->second.slices.begin();
    if (slice == found->second.slices.end()) continue;
    std::vector<Slot*> held = slice->second;
    if (mode == LockMode::kSkipLocked) {
      held = {*std::max_element(held.begin(), held.end(),
                                [](const Slot* a, const Slot* b) { return a->remaining < b->remaining; })};
    }
    locked[claim.sku_id] = std::move(held);
  }
  return locked;
}

bool FakeLedger::Fits(const ReservationClaim& claim, const LockedSlots& locked) const {
  const auto slots = locked.find(claim.sku_id);
  if (slots == locked.end()) return false;
  const auto first = reservations_.find(claim.reservation_id);
  if (first != reservations_.end() && !Overlooks(first->second.reservation)) return false;
  const Sku& sku = skus_.at(claim.sku_id).sku;
  if (!IsOpen(sku, DatabaseNow())) return false;
  if (claim.quantity < 1 || claim.quantity > sku.per_user_limit) return false;
  const int64_t live_units = Mutated(Mutation::kNoUserLimit) ? 0 : LiveUnits(claim.sku_id, claim.user_id);
  if (live_units + claim.quantity > sku.per_user_limit) return false;
  int64_t remaining = 0;
  for (const Slot* slot : slots->second) remaining += slot->remaining;
  return claim.quantity <= remaining;
}

CommitResult FakeLedger::Insert(IncarnationId incarnation, const ReservationClaim& claim,
                                const std::vector<Slot*>& slots) {
  int64_t left = claim.quantity;
  for (Slot* slot : slots) {
    const int64_t taken = std::min(left, slot->remaining);
    slot->remaining -= taken;
    left -= taken;
  }
  CHECK_EQ(left, 0) << "the claim was said to fit";
  return CommitResult{CommitOutcome::kCreated, AddRow(incarnation, claim).reservation};
}

FakeLedger::StoredReservation& FakeLedger::AddRow(IncarnationId incarnation, const ReservationClaim& claim) {
  SkuState& state = skus_.at(claim.sku_id);
  const Sku& sku = state.sku;
  const auto first = reservations_.find(claim.reservation_id);
  if (first != reservations_.end() && Overlooks(first->second.reservation)) RemoveRow(claim.reservation_id);
  int32_t ordinal = 1;
  for (auto it = live_.lower_bound({claim.sku_id, claim.user_id, ordinal});
       it != live_.end() && it->first == std::tie(claim.sku_id, claim.user_id, ordinal); ++it) {
    ++ordinal;
  }
  const absl::Time now = DatabaseNow();
  StoredReservation& stored = reservations_[claim.reservation_id];
  stored.incarnation = incarnation;
  stored.ordinal = ordinal;
  stored.reservation = Reservation{.reservation_id = claim.reservation_id,
                                   .sku_id = claim.sku_id,
                                   .user_id = claim.user_id,
                                   .quantity = claim.quantity,
                                   .state = ReservationState::kPending,
                                   .amount_minor = sku.price_minor * claim.quantity,
                                   .currency = sku.currency,
                                   .created_at = now,
                                   .expires_at = now + sku.hold,
                                   .order_reference = claim.order_reference};
  ++state.pending;
  live_units_[{claim.sku_id, claim.user_id}] += claim.quantity;
  live_.insert_or_assign({claim.sku_id, claim.user_id, ordinal}, claim.reservation_id);
  due_.insert({stored.reservation.expires_at, claim.reservation_id});
  return stored;
}

void FakeLedger::RemoveRow(const Uuid& reservation_id) {
  const auto found = reservations_.find(reservation_id);
  const StoredReservation& stored = found->second;
  const Reservation& row = stored.reservation;
  if (row.state == ReservationState::kPending) {
    --skus_.at(row.sku_id).pending;
    due_.erase({row.expires_at, reservation_id});
  }
  if (row.state == ReservationState::kPending || row.state == ReservationState::kConfirmed) {
    live_units_[{row.sku_id, row.user_id}] -= row.quantity;
    live_.erase({row.sku_id, row.user_id, stored.ordinal});
  } else {
    lapsed_.erase({row.sku_id, row.user_id, reservation_id});
  }
  reservations_.erase(found);
}

CommitResult FakeLedger::Classify(const ReservationClaim& claim, IncarnationId incarnation, LockMode mode,
                                  const LockedSlots& locked) const {
  const auto answer = [](CommitOutcome outcome) { return CommitResult{outcome, {}}; };
  if (const auto found = reservations_.find(claim.reservation_id); found != reservations_.end()) {
    const Reservation& first = found->second.reservation;
    if (!IsOf(first, claim)) return RefusedClaim(Refusal::kReservationIdReused);
    return CommitResult{CommitOutcome::kReplayed, first};
  }
  const auto state = skus_.find(claim.sku_id);
  if (state == skus_.end()) return RefusedClaim(Refusal::kSkuNotFound);
  const Sku& sku = state->second.sku;
  const absl::Time now = DatabaseNow();
  if (sku.closed || now >= sku.closes_at) return RefusedClaim(Refusal::kSaleClosed);
  if (IsPaused(sku)) {
    CommitResult paused = RefusedClaim(Refusal::kSalePaused);
    paused.pause_reason = sku.pause_reason;
    return paused;
  }
  if (now < sku.opens_at) return RefusedClaim(Refusal::kSaleNotOpen);
  if (claim.quantity < 1 || claim.quantity > sku.per_user_limit) return RefusedClaim(Refusal::kQuantityAboveUserLimit);
  if (LiveUnits(claim.sku_id, claim.user_id) + claim.quantity > sku.per_user_limit) {
    return RefusedClaim(Refusal::kUserLimitReached);
  }
  const auto slots = locked.find(claim.sku_id);
  if (slots == locked.end()) return answer(CommitOutcome::kNotHeld);
  if (mode == LockMode::kSkipLocked) return answer(CommitOutcome::kBusy);
  CommitResult too_short = answer(CommitOutcome::kShort);
  for (const Slot* slot : slots->second) too_short.slice_version = std::max(too_short.slice_version, slot->version);
  return too_short;
}

int64_t FakeLedger::LiveUnits(const std::string& sku_id, const std::string& user_id) const {
  const auto found = live_units_.find(std::make_pair(sku_id, user_id));
  return found == live_units_.end() ? 0 : found->second;
}

absl::StatusOr<Reservation> FakeLedger::FindReservation(const Uuid& reservation_id) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const auto found = reservations_.find(reservation_id);
  if (found == reservations_.end()) return absl::NotFoundError("no such reservation");
  return found->second.reservation;
}

ReservationState FakeLedger::WhatBecameOf(const std::string& sku_id, const Uuid& reservation_id) const {
  absl::MutexLock lock(&mutex_);
  ReservationState state =
      ConfirmedOnesRetired(sku_id) ? ReservationState::kConfirmed : ReservationState::kExpired;  // if it was dropped
  if (const auto live = reservations_.find(reservation_id); live != reservations_.end()) {
    state = live->second.reservation.state;
  } else if (const auto kept = archive_.find(reservation_id); kept != archive_.end()) {
    state = kept->second.reservation.state;
  }
  const bool booked_again = state == ReservationState::kExpired && RebookedAs(reservation_id).has_value();
  return booked_again ? ReservationState::kConfirmed : state;
}

void FakeLedger::NoteDraw(const std::string& sku_id, bool runs) {
  absl::MutexLock lock(&mutex_);
  if (runs) {
    drawn_.insert(sku_id);
  } else {
    drawn_.erase(sku_id);
  }
}

// It has no standby.
absl::StatusOr<std::vector<Reservation>> FakeLedger::FindReplicated(absl::Span<const Uuid> reservation_ids) {
  return ReadReservations(reservation_ids);
}

void FakeLedger::FailNext(int calls) {
  absl::MutexLock lock(&mutex_);
  fail_next_ = calls;
}

void FakeLedger::LoseNextCommit(bool performed) {
  absl::MutexLock lock(&mutex_);
  lose_next_commit_ = performed ? LostCommit::kPerformed : LostCommit::kNotPerformed;
}

void FakeLedger::BlockCalls() {
  absl::MutexLock lock(&mutex_);
  blocked_ = true;
}

void FakeLedger::ReleaseCalls() {
  absl::MutexLock lock(&mutex_);
  blocked_ = false;
}

void FakeLedger::AwaitBlocked(int calls) {
  absl::MutexLock lock(&mutex_);
  const auto waiting = [this, calls]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return waiting_ >= calls; };
  mutex_.Await(absl::Condition(&waiting));
}

int FakeLedger::commit_calls() const {
  absl::MutexLock lock(&mutex_);
  return commit_calls_;
}

}  // namespace tranche::storage
