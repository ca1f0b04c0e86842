#include "tests/simulation/groups/group_checker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "storage/ledger/claim_refusal.h"

namespace tranche::simulation {
namespace {

using storage::ChangeOutcome;
using storage::ChangeResult;
using storage::CommitOutcome;
using storage::GroupState;
using storage::Refusal;
using storage::Reservation;
using storage::ReservationClaim;
using storage::ReservationState;
using storage::Uuid;

bool LivesOn(const Reservation& row) {
  return row.state == ReservationState::kPending || row.state == ReservationState::kConfirmed;
}

// What only the ledger knows of a group.
bool IsOfGroups(Refusal refusal) {
  switch (refusal) {
    case Refusal::kGroupNotFound:
    case Refusal::kGroupOver:
    case Refusal::kGroupFull:
    case Refusal::kAlreadyInGroup:
    case Refusal::kOfferNotFound:
    case Refusal::kOfferClosed:
    case Refusal::kTooManyGroups:
      return true;
    default:
      return false;
  }
}

}  // namespace

void GroupChecker::Violated(const char* rule, const Uuid& id, const std::string& detail) {
  checker_->Violated(rule, absl::StrCat(id.ToString(), ": ", detail));
}

void GroupChecker::OnOffer(const storage::GroupOffer& offer) { offers_[{offer.sku_id, offer.offer_id}] = offer; }

bool GroupChecker::HasRoom(const Group& group) const {
  return group.state == GroupState::kForming && group.seated < group.offer.seats && Now() < group.deadline;
}

bool GroupChecker::HasLiveMember(const Group& group, const std::string& user_id) const {
  return std::any_of(group.members.begin(), group.members.end(), [&](const Uuid& id) {
    const auto row = ledger_->FindReservation(id);
    return members_.at(id).user_id == user_id && row.ok() && LivesOn(*row);
  });
}

bool GroupChecker::HasOpened(const ReservationClaim& claim) const {
  return std::any_of(groups_.begin(), groups_.end(), [&](const auto& entry) {
    const Group& group = entry.second;
    return group.state == GroupState::kForming && group.opened_by == claim.user_id &&
           group.offer.sku_id == claim.sku_id && group.offer.offer_id == claim.group->offer_id;
  });
}

bool GroupChecker::IsUnsettled(const Group& group) const {
  if (group.state == GroupState::kForming) return false;
  return std::any_of(group.members.begin(), group.members.end(), [&](const Uuid& id) {
    const auto row = ledger_->FindReservation(id);
    return row.ok() && row->state == ReservationState::kPending;
  });
}

// What a refusal says was so before anybody of the batch had joined.
void GroupChecker::OnCommit(ActorId actor, absl::Span<const ReservationClaim> claims,
                            absl::Span<const storage::CommitResult> results) {
  for (size_t i = 0; i < claims.size(); ++i) {
    const bool refused = results[i].outcome == CommitOutcome::kRefused && IsOfGroups(results[i].refusal);
    if (!refused) continue;
    ++counts_["refused"];
    const Uuid& id = claims[i].reservation_id;
    if (claims[i].group == nullptr) {
      Violated("join", id, "joins no group, and was refused as if it did");
    } else if (IsMember(id)) {
      Violated("join", id, "a replay was refused");
    } else if (!IsTrue(results[i].refusal, claims[i])) {
      Violated("join", id, absl::StrCat("refused for no reason, as ", static_cast<int>(results[i].refusal)));
    }
  }
  for (size_t i = 0; i < claims.size(); ++i) {
    if (claims[i].group == nullptr) continue;
    const Uuid& id = claims[i].reservation_id;
    if (results[i].outcome == CommitOutcome::kCreated) Join(actor, claims[i], results[i]);
    // One that was queued, and refused for good, has a row without a group.
    const bool sold_before =
        results[i].outcome == CommitOutcome::kReplayed && !storage::RefusalOf(results[i].reservation).has_value();
    if (sold_before && !IsMember(id)) {
      Violated("join", id, "a replay of a reservation that is in no group");
    }
  }
  for (size_t i = 0; i < claims.size(); ++i) {
    if (results[i].outcome == CommitOutcome::kCreated && claims[i].group != nullptr) {
      Verify({claims[i].reservation_id});
    }
  }
}

bool GroupChecker::IsTrue(Refusal refusal, const ReservationClaim& claim) const {
  const auto found = groups_.find(claim.group->group_id);
  const Group* const group = found == groups_.end() ? nullptr : &found->second;
  const auto offer = offers_.find({claim.sku_id, claim.group->offer_id});
  switch (refusal) {
    case Refusal::kGroupNotFound:
      return group == nullptr ? claim.group->offer_id.empty()
                              : group->offer.sku_id != claim.sku_id || group->offer.offer_id != claim.group->offer_id;
    case Refusal::kGroupOver:
      return group != nullptr && (group->state != GroupState::kForming || Now() >= group->deadline);
    case Refusal::kGroupFull:
      return group != nullptr && group->seated == group->offer.seats;
    case Refusal::kAlreadyInGroup:
      return group != nullptr && HasLiveMember(*group, claim.user_id);
    case Refusal::kOfferNotFound:
      return group == nullptr && offer == offers_.end();
    case Refusal::kOfferClosed:
      return group == nullptr && offer != offers_.end() && offer->second.closed_at.has_value();
    default:
      return group == nullptr && HasOpened(claim);
  }
}

GroupChecker::Group* GroupChecker::Open(const ReservationClaim& claim, const Reservation& row) {
  const auto offer = offers_.find({claim.sku_id, claim.group->offer_id});
  if (offer == offers_.end() || offer->second.closed_at.has_value()) {
    Violated("join", claim.reservation_id, "a group was opened without an offer");
    return nullptr;
  }
  if (HasOpened(claim)) Violated("join", claim.reservation_id, "its buyer has opened a group already");
  ++counts_["opened"];
  Group& group = groups_[claim.group->group_id];
  group.number = static_cast<int64_t>(groups_.size());
  group.offer = offer->second;
  group.opened_by = claim.user_id;
  group.deadline = row.created_at + offer->second.open_for;
  return &group;
}

void GroupChecker::Join(ActorId actor, const ReservationClaim& claim, const storage::CommitResult& result) {
  const Uuid& id = claim.reservation_id;
  const Reservation& row = result.reservation;
  const auto found = groups_.find(claim.group->group_id);
  Group* const group = found == groups_.end() ? Open(claim, row) : &found->second;
  if (group == nullptr) return;
  const storage::GroupOffer& offer = group->offer;
  if (!HasRoom(*group)) Violated("join", id, "joins a group that is full or over");
  const bool other_offer = !claim.group->offer_id.empty() && claim.group->offer_id != offer.offer_id;
  if (offer.sku_id != claim.sku_id || other_offer) Violated("join", id, "joins a group of something else");
  if (HasLiveMember(*group, claim.user_id)) Violated("join", id, "its buyer is in the group already");
  if (row.amount_minor != offer.price_minor * claim.quantity) {
    Violated("price", id, absl::StrCat("sold for ", row.amount_minor));
  }
  if (row.expires_at != std::min(row.created_at + offer.pay_within, group->deadline)) {
    Violated("price", id, "another time to pay than the offer's");
  }
  ++counts_["joined"];
  members_[id] = {.group_id = claim.group->group_id, .user_id = claim.user_id, .paid_by = ""};
  group->members.push_back(id);
  trace_->Add(Now(), actor, "joined: group, members", group->number, static_cast<int64_t>(group->members.size()));
}

void GroupChecker::Sit(const storage::Payment& payment, Member& member) {
  const Uuid& id = payment.reservation_id;
  Group& group = groups_.at(member.group_id);
  if (!member.paid_by.empty()) Violated("seats", id, "has two seats");
  if (group.state != GroupState::kForming || group.seated >= group.offer.seats) {
    Violated("seats", id, absl::StrCat("a seat beyond the ", group.offer.seats, " of its group"));
  } else if (Now() >= group.deadline) {
    Violated("deadline", id, "a seat after the deadline");
  }
  member.paid_by = payment.payment_reference;
  ever_seated_.insert({id, payment.payment_reference});
  ++group.seated;
  ++counts_["seat taken"];
}

void GroupChecker::OnPaid(ActorId actor, const storage::Payment& payment, const ChangeResult& result) {
  const Uuid& id = payment.reservation_id;
  Member& member = members_.at(id);
  Group& group = groups_.at(member.group_id);
  const bool by_this = member.paid_by == payment.payment_reference;
  if (result.outcome == ChangeOutcome::kDone) {
    Sit(payment, member);
    trace_->Add(Now(), actor, "seat: group, taken, of", group.number, group.seated, group.offer.seats);
    if (group.state == GroupState::kForming && group.seated == group.offer.seats) {
      End(actor, group, GroupState::kFilled, /*partial=*/false);
    }
  } else if (result.outcome == ChangeOutcome::kReplayed) {
    if (!by_this) Violated("replay", id, "another payment has the seat");
  } else if (result.refusal == Refusal::kGroupOver) {
    if (HasRoom(group)) Violated("seats", id, "refused a seat although one is free");
    if (!member.paid_by.empty()) Violated("seats", id, "has a seat, and is told that there is none");
  } else if (result.refusal == Refusal::kReservationState) {
    const bool ended = result.reservation.state == ReservationState::kCancelled ||
                       result.reservation.state == ReservationState::kExpired;
    if (!ended && (member.paid_by.empty() || by_this)) Violated("replay", id, "this very payment was refused");
  } else {
    Violated("states", id,
             absl::StrCat("paid as ", static_cast<int>(result.outcome), "/", static_cast<int>(result.refusal)));
  }
}

bool GroupChecker::AwaitsDecision(const Uuid& reservation_id) const {
  const auto member = members_.find(reservation_id);
  if (member == members_.end() || member->second.paid_by.empty()) return false;
  const Group& group = groups_.at(member->second.group_id);
  return group.state == GroupState::kForming && group.deadline <= Now();
}

void GroupChecker::OnLeft(ActorId actor, const storage::Cancellation& cancellation, const ChangeResult& result) {
  if (result.outcome != ChangeOutcome::kDone) return;
  const Uuid& id = cancellation.reservation_id;
  Member& member = members_.at(id);
  Group& group = groups_.at(member.group_id);
  ++counts_[member.paid_by.empty() ? "left" : "left a seat"];
  if (member.paid_by.empty()) return EndIfEmpty(actor, group);
  if (group.state != GroupState::kForming) Violated("filled", id, "has left a group that does not form any more");
  if (Refunds(id, member.paid_by) != 1) Violated("money", id, "has left, and the refund was not asked for");
  member.paid_by.clear();
  --group.seated;
  trace_->Add(Now(), actor, "left: group, taken, of", group.number, group.seated, group.offer.seats);
  EndIfEmpty(actor, group);
}

void GroupChecker::OnPaidLate(ActorId actor, const storage::Payment& payment, const ChangeResult& result,
                              const LateSteps& steps) {
  const Uuid& id = payment.reservation_id;
  const Member& member = members_.at(id);
  const Group& group = groups_.at(member.group_id);
  const bool refused = result.outcome == ChangeOutcome::kPaidUnfulfilled ||
                       (result.outcome == ChangeOutcome::kRefused && result.refusal == Refusal::kReservationState);
  if (!refused) return Violated("late payment", id, absl::StrCat("answered as ", static_cast<int>(result.outcome)));
  const bool over = group.state == GroupState::kFailed || group.state == GroupState::kCancelled;
  if (member.paid_by == payment.payment_reference && !over) {
    return Violated("late payment", id, "has the seat, and is refunded");
  }
  if (Refunds(id, payment.payment_reference) != 1) return Violated("money", id, "neither a seat nor a refund");
  if (steps.refund_requested == result.replayed) {
    return Violated("late payment", id, "a replay that is none, or the reverse");
  }
  if (!steps.ended) return;
  ++counts_["refused a seat"];
  trace_->Add(Now(), actor, "no seat: group, taken, of", group.number, group.seated, group.offer.seats);
  if (HasRoom(group)) Violated("seats", id, "its hold was ended although a seat is free");
  // Also of one that was filled in part.
  const char* const reason = group.state == GroupState::kFilled ? "GROUP_FULL" : "GROUP_OVER";
  if (result.reservation.cancel_reason != reason) {
    Violated("late payment", id, absl::StrCat("ended as ", result.reservation.cancel_reason));
  }
}

void GroupChecker::OnRefundRequested(const Uuid& reservation_id, const std::string& payment_reference) {
  ++counts_["refunded"];
  if (++refunds_[{reservation_id, payment_reference}] == 1) return;
  Violated("money", reservation_id, absl::StrCat("the refund of ", payment_reference, " was asked for twice"));
}

void GroupChecker::End(ActorId actor, Group& group, GroupState state, bool partial) {
  group.state = state;
  group.partial = partial;
  group.over_at = Now();
  group.unsettled = IsUnsettled(group);
  const char* const what = state == GroupState::kFilled   ? (partial ? "filled in part" : "filled")
                           : state == GroupState::kFailed ? "failed"
                                                          : "cancelled";
  ++counts_[what];
  trace_->Add(Now(), actor, what, group.number, group.seated, group.offer.seats);
}

// Others of its batch may have left after this one, as the ledger shows; those with a seat are told of later.
void GroupChecker::EndIfEmpty(ActorId actor, Group& group) {
  if (group.state != GroupState::kForming || group.seated > 0) return;
  const bool anyone = std::any_of(group.members.begin(), group.members.end(), [&](const Uuid& id) {
    const auto row = ledger_->FindReservation(id);
    return row.ok() && LivesOn(*row);
  });
  if (anyone) return;
  ++counts_["ended empty"];
  End(actor, group, GroupState::kFailed, /*partial=*/false);
}

void GroupChecker::OnExpired(ActorId actor, const storage::ExpiredGroups& done, int64_t holds) {
  int64_t filled = 0, failed = 0;
  bool any_left = false;
  for (auto& [id, group] : groups_) {
    if (group.state != GroupState::kForming || Now() < group.deadline) continue;
    const auto found = ledger_->GetGroup(id, {});
    if (found.ok() && found->group.state == GroupState::kForming) {
      any_left = true;
      continue;
    }
    const storage::GroupOffer& offer = group.offer;
    const bool partial = offer.on_timeout == storage::OnGroupTimeout::kPartial && group.seated >= offer.min_members;
    ++(partial ? filled : failed);
    End(actor, group, partial ? GroupState::kFilled : GroupState::kFailed, partial);
  }
  for (auto& [id, group] : groups_) {
    if (group.unsettled) group.unsettled = IsUnsettled(group);
    any_left = any_left || group.unsettled;
  }
  if (done.filled != filled || done.failed != failed || done.ended != holds) {
    checker_->Violated("ended", absl::StrCat("groups filled ", filled, ", failed ", failed, ", holds ended ", holds,
                                             "; said were ", done.filled, ", ", done.failed, ", ", done.ended));
  }
  if (any_left && !done.more) checker_->Violated("ended", "groups are due, and it was said that none is");
}

void GroupChecker::OnCancelled(ActorId actor, const Uuid& group_id) {
  Group& group = groups_.at(group_id);
  if (group.state == GroupState::kForming) End(actor, group, GroupState::kCancelled, /*partial=*/false);
}

std::vector<Uuid> GroupChecker::MembersOf(const Uuid& group_id) const {
  const auto group = groups_.find(group_id);
  return group == groups_.end() ? std::vector<Uuid>() : group->second.members;
}

std::vector<Uuid> GroupChecker::FellowsOf(const Uuid& reservation_id) const {
  const auto member = members_.find(reservation_id);
  return member == members_.end() ? std::vector<Uuid>() : MembersOf(member->second.group_id);
}

std::vector<Uuid> GroupChecker::MembersOfDue() const {
  std::vector<Uuid> members;
  for (const auto& [id, group] : groups_) {
    const bool due = group.state == GroupState::kForming ? Now() >= group.deadline : group.unsettled;
    if (due) members.insert(members.end(), group.members.begin(), group.members.end());
  }
  return members;
}

int GroupChecker::Refunds(const Uuid& reservation_id, const std::string& payment_reference) const {
  const auto asked = refunds_.find({reservation_id, payment_reference});
  return asked == refunds_.end() ? 0 : asked->second;
}

bool GroupChecker::HadSeat(const storage::Payment& payment) const {
  return ever_seated_.contains({payment.reservation_id, payment.payment_reference});
}

bool GroupChecker::IsRefunded(const storage::Payment& payment) const {
  return Refunds(payment.reservation_id, payment.payment_reference) == 1;
}

std::vector<GroupChecker::Seen> GroupChecker::Forming() const {
  std::vector<Seen> forming;
  for (const auto& [id, group] : groups_) {
    if (group.state == GroupState::kForming) forming.push_back({id, group.offer.sku_id, group.offer.offer_id});
  }
  return forming;
}

bool GroupChecker::AnyForming() const {
  return std::any_of(groups_.begin(), groups_.end(),
                     [](const auto& entry) { return entry.second.state == GroupState::kForming; });
}

}  // namespace tranche::simulation
