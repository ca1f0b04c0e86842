// FakeLedger's part for the holds of members: a seat is a payment. As pay_group_seats.sql, leave_groups.sql and
// confirm_late_member.sql.
#include <algorithm>
#include <iterator>
#include <utility>

#include "storage/fake/fake_ledger.h"
#include "storage/mutation.h"

namespace tranche::storage {
namespace {

const char* ReasonWithoutSeat(const Group* group) {
  return group != nullptr && group->state == GroupState::kFilled ? "GROUP_FULL" : "GROUP_OVER";
}

}  // namespace

bool FakeLedger::HasFreeSeat(const Group* group) const {
  if (group == nullptr) return false;
  if (group->seats_taken >= group->seats) return Mutated(Mutation::kSeatBeyondTheLast);
  if (group->state != GroupState::kForming) return false;
  return DatabaseNow() < group->deadline_at || Mutated(Mutation::kSeatAfterDeadline);
}

GroupMember* FakeLedger::SeatOf(const StoredReservation& stored) {
  if (!stored.reservation.group_id.has_value()) return nullptr;
  GroupMember* const member = groups_.MemberWith(*stored.reservation.group_id, stored.reservation);
  return member != nullptr && member->seat != 0 ? member : nullptr;
}

ChangeResult FakeLedger::DecideSeat(const Payment& payment, const StoredReservation& stored) {
  const Reservation& row = stored.reservation;
  const GroupMember* const seated = SeatOf(stored);
  const bool pending = row.state == ReservationState::kPending;
  const std::string& paid_by = pending && seated != nullptr ? seated->payment_reference : row.payment_reference;
  if (paid_by == payment.payment_reference) return {.outcome = ChangeOutcome::kReplayed, .reservation = row};
  if (!pending || seated != nullptr) return RefusedChange(Refusal::kReservationState, row);
  const Group* const group = groups_.Find(*row.group_id);
  if (!HasFreeSeat(group)) return RefusedChange(Refusal::kGroupOver, row);
  ChangeResult result{.outcome = ChangeOutcome::kDone, .reservation = row};
  if (group->seats_taken + 1 < group->seats) {
    result.reservation.expires_at = group->deadline_at;
  } else {
    result.reservation.state = ReservationState::kConfirmed;
    result.reservation.payment_reference = payment.payment_reference;
  }
  return result;
}

void FakeLedger::TakeSeat(const Payment& payment, StoredReservation& stored) {
  Group& group = *groups_.Find(*stored.reservation.group_id);
  GroupMember& member = *groups_.MemberWith(group.group_id, stored.reservation);
  member.seat = groups_.FreeSeat(group.group_id);
  member.paid_at = DatabaseNow();
  member.payment_reference = payment.payment_reference;
  ++group.seats_taken;
  if (group.seats_taken < group.seats) {
    ++group.revision;
  } else {
    Fill(group, /*partial=*/false, &payment);
  }
}

void FakeLedger::AwaitGroup(const Payment& payment) {
  Reservation& row = FindStored(payment.reservation_id)->reservation;
  if (!row.group_id.has_value() || row.state != ReservationState::kPending) return;
  // It does not lapse by itself any more.
  if (!Mutated(Mutation::kExpiresSeated)) due_.erase({row.expires_at, row.reservation_id});
  row.expires_at = groups_.Find(*row.group_id)->deadline_at;
  ++row.revision;
  Tell("group.seat_taken", row, payment.trace, {{"payment_reference", payment.payment_reference}});
}

void FakeLedger::GiveUpSeat(StoredReservation& stored, const TraceTag& trace) {
  GroupMember* const seated = SeatOf(stored);
  if (seated == nullptr) return;
  Group& group = *groups_.Find(*stored.reservation.group_id);
  --group.seats_taken;
  ++group.revision;
  RequestRefund(stored.reservation, seated->payment_reference, trace);
  seated->seat = 0;
  seated->paid_at.reset();
  seated->payment_reference.clear();
}

ChangeResult FakeLedger::RefuseSeat(const Payment& payment) {
  StoredReservation& stored = *FindStored(payment.reservation_id);
  UnitsBySku returned;
  EndHold(stored, ReasonWithoutSeat(groups_.Find(*stored.reservation.group_id)), &returned, payment.trace);
  ReturnUnits(returned);
  RequestRefund(stored.reservation, payment.payment_reference, payment.trace);
  return {.outcome = ChangeOutcome::kPaidUnfulfilled, .reservation = stored.reservation};
}

ChangeResult FakeLedger::PreviewRefusedSeat(Reservation row) const {
  row.state = ReservationState::kCancelled;
  row.cancel_reason = ReasonWithoutSeat(groups_.Find(*row.group_id));
  row.finished_at = DatabaseNow();
  row.revision += 2;  // it is cancelled, and its refund asked for
  return {.outcome = ChangeOutcome::kPaidUnfulfilled, .reservation = std::move(row)};
}

bool FakeLedger::IsUnfulfilled(const Reservation& row) {
  if (row.state == ReservationState::kExpired) return true;
  return row.group_id.has_value() && row.state == ReservationState::kCancelled &&
         std::find(std::begin(kReasonsOfGroups), std::end(kReasonsOfGroups), row.cancel_reason) !=
             std::end(kReasonsOfGroups);
}

}  // namespace tranche::storage
