// FakeLedger's part for upkeep: expiry and retention.
#include <algorithm>
#include <tuple>

#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"
#include "storage/mutation.h"

namespace tranche::storage {

absl::StatusOr<ExpiredHolds> FakeLedger::ExpireDue(int limit) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const absl::Time now = DatabaseNow();
  ExpiredHolds holds;
  UnitsBySku returned;
  while (!due_.empty() && due_.begin()->first <= now && holds.expired < limit) {
    StoredReservation& stored = *FindStored(due_.begin()->second);
    due_.erase(due_.begin());
    const bool pending = stored.reservation.state == ReservationState::kPending;
    if (!pending && !Mutated(Mutation::kExpiresWhatEnded)) continue;
    Finish(stored, ReservationState::kExpired);
    returned[stored.reservation.sku_id] += stored.reservation.quantity;
    Tell("reservation.expired", stored.reservation);
    EndIfEmpty(stored.reservation);
    ++holds.expired;
  }
  ReturnUnits(returned);
  holds.more = !due_.empty() && due_.begin()->first <= now;
  holds.until_next =
      due_.empty() ? absl::InfiniteDuration() : std::max(absl::ZeroDuration(), due_.begin()->first - now);
  return holds;
}

absl::StatusOr<RemindedHolds> FakeLedger::RemindHolds(absl::Duration within, int limit) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const absl::Time now = DatabaseNow();
  // What is over is the expirer's.
  if (reminded_.first < now) reminded_ = {now, Uuid{}};
  RemindedHolds holds;
  int looked_at = 0;
  for (auto it = due_.upper_bound(reminded_); it != due_.end() && it->first <= now + within && looked_at < limit;
       ++it) {
    ++looked_at;
    reminded_ = *it;
    Reservation& row = FindStored(it->second)->reservation;
    if (row.state != ReservationState::kPending || row.expires_at <= now) continue;
    if (row.expires_at - row.created_at <= within) continue;
    ++row.revision;
    Tell("reservation.lapses_soon", row);
    ++holds.reminded;
  }
  holds.more = looked_at == limit;
  return holds;
}

bool FakeLedger::MayRetire(const Reservation& reservation, absl::Duration age) const {
  const absl::Time now = DatabaseNow();
  if (!reservation.finished_at.has_value() || *reservation.finished_at >= now - age) return false;
  // A receiver of the messages must still be able to look the reservation up.
  if (outbox_ != nullptr && outbox_->HasMessages(reservation.reservation_id)) return false;
  if (reservation.state != ReservationState::kConfirmed) return true;
  const Sku& sku = skus_.at(reservation.sku_id).sku;
  return sku.closed || sku.closes_at <= now;
}

absl::StatusOr<int64_t> FakeLedger::RetireReservations(absl::Duration age, int limit, Retired retired) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (age < kLeastRetention) return absl::InvalidArgumentError("a reservation id is an idempotency key for a day");
  std::vector<std::pair<absl::Time, Uuid>> old;
  for (const auto& [id, stored] : reservations_) {
    if (MayRetire(stored.reservation, age)) old.emplace_back(*stored.reservation.finished_at, id);
  }
  std::sort(old.begin(), old.end());
  if (old.size() > static_cast<size_t>(limit)) old.resize(static_cast<size_t>(limit));
  for (const auto& [finished_at, id] : old) {
    const StoredReservation& stored = reservations_.at(id);
    RetiredUnits& sums = retired_[{stored.reservation.sku_id, stored.incarnation}];
    sums.units += stored.reservation.quantity;
    if (stored.reservation.state == ReservationState::kConfirmed) sums.live_units += stored.reservation.quantity;
    if (retired == Retired::kArchive) archive_[id] = stored;
    RemoveRow(id);
  }
  return static_cast<int64_t>(old.size());
}

}  // namespace tranche::storage
