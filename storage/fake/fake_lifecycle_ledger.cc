// FakeLedger's part for the life of reservations: confirmation, cancellation, extension, carts, lists. Late payments
// are in fake_late_payments.cc.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"
#include "storage/mutation.h"

namespace tranche::storage {
namespace {

template <typename Change>
absl::Status CheckDistinct(absl::Span<const Change> batch) {
  CHECK_LE(batch.size(), static_cast<size_t>(kMaxBatch));
  absl::flat_hash_set<Uuid> ids;
  for (const Change& change : batch) {
    if (!ids.insert(change.reservation_id).second) {
      return absl::InvalidArgumentError("reservation ids of a batch must be distinct");
    }
  }
  return absl::OkStatus();
}

bool IsLiveState(ReservationState state) {
  return state == ReservationState::kPending || state == ReservationState::kConfirmed;
}

bool Wanted(const ReservationFilter& filter, const Reservation& reservation) {
  return filter.states.empty() ||
         std::find(filter.states.begin(), filter.states.end(), reservation.state) != filter.states.end();
}

absl::Duration LongestHold(const Sku& sku) {
  return sku.max_hold > absl::ZeroDuration() ? sku.max_hold : sku.hold * (1 + sku.max_extensions);
}

// Who has a seat. Once the deadline has passed, what becomes of it is decided about all.
bool MayLeave(const Group& group, absl::Time now) {
  return group.state == GroupState::kForming && now < group.deadline_at;
}

}  // namespace

FakeLedger::StoredReservation* FakeLedger::FindStored(const Uuid& reservation_id) {
  const auto found = reservations_.find(reservation_id);
  return found == reservations_.end() ? nullptr : &found->second;
}

void FakeLedger::Tell(const char* kind, const Reservation& reservation, const TraceTag& trace, FakeOutbox::Extra all) {
  if (outbox_ == nullptr) return;
  if (reservation.state == ReservationState::kCancelled && Mutated(Mutation::kMessageForgotten)) return;
  if (!reservation.payment_reference.empty()) all.emplace_back("payment_reference", reservation.payment_reference);
  if (reservation.state == ReservationState::kCancelled) all.emplace_back("cancel_reason", reservation.cancel_reason);
  if (!reservation.order_reference.empty()) all.emplace_back("order_reference", reservation.order_reference);
  if (reservation.rebooked_from.has_value()) all.emplace_back("rebooked_from", reservation.rebooked_from->ToString());
  if (reservation.group_id.has_value()) all.emplace_back("group_id", reservation.group_id->ToString());
  outbox_->Write(kind, reservation, all, trace);
}

void FakeLedger::Finish(StoredReservation& stored, ReservationState state) {
  Reservation& row = stored.reservation;
  const bool unfenced = Mutated(Mutation::kConfirmsWhatEnded) || Mutated(Mutation::kExpiresWhatEnded);
  CHECK(row.state == ReservationState::kPending || unfenced) << "what has ended stays as it is";
  if (!Mutated(Mutation::kExpiresWhatEnded)) due_.erase({row.expires_at, row.reservation_id});
  --skus_.at(row.sku_id).pending;
  row.state = state;
  row.finished_at = DatabaseNow();
  ++row.revision;
  if (state == ReservationState::kConfirmed) return;
  live_.erase({row.sku_id, row.user_id, stored.ordinal});
  lapsed_.insert({row.sku_id, row.user_id, row.reservation_id});
  live_units_[{row.sku_id, row.user_id}] -= row.quantity;
}

// What is scarce may be announced as such with the current version; then the returned units need a newer one.
void FakeLedger::ReturnUnits(const UnitsBySku& units_by_sku) {
  for (const auto& [sku_id, units] : units_by_sku) {
    SkuState& state = skus_.at(sku_id);
    Slot& pool = state.pool();
    const bool scarce = Mutated(Mutation::kReturnMarkedOnlyIfEmpty)
                            ? pool.remaining == 0
                            : pool.remaining < ScarceBelow(state.sku.per_user_limit);
    if (scarce && !Mutated(Mutation::kReturnedNotMarked)) {
      pool.version = ++state.sku.quota_version;
      returned_.insert(sku_id);
    }
    pool.Move(units, pool.version);
    ListIfPooled(state);
  }
}

void FakeLedger::EndHold(StoredReservation& stored, const char* reason, UnitsBySku* returned, const TraceTag& trace) {
  Reservation& row = stored.reservation;
  row.cancel_reason = reason;
  Finish(stored, ReservationState::kCancelled);
  (*returned)[row.sku_id] += row.quantity;
  Tell("reservation.cancelled", row, trace);
}

ChangeResult FakeLedger::Decide(const Payment& payment) {
  const StoredReservation* const stored = FindStored(payment.reservation_id);
  if (stored == nullptr) return RefusedChange(Refusal::kReservationNotFound);
  const Reservation& row = stored->reservation;
  const bool replay = row.state == ReservationState::kConfirmed &&
                      (row.payment_reference == payment.payment_reference || Mutated(Mutation::kSecondPaymentReplayed));
  if (!Same(payment, row)) return RefusedChange(Refusal::kPaymentMismatch, row);
  if (row.group_id.has_value()) return DecideSeat(payment, *stored);
  if (replay) return {.outcome = ChangeOutcome::kReplayed, .reservation = row};
  if (row.state != ReservationState::kPending && !Mutated(Mutation::kConfirmsWhatEnded)) {
    return RefusedChange(Refusal::kReservationState, row);
  }
  ChangeResult result{.outcome = ChangeOutcome::kDone, .reservation = row};
  result.reservation.payment_reference = payment.payment_reference;
  result.reservation.state = ReservationState::kConfirmed;
  return result;
}

ChangeResult FakeLedger::Confirm(const Payment& payment) {
  ChangeResult result = Decide(payment);
  if (result.outcome != ChangeOutcome::kDone) return result;
  StoredReservation& stored = *FindStored(payment.reservation_id);
  if (stored.reservation.group_id.has_value()) {
    TakeSeat(payment, stored);
  } else {
    stored.reservation.payment_reference = payment.payment_reference;
    Finish(stored, ReservationState::kConfirmed);
    Tell("reservation.confirmed", stored.reservation, payment.trace);
  }
  result.reservation = stored.reservation;
  return result;
}

std::vector<ChangeResult> FakeLedger::ConfirmAll(absl::Span<const Payment> batch) {
  std::vector<ChangeResult> results;
  for (const Payment& payment : batch) results.push_back(Confirm(payment));
  // Now it is known which groups are full.
  for (size_t i = 0; i < batch.size(); ++i) {
    if (results[i].outcome == ChangeOutcome::kDone) AwaitGroup(batch[i]);
    const StoredReservation* const stored = FindStored(batch[i].reservation_id);
    if (stored != nullptr) results[i].reservation = stored->reservation;
  }
  return results;
}

absl::StatusOr<std::vector<ChangeResult>> FakeLedger::ConfirmReservations(LockMode, absl::Span<const Payment> batch) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(CheckDistinct(batch));
  return ConfirmAll(batch);
}

ChangeResult FakeLedger::Decide(const Cancellation& cancellation) {
  const StoredReservation* const stored = FindStored(cancellation.reservation_id);
  if (stored == nullptr) return RefusedChange(Refusal::kReservationNotFound);
  const Reservation& row = stored->reservation;
  if (row.state == ReservationState::kCancelled) return {.outcome = ChangeOutcome::kReplayed, .reservation = row};
  if (row.state != ReservationState::kPending) return RefusedChange(Refusal::kReservationState, row);
  const bool seated = SeatOf(*stored) != nullptr;
  if (seated && !MayLeave(*groups_.Find(*row.group_id), DatabaseNow())) {
    return RefusedChange(Refusal::kReservationState, row);
  }
  ChangeResult result{.outcome = ChangeOutcome::kDone, .reservation = row};
  result.reservation.cancel_reason = cancellation.reason;
  result.reservation.state = ReservationState::kCancelled;
  if (seated) ++result.reservation.revision;  // that asks for the refund
  return result;
}

ChangeResult FakeLedger::Cancel(const Cancellation& cancellation, UnitsBySku* returned) {
  ChangeResult result = Decide(cancellation);
  if (result.outcome != ChangeOutcome::kDone) return result;
  StoredReservation& stored = *FindStored(cancellation.reservation_id);
  Reservation& row = stored.reservation;
  row.cancel_reason = cancellation.reason;
  Finish(stored, ReservationState::kCancelled);
  (*returned)[row.sku_id] += Mutated(Mutation::kCancelReturnsTwice) ? 2 * row.quantity : row.quantity;
  Tell("reservation.cancelled", row, cancellation.trace);
  GiveUpSeat(stored, cancellation.trace);
  EndIfEmpty(row);
  result.reservation = row;
  return result;
}

absl::StatusOr<std::vector<ChangeResult>> FakeLedger::CancelReservations(LockMode,
                                                                         absl::Span<const Cancellation> batch) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(CheckDistinct(batch));
  UnitsBySku returned;
  std::vector<ChangeResult> results;
  for (const Cancellation& cancellation : batch) results.push_back(Cancel(cancellation, &returned));
  ReturnUnits(returned);
  return results;
}

ChangeResult FakeLedger::Decide(const Extension& extension) {
  const StoredReservation* const stored = FindStored(extension.reservation_id);
  if (stored == nullptr) return RefusedChange(Refusal::kReservationNotFound);
  const Reservation& row = stored->reservation;
  if (row.group_id.has_value()) return RefusedChange(Refusal::kInGroup, row);
  const Sku& sku = skus_.at(row.sku_id).sku;
  const auto refused = [&row](Refusal refusal, int64_t bound = 0) {
    ChangeResult result = RefusedChange(refusal, row);
    result.bound = bound;
    return result;
  };
  if (extension.number <= row.extensions) return {.outcome = ChangeOutcome::kReplayed, .reservation = row};
  if (row.state != ReservationState::kPending || row.expires_at <= DatabaseNow()) {
    return refused(Refusal::kReservationState);
  }
  if (extension.number > row.extensions + 1) return refused(Refusal::kExtensionOutOfOrder);
  if (extension.number > sku.max_extensions) return refused(Refusal::kTooManyExtensions, sku.max_extensions);
  const absl::Time extended = row.expires_at + extension.by;
  if (extended > row.created_at + LongestHold(sku)) {
    return refused(Refusal::kHoldTooLong, absl::ToInt64Seconds(LongestHold(sku)));
  }
  ChangeResult result{.outcome = ChangeOutcome::kDone, .reservation = row};
  result.reservation.expires_at = extended;
  result.reservation.extensions = extension.number;
  return result;
}

ChangeResult FakeLedger::Extend(const Extension& extension) {
  ChangeResult result = Decide(extension);
  if (result.outcome != ChangeOutcome::kDone) return result;
  Reservation& row = FindStored(extension.reservation_id)->reservation;
  if (!Mutated(Mutation::kExpiresExtended)) {
    due_.erase({row.expires_at, row.reservation_id});
    due_.insert({result.reservation.expires_at, row.reservation_id});
  }
  row = result.reservation;
  ++row.revision;
  Tell("reservation.extended", row, extension.trace);
  result.reservation = row;
  return result;
}

absl::StatusOr<std::vector<ChangeResult>> FakeLedger::ExtendReservations(LockMode, absl::Span<const Extension> batch) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(CheckDistinct(batch));
  for (const Extension& extension : batch) {
    if (extension.number < 1 || extension.by < absl::Seconds(1)) {
      return absl::InvalidArgumentError("numbers and seconds must be at least 1");
    }
  }
  std::vector<ChangeResult> results;
  for (const Extension& extension : batch) results.push_back(Extend(extension));
  return results;
}

absl::StatusOr<ChangeResult> FakeLedger::PreviewChange(const Change& change) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ChangeResult result =
      std::visit([this](const auto& one) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return Decide(one); }, change);
  if (const auto* payment = std::get_if<Payment>(&change); payment != nullptr) {
    result = PreviewLate(*payment, std::move(result));
  }
  const bool done = result.outcome == ChangeOutcome::kDone;
  if (done) ++result.reservation.revision;
  if (done && result.reservation.state != ReservationState::kPending) result.reservation.finished_at = DatabaseNow();
  return result;
}

// All or nothing: otherwise undoes what was created, units and rows.
absl::StatusOr<CartResult> FakeLedger::CommitCart(IncarnationId incarnation, LockMode mode,
                                                  absl::Span<const ReservationClaim> lines) {
  CHECK_LE(lines.size(), static_cast<size_t>(kMaxCartLines));
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<std::pair<Slot*, int64_t>> before;
  for (const auto& [sku_id, slots] : LockSlots(incarnation, mode, lines)) {
    for (Slot* slot : slots) before.emplace_back(slot, slot->remaining);
  }
  ASSIGN_OR_RETURN(auto results, Commit(incarnation, mode, lines));
  const auto all = [&](CommitOutcome outcome) {
    return std::all_of(results.begin(), results.end(), [&](const auto& line) { return line.outcome == outcome; });
  };
  CartResult cart{.committed = all(CommitOutcome::kCreated) || all(CommitOutcome::kReplayed)};
  if (!cart.committed) {
    for (const auto& [slot, remaining] : before) slot->remaining = remaining;
    for (CommitResult& line : results) {
      if (line.outcome != CommitOutcome::kCreated) continue;
      RemoveRow(line.reservation.reservation_id);
      line = CommitResult{.outcome = CommitOutcome::kCreated, .reservation = {}};
    }
  }
  cart.lines = std::move(results);
  return cart;
}

absl::StatusOr<std::vector<Reservation>> FakeLedger::ReadReservations(absl::Span<const Uuid> reservation_ids) {
  CHECK_LE(reservation_ids.size(), static_cast<size_t>(kMaxBatch));
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<Reservation> found;
  for (const Uuid& id : std::set<Uuid>(reservation_ids.begin(), reservation_ids.end())) {
    if (const StoredReservation* stored = FindStored(id); stored != nullptr) found.push_back(stored->reservation);
  }
  return found;
}

bool FakeLedger::ListSku(const std::string& sku_id, const ReservationFilter& filter, const ReservationCursor& after,
                         size_t limit, ReservationPage* page) const {
  const bool resumed = after.sku_id == sku_id;
  const auto add = [&](const Uuid& id, int32_t ordinal) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Reservation& row = reservations_.at(id).reservation;
    if (!Wanted(filter, row)) return true;
    page->reservations.push_back(row);
    if (page->reservations.size() < limit) return true;
    page->next = ReservationCursor{sku_id, !IsLiveState(row.state), row.user_id, ordinal, id};
    return false;
  };
  const std::string& first_user = filter.user_id;
  auto live = live_.lower_bound({sku_id, first_user, 0});
  if (resumed) live = after.lapsed ? live_.end() : live_.upper_bound({sku_id, after.user_id, after.ordinal});
  for (; live != live_.end() && std::get<0>(live->first) == sku_id; ++live) {
    if (!filter.user_id.empty() && std::get<1>(live->first) != filter.user_id) break;
    if (!add(live->second, std::get<2>(live->first))) return false;
  }
  auto lapsed = lapsed_.lower_bound({sku_id, first_user, Uuid{}});
  if (resumed && after.lapsed) lapsed = lapsed_.upper_bound({sku_id, after.user_id, after.reservation_id});
  for (; lapsed != lapsed_.end() && std::get<0>(*lapsed) == sku_id; ++lapsed) {
    if (!filter.user_id.empty() && std::get<1>(*lapsed) != filter.user_id) break;
    if (!add(std::get<2>(*lapsed), 0)) return false;
  }
  return true;
}

absl::StatusOr<ReservationPage> FakeLedger::ListReservations(const ReservationFilter& filter,
                                                             const ReservationCursor& after, int limit) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  ReservationPage page;
  const auto list = [&](const std::string& sku_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ListSku(sku_id, filter, after, static_cast<size_t>(limit), &page);
  };
  if (!filter.sku_id.empty()) {
    list(filter.sku_id);
    return page;
  }
  for (auto it = skus_.lower_bound(after.sku_id); it != skus_.end(); ++it) {
    if (!list(it->first)) break;
  }
  return page;
}

}  // namespace tranche::storage
