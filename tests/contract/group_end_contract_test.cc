// How groups end, on the fake and on PostgreSQL: what is due at a deadline, and what an operator cancels.
#include "tests/contract/group_end_contract.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::NewId;
using ::testing::SizeIs;

class GroupEndContract : public GroupEndTest {};
INSTANTIATE_TEST_SUITE_P(Both, GroupEndContract, BothLedgers(), LedgerName);

TEST_P(GroupEndContract, NothingIsDueBeforeTheDeadline) {
  ExpiredGroups none = ExpireGroups();
  EXPECT_EQ(none.until_next, absl::InfiniteDuration()) << "no group forms";
  EXPECT_FALSE(none.more);
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice");
  LetPass(kOpenFor - absl::Minutes(10));
  none = ExpireGroups();
  EXPECT_EQ(none.filled + none.failed + none.ended, 0);
  EXPECT_FALSE(none.more);
  EXPECT_LE(none.until_next, absl::Minutes(10));
  EXPECT_GT(none.until_next, absl::Minutes(8));
  EXPECT_EQ(StateOf(alice), ReservationState::kPending);
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kForming);
}

// Also if that was before: a worker tells how late it is.
TEST_P(GroupEndContract, TheFirstDeadlineOfTheGroupsThatFormIsTold) {
  OpenPaid(NewId(), "alice");
  OpenPaid(NewId(), "bob");
  LetPass(kOpenFor + absl::Minutes(10));
  ExpiredGroups some = ExpireGroups(/*limit=*/1);
  EXPECT_EQ(some.failed, 1);
  EXPECT_TRUE(some.more);
  EXPECT_LE(some.until_next, -absl::Minutes(10)) << "the other one's";
  EXPECT_GT(some.until_next, -absl::Minutes(12));
  ExpireAll();
  // A group that is over has none, however much of it is left to settle.
  const Uuid group_id = NewId();
  OpenPaid(group_id, "carol");
  Join(group_id, "idle");
  Join(group_id, "idler");
  JoinPaid(group_id, "dave");
  JoinPaid(group_id, "erin");
  Open(NewId(), "frank");
  some = ExpireGroups(/*limit=*/1);
  EXPECT_EQ(some.ended, 1);
  EXPECT_TRUE(some.more);
  EXPECT_LE(some.until_next, kOpenFor);
  EXPECT_GT(some.until_next, kOpenFor - absl::Minutes(2));
}

TEST_P(GroupEndContract, AGroupThatIsNotFullFailsAndWhoHasPaidIsRefunded) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice"), bob = JoinPaid(group_id, "bob"), idle = Join(group_id, "idle");
  const int32_t revision = GroupNow(group_id).revision;
  LetPass(kOpenFor);
  const ExpiredGroups expired = ExpireGroups();
  EXPECT_EQ(expired.failed, 1);
  EXPECT_EQ(expired.filled, 0);
  EXPECT_EQ(expired.ended, 3);
  EXPECT_FALSE(expired.more);
  EXPECT_EQ(expired.until_next, absl::InfiniteDuration());
  ExpectRefunded(alice, "GROUP_FAILED");
  ExpectRefunded(bob, "GROUP_FAILED");
  ExpectEndedUnpaid(idle, "GROUP_FAILED");
  EXPECT_EQ(Refunds(), 2);
  EXPECT_EQ(InPool(), 3);
  EXPECT_EQ(Unsold(), 50);
  const Group group = GroupNow(group_id);
  EXPECT_EQ(group.state, GroupState::kFailed);
  EXPECT_EQ(group.seats_taken, 2) << "by how many it failed";
  EXPECT_FALSE(group.partial);
  EXPECT_GT(group.revision, revision);
  ASSERT_TRUE(group.finished_at.has_value());
  EXPECT_GE(*group.finished_at, group.deadline_at);
  EXPECT_EQ(MemberNow(group_id, "bob").seat, 2);
  const ExpiredGroups again = ExpireGroups();
  EXPECT_EQ(again.failed + again.filled + again.ended, 0);
  EXPECT_EQ(Refunds(), 2);
}

TEST_P(GroupEndContract, APaymentAfterItsGroupHasFailedIsRefundedOnce) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice"), idle = Join(group_id, "idle");
  LetPass(kOpenFor);
  ExpireAll();
  EXPECT_EQ(Pay(idle).refusal, kReservationState);
  for (const bool replayed : {false, true}) {
    const ChangeResult late = PayLate(idle);
    EXPECT_EQ(late.outcome, kPaidUnfulfilled) << "the group has ended their hold";
    EXPECT_EQ(late.replayed, replayed);
    EXPECT_EQ(late.reservation.state, ReservationState::kCancelled);
  }
  EXPECT_EQ(Refunds(), 2);
  EXPECT_EQ(Pay(alice).refusal, kReservationState) << "their payment has bought nothing";
  const ChangeResult again = PayLate(alice);
  EXPECT_EQ(again.outcome, kPaidUnfulfilled);
  EXPECT_TRUE(again.replayed) << "its refund was asked for";
  EXPECT_EQ(Refunds(), 2);
  EXPECT_EQ(Cancel(alice).outcome, kReplayed) << "they are out already";
}

TEST_P(GroupEndContract, WhoStaysAloneIsRefunded) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice");
  LetPass(kOpenFor);
  EXPECT_EQ(ExpireAll().ended, 1);
  ExpectRefunded(alice, "GROUP_FAILED");
  EXPECT_EQ(Refunds(), 1);
  EXPECT_EQ(Unsold(), 50);
}

TEST_P(GroupEndContract, APartialOfferIsSoldToThoseWhoHavePaid) {
  Offer(PartialOf("tv", 5, 2));
  const Uuid group_id = NewId();
  const std::vector<Reservation> paid = {OpenPaid(group_id, "alice", "partial"), JoinPaid(group_id, "bob"),
                                         JoinPaid(group_id, "carol")};
  const Reservation idle = Join(group_id, "idle");
  LetPass(kOpenFor);
  const ExpiredGroups expired = ExpireAll();
  EXPECT_EQ(expired.filled, 1);
  EXPECT_EQ(expired.failed, 0);
  EXPECT_EQ(expired.ended, 1) << "who has not paid";
  for (const Reservation& member : paid) {
    const Reservation sold = Read(member.reservation_id);
    EXPECT_EQ(sold.state, ReservationState::kConfirmed);
    EXPECT_EQ(sold.payment_reference, absl::StrCat("pay-", member.user_id));
    EXPECT_THAT(KindsOf(member), ElementsAre("group.seat_taken", "reservation.confirmed"));
    EXPECT_EQ(Pay(member).outcome, kReplayed);
  }
  ExpectEndedUnpaid(idle, "GROUP_FULL");
  EXPECT_EQ(PayLate(idle).outcome, kPaidUnfulfilled);
  const Group group = GroupNow(group_id);
  EXPECT_EQ(group.state, GroupState::kFilled);
  EXPECT_TRUE(group.partial);
  EXPECT_EQ(group.seats_taken, 3);
  EXPECT_EQ(group.seats, 5);
  EXPECT_EQ(Refunds(), 1) << "the late one's";
  EXPECT_EQ(Unsold(), 47);
}

TEST_P(GroupEndContract, APartialOfferWithTooFewFails) {
  Offer(PartialOf("tv", 5, 3));
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice", "partial"), bob = JoinPaid(group_id, "bob"),
                    idle = Join(group_id, "idle");
  LetPass(kOpenFor);
  EXPECT_EQ(ExpireAll().failed, 1);
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kFailed);
  EXPECT_FALSE(GroupNow(group_id).partial);
  ExpectRefunded(alice, "GROUP_FAILED");
  ExpectRefunded(bob, "GROUP_FAILED");
  ExpectEndedUnpaid(idle, "GROUP_FAILED");
  EXPECT_EQ(Unsold(), 50);
}

TEST_P(GroupEndContract, WhoHasNotPaidWhenItIsFilledIsEndedByAWorker) {
  const Uuid group_id = NewId();
  OpenPaid(group_id, "alice");
  JoinPaid(group_id, "bob");
  const Reservation idle = Join(group_id, "idle"), lapsed = Join(group_id, "lapsed"), left = Join(group_id, "left");
  JoinPaid(group_id, "carol");
  Cancel(left);
  const ExpiredGroups expired = ExpireAll();
  EXPECT_EQ(expired.filled + expired.failed, 0) << "it was filled before";
  EXPECT_EQ(expired.ended, 2);
  ExpectEndedUnpaid(idle, "GROUP_FULL");
  ExpectEndedUnpaid(lapsed, "GROUP_FULL");
  EXPECT_EQ(GroupNow(group_id).seats_taken, 3);
  EXPECT_EQ(Unsold(), 47);
  EXPECT_EQ(Refunds(), 0);
}

TEST_P(GroupEndContract, BatchesAreCountedInMembers) {
  std::vector<Uuid> ids;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(NewId());
    OpenPaid(ids.back(), absl::StrCat("opener-", i));
    JoinPaid(ids.back(), absl::StrCat("friend-", i));
  }
  LetPass(kOpenFor);
  for (size_t ended = 1; ended <= ids.size(); ++ended) {
    const ExpiredGroups some = ExpireGroups(/*limit=*/2);
    EXPECT_EQ(some.failed, 1);
    EXPECT_EQ(some.ended, 2);
    EXPECT_EQ(some.more, ended < ids.size());
    if (some.more) {
      EXPECT_LE(some.until_next, absl::ZeroDuration()) << "others are due already";
    } else {
      EXPECT_EQ(some.until_next, absl::InfiniteDuration());
    }
    for (size_t i = 0; i < ids.size(); ++i) {
      EXPECT_EQ(GroupNow(ids[i]).state, i < ended ? GroupState::kFailed : GroupState::kForming) << "the oldest first";
    }
  }
}

TEST_P(GroupEndContract, AllWhoHavePaidAreSettledAtOnceAndOthersByAndBy) {
  Offer(OfferOf("tv", 10, "ten"));
  const Uuid group_id = NewId();
  std::vector<Reservation> paid = {OpenPaid(group_id, "p0", "ten")}, idle;
  for (int i = 1; i < 6; ++i) paid.push_back(JoinPaid(group_id, absl::StrCat("p", i)));
  for (int i = 0; i < 3; ++i) idle.push_back(Join(group_id, absl::StrCat("i", i)));
  LetPass(kOpenFor);
  const ExpiredGroups first = ExpireGroups(/*limit=*/2);
  EXPECT_EQ(first.failed, 1);
  EXPECT_EQ(first.ended, 6) << "in one transaction, whatever the limit is";
  EXPECT_TRUE(first.more);
  EXPECT_EQ(Refunds(), 6);
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kFailed);
  EXPECT_THAT(Listed({ReservationState::kPending}), SizeIs(3));
  LetPass(kGroupOverdue);
  EXPECT_EQ(Counts().overdue, 1) << "over, and not settled";
  const ExpiredGroups second = ExpireGroups(/*limit=*/2);
  EXPECT_EQ(second.failed, 0);
  EXPECT_EQ(second.ended, 2);
  EXPECT_TRUE(second.more);
  const ExpiredGroups third = ExpireGroups(/*limit=*/2);
  EXPECT_EQ(third.ended, 1);
  EXPECT_FALSE(third.more);
  EXPECT_EQ(Counts().overdue, 0);
  for (const Reservation& hold : idle) ExpectEndedUnpaid(hold, "GROUP_FAILED");
  EXPECT_EQ(Unsold(), 50);
}

TEST_P(GroupEndContract, AnOperatorEndsAGroupWithAllItsHolds) {
  const Uuid group_id = NewId(), other_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice"), bob = JoinPaid(group_id, "bob"), idle = Join(group_id, "idle");
  const Reservation other = OpenPaid(other_id, "other");
  const size_t audited = AuditEntries();
  const auto seen = CancelGroup(group_id, /*preview=*/true);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(seen->state, GroupState::kCancelled);
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kForming) << "that was a preview";
  EXPECT_EQ(StateOf(alice), ReservationState::kPending);
  EXPECT_EQ(AuditEntries(), audited);

  const auto cancelled = CancelGroup(group_id);
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->state, GroupState::kCancelled);
  EXPECT_EQ(cancelled->reason, "wrong price");
  EXPECT_EQ(cancelled->seats_taken, 2);
  EXPECT_EQ(cancelled->revision, seen->revision);
  EXPECT_TRUE(cancelled->finished_at.has_value());
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kCancelled);
  EXPECT_EQ(GroupNow(group_id).reason, "wrong price");
  ExpectRefunded(alice, "GROUP_CANCELLED");
  ExpectRefunded(bob, "GROUP_CANCELLED");
  ExpectEndedUnpaid(idle, "GROUP_CANCELLED");
  EXPECT_EQ(StateOf(other), ReservationState::kPending);
  EXPECT_EQ(Refunds(), 2);
  EXPECT_EQ(InPool(), 3);
  EXPECT_EQ(AuditEntries(), audited + 1);
  const auto entries = stock().ListAudit({.action = "cancel_group"}, 0, 10);
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_THAT(*entries, SizeIs(1));
  EXPECT_EQ(entries->front().sku_id, "tv");
  EXPECT_EQ(entries->front().actor, "alice");
  EXPECT_THAT(entries->front().before, HasSubstr(group_id.ToString()));
  EXPECT_THAT(entries->front().before, HasSubstr("\"seats_taken\": 2"));
  EXPECT_THAT(entries->front().after, HasSubstr("\"seats_taken\": 2")) << "by how many it was paid";

  const auto again = CancelGroup(group_id);
  ASSERT_TRUE(again.ok()) << "the answer was lost: " << again.status();
  EXPECT_EQ(again->revision, cancelled->revision);
  EXPECT_EQ(again->finished_at, cancelled->finished_at);
  EXPECT_EQ(AuditEntries(), audited + 1);
  EXPECT_EQ(Refunds(), 2);
  EXPECT_EQ(PayLate(idle).outcome, kPaidUnfulfilled);
}

TEST_P(GroupEndContract, OnlyAGroupThatFormsIsCancelled) {
  constexpr auto kForbidden = absl::StatusCode::kFailedPrecondition;
  EXPECT_EQ(CancelGroup(NewId()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(CancelGroup(NewId(), /*preview=*/true).status().code(), absl::StatusCode::kNotFound);
  const Uuid filled_id = Filled(3), failed_id = NewId(), late_id = NewId();
  EXPECT_EQ(CancelGroup(filled_id).status().code(), kForbidden);
  EXPECT_EQ(CancelGroup(filled_id, /*preview=*/true).status().code(), kForbidden);
  EXPECT_EQ(GroupNow(filled_id).state, GroupState::kFilled);
  Open(failed_id, "alice");
  LetPass(kOpenFor);
  ExpireAll();
  EXPECT_EQ(CancelGroup(failed_id).status().code(), kForbidden);
  const Reservation bob = OpenPaid(late_id, "bob");
  LetPass(kOpenFor);
  EXPECT_TRUE(CancelGroup(late_id).ok()) << "a worker has not looked yet";
  ExpectRefunded(bob, "GROUP_CANCELLED");
}

}  // namespace
}  // namespace tranche::storage
