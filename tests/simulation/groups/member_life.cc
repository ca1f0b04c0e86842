// LifeChecker's part for members of groups: one call may change several of them, and each in several steps.
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tests/simulation/life_checker.h"

namespace tranche::simulation {
namespace {

using storage::ChangeOutcome;
using storage::ChangeResult;
using storage::Reservation;
using storage::ReservationState;
using storage::Uuid;

std::optional<LifeEvent> EventOfKind(const std::string& kind) {
  for (int i = 0; i < kLifeEvents; ++i) {
    const auto event = static_cast<LifeEvent>(i);
    if (kind == KindOf(event)) return event;
  }
  return std::nullopt;
}

// The row after the step, if it may come now. What the step may choose is as in `is`.
std::optional<Reservation> After(LifeEvent step, Reservation row, const Reservation& is) {
  ++row.revision;
  if (step == LifeEvent::kRefundRequested) return row;
  if (row.state != ReservationState::kPending) return std::nullopt;
  switch (step) {
    case LifeEvent::kSeatTaken:
      row.expires_at = is.expires_at;
      return row;
    case LifeEvent::kConfirmed:
      row.state = ReservationState::kConfirmed;
      row.payment_reference = is.payment_reference;
      break;
    case LifeEvent::kCancelled:
      row.state = ReservationState::kCancelled;
      row.cancel_reason = is.cancel_reason;
      break;
    case LifeEvent::kExpired:
      row.state = ReservationState::kExpired;
      break;
    default:  // a hold is not extended, and nothing is booked again
      return std::nullopt;
  }
  row.finished_at = is.finished_at;
  return row;
}

bool Ends(LifeEvent step) { return step == LifeEvent::kCancelled || step == LifeEvent::kExpired; }

}  // namespace

// What happened, its messages say: one for each revision. The row must have become what follows from that.
std::vector<LifeEvent> LifeChecker::StepsBetween(const Reservation& was, const Reservation& is) {
  std::vector<LifeEvent> steps;
  Reservation row = was;
  for (int32_t revision = was.revision + 1; revision <= is.revision; ++revision) {
    const auto message = outbox_->GetMessage({is.reservation_id, revision, sinks_.front()});
    const auto step = message.ok() ? EventOfKind(message->kind) : std::nullopt;
    if (!step.has_value()) {
      Violated("outbox", is.reservation_id, absl::StrCat("no message about revision ", revision));
      return steps;
    }
    const std::optional<Reservation> after = After(*step, row, is);
    if (!after.has_value()) break;
    row = *after;
    if (*step == LifeEvent::kRefundRequested) {
      groups_->OnRefundRequested(is.reservation_id,
                                 nlohmann::json::parse(message->payload).value("payment_reference", ""));
    }
    steps.push_back(*step);
  }
  if (!IsSame(row, is)) {
    Violated("states", is.reservation_id,
             absl::StrCat("a member's revision ", was.revision, " became ", is.revision, " otherwise than was told"));
  }
  return steps;
}

std::vector<LifeEvent> LifeChecker::FollowMember(ActorId actor, const Uuid& id, std::vector<Reservation>* lapsed) {
  const auto book = rows_.find(id);
  const auto found = ledger_->FindReservation(id);
  if (book == rows_.end() || !found.ok()) {
    Violated("states", id, "a reservation that is known to one of ledger and books only");
    return {};
  }
  const Reservation was = std::exchange(book->second, *found);
  const Reservation& is = book->second;
  if (IsSame(was, is)) return {};
  const std::vector<LifeEvent> steps = StepsBetween(was, is);
  Reservation told = is;
  told.revision = was.revision;
  for (const LifeEvent step : steps) {
    ++told.revision;
    Note(actor, step, told);
    // A hold that is paid does not lapse.
    if (step != LifeEvent::kRefundRequested) holds_.erase({was.expires_at, id});
    if (Ends(step)) lapsed->push_back(is);
    if (step == LifeEvent::kExpired && was.expires_at > scheduler_->Now()) Violated("hold", id, "expired early");
  }
  return steps;
}

void LifeChecker::FollowMembers(ActorId actor, const std::vector<Uuid>& ids, std::vector<Reservation>* lapsed) {
  for (const Uuid& id : ids) FollowMember(actor, id, lapsed);
}

// Somebody else's payment of the same batch may have confirmed it.
void LifeChecker::CheckMemberResult(const ChangeResult& result, const std::vector<LifeEvent>& steps) {
  const Uuid& id = result.reservation.reservation_id;
  const auto row = rows_.find(id);
  if (row == rows_.end() || !IsSame(row->second, result.reservation)) {
    return Violated("replay", id, "the answer is not what the ledger has");
  }
  const bool by_others = steps.empty() || (steps.size() == 1 && steps.front() == LifeEvent::kConfirmed);
  const bool done = result.outcome == ChangeOutcome::kDone;
  if (done && steps.empty()) Violated("replay", id, "done, and nothing has changed");
  if (!done && !by_others) Violated("replay", id, "a replay or a refusal changed it");
}

void LifeChecker::CheckMember(ActorId actor, const storage::Payment& payment, const ChangeResult& result) {
  groups_->OnPaid(actor, payment, result);
}

void LifeChecker::CheckMember(ActorId actor, const storage::Cancellation& cancellation, const ChangeResult& result) {
  // Refused though it is pending: the seat is its group's to decide about.
  const bool bound =
      result.refusal == storage::Refusal::kReservationState && groups_->AwaitsDecision(cancellation.reservation_id);
  if (!bound) CheckOutcome(cancellation, result);
  groups_->OnLeft(actor, cancellation, result);
}

void LifeChecker::CheckMember(ActorId, const storage::Extension&, const ChangeResult& result) {
  if (result.outcome != ChangeOutcome::kRefused || result.refusal != storage::Refusal::kInGroup) {
    NeverSo("extended in a group", result);
  }
}

void LifeChecker::OnMemberConfirmedLate(ActorId actor, const storage::Payment& payment, const ChangeResult& result) {
  const Uuid& id = payment.reservation_id;
  std::vector<Reservation> lapsed;
  const std::vector<LifeEvent> steps = FollowMember(actor, id, &lapsed);
  FollowMembers(actor, groups_->FellowsOf(id), &lapsed);
  if (result.outcome == ChangeOutcome::kDone || result.outcome == ChangeOutcome::kReplayed) {
    CheckMemberResult(result, steps);
    groups_->OnPaid(actor, payment, result);
  } else {
    GroupChecker::LateSteps late;
    for (const LifeEvent step : steps) {
      late.ended = late.ended || step == LifeEvent::kCancelled;
      late.refund_requested = late.refund_requested || step == LifeEvent::kRefundRequested;
    }
    groups_->OnPaidLate(actor, payment, result, late);
  }
  groups_->Verify({id});
  checker_->OnReturned(actor, lapsed);
}

void LifeChecker::OnGroupsExpired(ActorId actor, const storage::ExpiredGroups& done) {
  const std::vector<Uuid> members = groups_->MembersOfDue();
  std::vector<Reservation> lapsed;
  FollowMembers(actor, members, &lapsed);
  groups_->OnExpired(actor, done, static_cast<int64_t>(lapsed.size()));
  groups_->Verify(members);
  checker_->OnReturned(actor, lapsed);
}

void LifeChecker::OnGroupCancelled(ActorId actor, const Uuid& group_id) {
  const std::vector<Uuid> members = groups_->MembersOf(group_id);
  std::vector<Reservation> lapsed;
  FollowMembers(actor, members, &lapsed);
  groups_->OnCancelled(actor, group_id);
  groups_->Verify(members);
  checker_->OnReturned(actor, lapsed);
}

}  // namespace tranche::simulation
