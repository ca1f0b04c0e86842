// FakeLedger's part for the ends of groups: they are filled, fail at their deadline, or are cancelled. As
// expire_groups.sql and cancel_group.sql.
#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"
#include "storage/mutation.h"

namespace tranche::storage {
namespace {

const char* NameOf(GroupState state) {
  switch (state) {
    case GroupState::kForming:
      return "FORMING";
    case GroupState::kFilled:
      return "FILLED";
    case GroupState::kFailed:
      return "FAILED";
    case GroupState::kCancelled:
      return "CANCELLED";
  }
  LOG(FATAL) << "no state " << static_cast<int>(state);
}

// What the holds that end with it are told.
const char* ReasonOf(GroupState state) {
  switch (state) {
    case GroupState::kFilled:
      return "GROUP_FULL";
    case GroupState::kFailed:
      return "GROUP_FAILED";
    case GroupState::kCancelled:
      return "GROUP_CANCELLED";
    case GroupState::kForming:
      break;
  }
  LOG(FATAL) << "it is not over";
}

}  // namespace

FakeLedger::StoredReservation* FakeLedger::PendingOf(const GroupMember& member) {
  StoredReservation* const stored = FindStored(member.reservation_id);
  const bool pending = stored != nullptr && stored->reservation.state == ReservationState::kPending;
  return pending ? stored : nullptr;
}

void FakeLedger::Fill(Group& group, bool partial, const Payment* last) {
  if (group.state == GroupState::kForming) groups_.End(group, GroupState::kFilled, DatabaseNow());
  group.partial = partial;
  // In the database, joins may be under way whose holds are not seen yet.
  if (!partial) groups_.unsettled.insert(group.group_id);
  bool leaves_one_out = Mutated(Mutation::kFilledLeavesOneOut);
  for (const GroupMember* member : groups_.MembersOf(group.group_id)) {
    StoredReservation* const stored = PendingOf(*member);
    if (stored == nullptr) continue;
    if (member->seat == 0) groups_.unsettled.insert(group.group_id);
    if (member->seat == 0 || std::exchange(leaves_one_out, false)) continue;
    Reservation& row = stored->reservation;
    row.payment_reference = member->payment_reference;
    Finish(*stored, ReservationState::kConfirmed);
    const bool is_last = last != nullptr && last->reservation_id == row.reservation_id;
    Tell("reservation.confirmed", row, is_last ? last->trace : TraceTag());
  }
}

int64_t FakeLedger::Fail(Group& group, GroupState state, UnitsBySku* returned) {
  groups_.End(group, state, DatabaseNow());
  int64_t ended = 0;
  for (const GroupMember* member : groups_.MembersOf(group.group_id)) {
    StoredReservation* const stored = PendingOf(*member);
    if (stored == nullptr) continue;
    if (member->seat == 0) {
      groups_.unsettled.insert(group.group_id);
      continue;
    }
    EndHold(*stored, ReasonOf(state), returned);
    if (!Mutated(Mutation::kFailureNotRefunded)) RequestRefund(stored->reservation, member->payment_reference);
    ++ended;
  }
  return ended;
}

void FakeLedger::EndIfEmpty(const Reservation& ended) {
  Group* const group = ended.group_id.has_value() ? groups_.Find(*ended.group_id) : nullptr;
  if (group == nullptr || group->state != GroupState::kForming) return;
  for (const GroupMember* member : groups_.MembersOf(group->group_id)) {
    if (member->seat != 0 || PendingOf(*member) != nullptr) return;
  }
  groups_.End(*group, GroupState::kFailed, DatabaseNow());
  group->reason = std::string(kReasonOfEmptyGroup);
  // In the database, joins may be under way whose holds are not seen yet.
  groups_.unsettled.insert(group->group_id);
}

int64_t FakeLedger::EndUnpaid(const Group& group, int64_t most, UnitsBySku* returned) {
  int64_t ended = 0;
  for (const GroupMember* member : groups_.MembersOf(group.group_id)) {
    StoredReservation* const stored = PendingOf(*member);
    if (stored == nullptr || member->seat != 0) continue;
    if (ended == most) return ended;
    EndHold(*stored, ReasonOf(group.state), returned);
    ++ended;
  }
  groups_.unsettled.erase(group.group_id);
  return ended;
}

void FakeLedger::EndAtDeadline(Group& group, ExpiredGroups* done, UnitsBySku* returned) {
  const GroupOffer& offer = groups_.offers.at({group.sku_id, group.offer_id});
  if (offer.on_timeout == OnGroupTimeout::kPartial && group.seats_taken >= offer.min_members) {
    ++done->filled;
    Fill(group, /*partial=*/true);
  } else {
    ++done->failed;
    done->ended += Fail(group, GroupState::kFailed, returned);
  }
}

absl::StatusOr<ExpiredGroups> FakeLedger::ExpireGroups(int limit) {
  CHECK(limit >= 1 && limit <= kMaxBatch);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const absl::Time now = DatabaseNow();
  const auto is_due = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !groups_.due().empty() && groups_.due().begin()->first <= now;
  };
  ExpiredGroups done;
  UnitsBySku returned;
  // A group without paid members counts, too.
  int64_t left = limit;
  while (is_due() && left > 0) {
    Group& group = *groups_.Find(groups_.due().begin()->second);
    left -= std::max(1, group.seats_taken);
    EndAtDeadline(group, &done, &returned);
  }
  const std::set<Uuid> unsettled = groups_.unsettled;
  for (auto it = unsettled.begin(); it != unsettled.end() && left > 0; ++it) {
    const int64_t ended = EndUnpaid(*groups_.Find(*it), left, &returned);
    left -= ended;
    done.ended += ended;
    done.settled += groups_.unsettled.contains(*it) ? 0 : 1;
  }
  ReturnUnits(returned);
  done.more = is_due() || !groups_.unsettled.empty();
  if (!groups_.due().empty()) done.until_next = groups_.due().begin()->first - now;
  return done;
}

absl::StatusOr<Group> FakeLedger::CancelGroup(const Uuid& group_id, const std::string& sku_id,
                                              const std::string& reason, bool preview, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (reason.size() > 256) return absl::InvalidArgumentError("too long a reason");
  Group* const group = groups_.Find(group_id);
  if (group == nullptr || (!sku_id.empty() && group->sku_id != sku_id)) {
    return absl::NotFoundError(absl::StrCat("no group ", group_id.ToString()));
  }
  if (group->state == GroupState::kCancelled) return *group;
  if (group->state != GroupState::kForming) {
    return absl::FailedPreconditionError(absl::StrCat("group ", group_id.ToString(), " is ", NameOf(group->state)));
  }
  if (preview) {
    Group seen = *group;
    seen.state = GroupState::kCancelled;
    seen.reason = reason;
    seen.finished_at = DatabaseNow();
    ++seen.revision;
    return seen;
  }
  UnitsBySku returned;
  group->reason = reason;
  Fail(*group, GroupState::kCancelled, &returned);
  EndUnpaid(*group, std::numeric_limits<int64_t>::max(), &returned);
  ReturnUnits(returned);
  const std::string seats = absl::StrCat("\"seats_taken\": ", group->seats_taken, "}");
  Audit(actor, "cancel_group", group->sku_id, kPool,
        absl::StrCat("{\"group\": \"", group_id.ToString(), "\", \"state\": \"FORMING\", ", seats),
        absl::StrCat("{\"group\": \"", group_id.ToString(), "\", \"state\": \"CANCELLED\", ", seats));
  return *group;
}

}  // namespace tranche::storage
