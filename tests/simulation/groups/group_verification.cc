// GroupChecker's part that compares its books with the ledger.
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/simulation/groups/group_checker.h"

namespace tranche::simulation {
namespace {

using storage::GroupState;
using storage::ReservationState;
using storage::Uuid;

bool IsRefunding(GroupState state) { return state == GroupState::kFailed || state == GroupState::kCancelled; }

const char* ReasonForMembers(GroupState state) {
  return state == GroupState::kFailed ? "GROUP_FAILED" : "GROUP_CANCELLED";
}

}  // namespace

void GroupChecker::Verify(const std::vector<Uuid>& reservation_ids) {
  std::set<Uuid> groups;
  for (const Uuid& id : reservation_ids) {
    if (const auto member = members_.find(id); member != members_.end()) groups.insert(member->second.group_id);
  }
  for (const Uuid& id : groups) VerifyGroup(id, groups_.at(id));
}

void GroupChecker::VerifyAll() {
  for (const auto& [id, group] : groups_) {
    VerifyGroup(id, group);
    const bool forms = group.state == GroupState::kForming;
    const absl::Time due_at = forms ? group.deadline : group.over_at;
    if (Now() - due_at <= longest_late_ || !(forms || IsUnsettled(group))) continue;
    Violated("ended", id, forms ? "forms long after its deadline" : "over, and members still hold units");
  }
}

void GroupChecker::VerifyGroup(const Uuid& group_id, const Group& group) {
  const auto found = ledger_->GetGroup(group_id, {.members = storage::GroupLookup::Members::kAll});
  if (!found.ok()) return Violated("join", group_id, "the ledger does not know the group");
  const storage::Group& is = found->group;
  if (is.state != group.state || is.partial != group.partial) {
    const char* const rule =
        is.state == GroupState::kFilled || group.state == GroupState::kFilled ? "filled" : "failed";
    return Violated(rule, group_id,
                    absl::StrCat("its state is ", static_cast<int>(is.state), " and must be ",
                                 static_cast<int>(group.state), ", with ", group.seated, " seats taken"));
  }
  const storage::GroupOffer& offer = group.offer;
  if (is.sku_id != offer.sku_id || is.offer_id != offer.offer_id || is.seats != offer.seats ||
      is.price_minor != offer.price_minor || is.deadline_at != group.deadline || is.opened_by != group.opened_by) {
    return Violated("price", group_id, "the group is not as it was opened");
  }
  if (is.seats_taken != group.seated) {
    return Violated("seats", group_id, absl::StrCat("counts ", is.seats_taken, " and has ", group.seated));
  }
  VerifySeats(group, *found);
  for (const Uuid& id : group.members) VerifyMember(group, id, members_.at(id));
}

void GroupChecker::VerifySeats(const Group& group, const storage::GroupWithMembers& found) {
  std::set<int32_t> taken;
  for (const storage::GroupMember& seen : found.members) {
    const Uuid& id = seen.reservation_id;
    const auto member = members_.find(id);
    if (member == members_.end()) return Violated("join", id, "a member who has never joined");
    if (member->second.paid_by != seen.payment_reference) {
      return Violated("seats", id, "the seat is not of the payment that took it");
    }
    if (member->second.paid_by.empty() != (seen.seat == 0)) return Violated("seats", id, "a seat without money");
    if (seen.seat == 0) continue;
    const bool fits = seen.seat >= 1 && seen.seat <= group.offer.seats;
    if (!fits || !taken.insert(seen.seat).second) return Violated("seats", id, "a seat that is another's, or none");
  }
  // Who has a seat is in the list: nobody joins again meanwhile.
  if (static_cast<int32_t>(taken.size()) != group.seated) {
    checker_->Violated("seats", absl::StrCat("of ", group.seated, " seats, ", taken.size(), " have a member"));
  }
}

void GroupChecker::VerifyMember(const Group& group, const Uuid& reservation_id, const Member& member) {
  const auto row = ledger_->FindReservation(reservation_id);
  if (!row.ok()) return Violated("join", reservation_id, "a member without a reservation");
  const bool confirmed = row->state == ReservationState::kConfirmed;
  const bool seated = !member.paid_by.empty();
  if (confirmed && !(seated && group.state == GroupState::kFilled)) {
    return Violated("filled", reservation_id, "CONFIRMED, and its group is not filled, or it has no seat");
  }
  if (confirmed && row->payment_reference != member.paid_by) {
    return Violated("filled", reservation_id, "CONFIRMED by another payment than its own");
  }
  if (!seated) return;
  if (group.state == GroupState::kFilled && !confirmed) {
    return Violated("filled", reservation_id, "paid, its group is filled, and it is not CONFIRMED");
  }
  if (group.state == GroupState::kForming && row->state != ReservationState::kPending) {
    return Violated("seats", reservation_id, "its hold is over while its group forms");
  }
  const int refunds = Refunds(reservation_id, member.paid_by);
  if (!IsRefunding(group.state)) {
    if (refunds > 0) Violated("money", reservation_id, "has a seat, and its refund was asked for");
    return;
  }
  if (row->state != ReservationState::kCancelled || row->cancel_reason != ReasonForMembers(group.state)) {
    return Violated("failed", reservation_id, "paid, its group is over, and it is not CANCELLED for that");
  }
  if (refunds != 1) Violated("money", reservation_id, "paid, its group is over, and its refund was not asked for");
}

}  // namespace tranche::simulation
