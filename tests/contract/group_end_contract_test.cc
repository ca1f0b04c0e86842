// How memberships and groups end, on the fake and on PostgreSQL: who leaves, what is due, what an operator cancels. And
// what is told of groups.
#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/contract/group_contract.h"
#include "tests/contract/race.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::NewId;
using testing::Retrying;
using testing::RunThreads;
using ::testing::SizeIs;

class GroupEndContract : public GroupContractTest {
 protected:
  void SetUp() override { Sell("tv", 50, /*seats=*/3); }

  // All that is due, in calls of at most so many.
  ExpiredGroups ExpireAll(int limit = 1'000) {
    ExpiredGroups sum;
    for (int calls = 0; calls < 1'000; ++calls) {
      const ExpiredGroups some = ExpireGroups(limit);
      sum.filled += some.filled;
      sum.failed += some.failed;
      sum.ended += some.ended;
      sum.settled += some.settled;
      sum.until_next = some.until_next;
      if (!some.more) return sum;
    }
    ADD_FAILURE() << "it does not end";
    return sum;
  }
  void ExpectRefunded(const Reservation& hold, const std::string& reason) {
    const Reservation ended = Read(hold.reservation_id);
    EXPECT_EQ(ended.state, ReservationState::kCancelled) << hold.user_id;
    EXPECT_EQ(ended.cancel_reason, reason);
    EXPECT_EQ(ended.payment_reference, "") << "it bought nothing";
    EXPECT_TRUE(ended.finished_at.has_value());
    EXPECT_THAT(KindsOf(hold), ElementsAre("group.seat_taken", "reservation.cancelled", "payment.refund_requested"));
    EXPECT_THAT(PayloadOf(hold, "payment.refund_requested"),
                HasSubstr(absl::StrCat("\"payment_reference\": \"pay-", hold.user_id, "\"")));
  }
  void ExpectEndedUnpaid(const Reservation& hold, const std::string& reason) {
    EXPECT_EQ(StateOf(hold), ReservationState::kCancelled) << hold.user_id;
    EXPECT_EQ(ReasonOf(hold), reason);
    EXPECT_THAT(KindsOf(hold), ElementsAre("reservation.cancelled"));
  }
  // Receivers of messages must still find what these are about, so nothing is retired before.
  void DeliverAll() {
    const auto messages = outbox().ListMessages("default", OutboxState::kPending, {}, 1'000);
    ASSERT_TRUE(messages.ok()) << messages.status();
    std::vector<OutboxKey> keys;
    for (const OutboxMessage& message : *messages) keys.push_back(message.key);
    ASSERT_TRUE(outbox().MarkDelivered(keys).ok());
  }
  int64_t RetireGroups(absl::Duration age = kLeastRetention, int limit = 100) {
    const auto retired = groups().RetireGroups(age, limit);
    EXPECT_TRUE(retired.ok()) << retired.status();
    return retired.value_or(-1);
  }
  // The ids, in pages of this size.
  std::vector<Uuid> Groups(const GroupFilter& filter, int page_size = kMaxGroupPage) {
    std::vector<Uuid> ids;
    GroupCursor after;
    while (true) {
      const auto page = groups().ListGroups(filter, after, page_size);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return ids;
      EXPECT_LE(page->groups.size(), static_cast<size_t>(page_size));
      for (const Group& group : page->groups) ids.push_back(group.group_id);
      if (!page->next.has_value()) return ids;
      after = *page->next;
    }
  }
  GroupCounts Counts() {
    const auto counts = groups().CountGroups();
    EXPECT_TRUE(counts.ok()) << counts.status();
    return counts.value_or(GroupCounts{});
  }
};
INSTANTIATE_TEST_SUITE_P(Both, GroupEndContract, BothLedgers(), LedgerName);

TEST_P(GroupEndContract, WhoLeavesBeforePayingGivesTheUnitBack) {
  const Uuid group_id = NewId();
  Open(group_id, "alice");
  const Reservation bob = Join(group_id, "bob");
  const int32_t revision = GroupNow(group_id).revision;
  const ChangeResult left = Cancel(bob, "too slow");
  EXPECT_EQ(left.outcome, kDone);
  EXPECT_EQ(left.reservation.state, ReservationState::kCancelled);
  EXPECT_EQ(left.reservation.cancel_reason, "too slow");
  ExpectSame(Read(bob.reservation_id), left.reservation);
  EXPECT_THAT(KindsOf(bob), ElementsAre("reservation.cancelled"));
  EXPECT_EQ(InPool(), 1);
  EXPECT_EQ(Refunds(), 0);
  EXPECT_EQ(GroupNow(group_id).seats_taken, 0);
  EXPECT_EQ(GroupNow(group_id).revision, revision) << "they had no seat";
  EXPECT_EQ(MemberNow(group_id, "bob").reservation_state, ReservationState::kCancelled);
  EXPECT_EQ(Cancel(bob, "again").outcome, kReplayed);
  EXPECT_EQ(ReasonOf(bob), "too slow") << "the first reason stands";
}

TEST_P(GroupEndContract, WhoLeavesAfterPayingIsRefundedAndTheirSeatIsFree) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice"), bob = JoinPaid(group_id, "bob");
  const int32_t revision = GroupNow(group_id).revision;
  const ChangeResult left = Cancel(alice, "moved");
  EXPECT_EQ(left.outcome, kDone);
  EXPECT_EQ(left.reservation.state, ReservationState::kCancelled);
  ExpectSame(Read(alice.reservation_id), left.reservation);
  ExpectRefunded(alice, "moved");
  EXPECT_EQ(Refunds(), 1);
  EXPECT_EQ(InPool(), 1);
  const Group group = GroupNow(group_id);
  EXPECT_EQ(group.state, GroupState::kForming);
  EXPECT_EQ(group.seats_taken, 1);
  EXPECT_GT(group.revision, revision);
  const GroupMember member = MemberNow(group_id, "alice");
  EXPECT_EQ(member.seat, 0);
  EXPECT_FALSE(member.paid_at.has_value());
  EXPECT_EQ(member.payment_reference, "");
  // Once, however often they ask.
  EXPECT_EQ(Cancel(alice).outcome, kReplayed);
  EXPECT_EQ(Pay(alice).refusal, kReservationState);
  EXPECT_EQ(PayLate(alice).refusal, kReservationState);
  EXPECT_TRUE(PayLate(alice).replayed);
  EXPECT_EQ(Refunds(), 1);
  EXPECT_THAT(KindsOf(alice), SizeIs(3));
  // Others take the seats that are left, the opener's too.
  JoinPaid(group_id, "carol");
  const Reservation back = JoinPaid(group_id, "alice");
  EXPECT_EQ(back.state, ReservationState::kConfirmed);
  EXPECT_EQ(StateOf(bob), ReservationState::kConfirmed);
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kFilled);
  EXPECT_EQ(Unsold(), 47);
}

TEST_P(GroupEndContract, NobodyLeavesAGroupThatIsFilled) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice"), idle = Join(group_id, "idle");
  JoinPaid(group_id, "bob");
  JoinPaid(group_id, "carol");
  EXPECT_EQ(Cancel(alice).refusal, kReservationState);
  EXPECT_EQ(StateOf(alice), ReservationState::kConfirmed);
  EXPECT_EQ(Cancel(idle).outcome, kDone) << "who has not paid has nothing to leave but their hold";
  EXPECT_EQ(GroupNow(group_id).seats_taken, 3);
  EXPECT_EQ(Refunds(), 0);
}

TEST_P(GroupEndContract, AfterTheDeadlineASeatIsTheWorkersToDecide) {
  Offer(PartialOf("tv", 3, 1));
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice", "partial"), idle = Join(group_id, "idle");
  LetPass(kOpenFor);
  EXPECT_EQ(Cancel(alice).refusal, kReservationState) << "they may have bought it";
  EXPECT_EQ(Cancel(idle).outcome, kDone);
  EXPECT_EQ(StateOf(alice), ReservationState::kPending);
  EXPECT_EQ(ExpireAll().filled, 1);
  EXPECT_EQ(StateOf(alice), ReservationState::kConfirmed);
}

TEST_P(GroupEndContract, ABatchOfCancellationsMayHaveBoth) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice"), bob = Join(group_id, "bob"),
                    alone = Book(Claim("tv", "alone")), sold = Book(Claim("tv", "sold"));
  Pay(sold);
  const std::vector<ChangeResult> results = Cancel(std::vector<Cancellation>{{alice.reservation_id, "a"},
                                                                             {alone.reservation_id, "b"},
                                                                             {NewId(), "c"},
                                                                             {bob.reservation_id, "d"},
                                                                             {sold.reservation_id, "e"}});
  EXPECT_EQ(results[0].outcome, kDone);
  EXPECT_EQ(results[1].outcome, kDone);
  EXPECT_EQ(results[2].refusal, kReservationNotFound);
  EXPECT_EQ(results[3].outcome, kDone);
  EXPECT_EQ(results[4].refusal, kReservationState);
  EXPECT_EQ(ReasonOf(alice), "a");
  EXPECT_EQ(ReasonOf(alone), "b");
  EXPECT_EQ(ReasonOf(bob), "d");
  EXPECT_EQ(Refunds(), 1);
  EXPECT_EQ(GroupNow(group_id).seats_taken, 0);
  EXPECT_EQ(InPool(), 3);
}

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

TEST_P(GroupEndContract, AGroupInWhichNobodyIsAnyMoreFailsAtOnce) {
  const Uuid left_id = NewId(), lapsed_id = NewId();
  const Reservation alice = OpenPaid(left_id, "alice"), bob = Join(left_id, "bob"), carol = Open(lapsed_id, "carol"),
                    dave = Join(lapsed_id, "dave");
  Cancel(alice);
  EXPECT_EQ(GroupNow(left_id).state, GroupState::kForming) << "somebody is left";
  Cancel(bob);
  Cancel(dave);
  LetPass(kPayWithin);
  EXPECT_EQ(Expire().expired, 1);
  for (const Uuid& group_id : {left_id, lapsed_id}) {
    const Group group = GroupNow(group_id);
    EXPECT_EQ(group.state, GroupState::kFailed);
    EXPECT_EQ(group.reason, std::string(kReasonOfEmptyGroup));
    ASSERT_TRUE(group.finished_at.has_value());
    EXPECT_LT(*group.finished_at, group.deadline_at);
    EXPECT_EQ(Try(ClaimIn(group_id, "late")), kGroupOver);
  }
  EXPECT_EQ(PayLate(carol).outcome, kPaidUnfulfilled);
  EXPECT_EQ(Counts().forming, 0);
  const ExpiredGroups expired = ExpireAll();
  EXPECT_EQ(expired.failed, 0) << "it is over already";
  EXPECT_EQ(expired.ended, 0);
  EXPECT_EQ(expired.settled, 2) << "that was work, all the same";
  EXPECT_EQ(Refunds(), 2) << "alice's, and the late one's";
  EXPECT_EQ(Unsold(), 50);
}

TEST_P(GroupEndContract, AGroupInWhichSomebodyIsGoesOn) {
  const Uuid group_id = NewId();
  const Reservation opener = Open(group_id, "opener");
  LetPass(kPayWithin / 2);
  Join(group_id, "friend");
  LetPass(kPayWithin / 2);
  EXPECT_EQ(Expire().expired, 1);
  EXPECT_EQ(StateOf(opener), ReservationState::kExpired);
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kForming) << "without its opener";
  EXPECT_EQ(Try(ClaimIn(group_id, "another")), CommitOutcome::kCreated);
}

// All of the last members at once.
TEST_P(GroupEndContract, AGroupThatAllLeaveInOneBatchEndsOnce) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice"), bob = Join(group_id, "bob"),
                    carol = JoinPaid(group_id, "carol");
  const int32_t revision = GroupNow(group_id).revision;
  for (const ChangeResult& left : Cancel(std::vector<Cancellation>{
           {bob.reservation_id, "b"}, {alice.reservation_id, "a"}, {carol.reservation_id, "c"}})) {
    EXPECT_EQ(left.outcome, kDone);
  }
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kFailed);
  EXPECT_EQ(GroupNow(group_id).seats_taken, 0);
  EXPECT_GT(GroupNow(group_id).revision, revision);
  EXPECT_EQ(Refunds(), 2);
  EXPECT_EQ(InPool(), 3);
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

// Those with a seat, the live ones, the others; each in the order of joining.
TEST_P(GroupEndContract, MembersAreToldWithTheirSeatsFirst) {
  const Uuid group_id = NewId();
  const Reservation gone = Open(group_id, "gone");
  Join(group_id, "zoe");
  const Reservation left = Join(group_id, "mia");
  Join(group_id, "abe");
  Cancel(left);
  Cancel(gone);
  Join(group_id, "mia");
  JoinPaid(group_id, "paul");
  JoinPaid(group_id, "ann");
  std::vector<std::string> names;
  for (const GroupMember& member : Members(group_id)) names.push_back(member.user_id);
  EXPECT_THAT(names, ElementsAre("paul", "ann", "zoe", "abe", "mia", "gone")) << "mia has joined again";
}

TEST_P(GroupEndContract, OfMembersThoseAreToldThatAreAskedFor) {
  using Members = GroupLookup::Members;
  const Uuid group_id = NewId();
  Open(group_id, "zoe");
  const Reservation abe = JoinPaid(group_id, "abe");
  EXPECT_THAT(MembersTold(group_id, {}), IsEmpty());
  const std::vector<GroupMember> one = MembersTold(group_id, {.members = Members::kOne, .user_id = "abe"});
  ASSERT_THAT(one, SizeIs(1));
  EXPECT_EQ(one[0].reservation_id, abe.reservation_id);
  EXPECT_EQ(one[0].seat, 1);
  EXPECT_THAT(MembersTold(group_id, {.members = Members::kOne, .user_id = "nobody"}), IsEmpty());
  EXPECT_THAT(MembersTold(group_id, {.members = Members::kAll}), SizeIs(2));
}

TEST_P(GroupEndContract, AGroupOfAnotherSkuIsNotFound) {
  const Uuid group_id = NewId();
  Open(group_id, "zoe");
  EXPECT_TRUE(absl::IsNotFound(groups().GetGroup(NewId(), {}).status()));
  EXPECT_TRUE(groups().GetGroup(group_id, {.sku_id = "tv"}).ok());
  EXPECT_TRUE(absl::IsNotFound(groups().GetGroup(group_id, {.sku_id = "radio"}).status()));
  EXPECT_TRUE(absl::IsNotFound(CancelGroup(group_id, /*preview=*/true, "radio").status()));
  EXPECT_TRUE(absl::IsNotFound(CancelGroup(group_id, /*preview=*/false, "radio").status()));
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kForming);
  EXPECT_TRUE(CancelGroup(group_id, /*preview=*/false, "tv").ok());
}

TEST_P(GroupEndContract, GroupsAreListedByDeadline) {
  Sell("radio", 5, 2);
  GroupOffer brief = OfferOf("tv", 3, "brief");
  brief.open_for = absl::Hours(1);
  Offer(brief);
  std::vector<Uuid> ids;  // by deadline
  for (const char* offer : {"team", "team", "brief", "brief"}) {
    ids.push_back(NewId());
    Open(ids.back(), absl::StrCat("u", ids.size()), offer);
  }
  std::swap(ids[0], ids[2]);
  std::swap(ids[1], ids[3]);
  ReservationClaim radio = ClaimIn(NewId(), "alice", "team");
  radio.sku_id = "radio";
  Book(radio);
  ASSERT_TRUE(CancelGroup(ids[1]).ok());
  for (const int page_size : {1, 2, 3, kMaxGroupPage}) {
    EXPECT_THAT(Groups({.sku_id = "tv"}, page_size), ElementsAreArray(ids));
    EXPECT_THAT(Groups({.sku_id = "tv", .offer_id = "team"}, page_size), ElementsAre(ids[2], ids[3]));
    EXPECT_THAT(Groups({.sku_id = "tv", .states = {GroupState::kForming}}, page_size),
                ElementsAre(ids[0], ids[2], ids[3]));
    EXPECT_THAT(Groups({.sku_id = "tv", .offer_id = "brief", .states = {GroupState::kCancelled, GroupState::kFailed}},
                       page_size),
                ElementsAre(ids[1]));
    EXPECT_THAT(Groups({.sku_id = "tv", .states = {GroupState::kFilled}}, page_size), IsEmpty());
  }
  EXPECT_THAT(Groups({.sku_id = "radio"}), ElementsAre(radio.group->group_id));
  EXPECT_TRUE(absl::IsNotFound(groups().ListGroups({.sku_id = "sofa"}, {}, 10).status()));
  EXPECT_TRUE(absl::IsNotFound(groups().ListGroupOffers("sofa").status()));
}

TEST_P(GroupEndContract, WhatIsOverdueIsCounted) {
  EXPECT_EQ(Counts().forming, 0);
  Open(NewId(), "alice");
  Open(NewId(), "bob");
  EXPECT_EQ(Counts().forming, 2);
  EXPECT_EQ(Counts().overdue, 0);
  LetPass(kOpenFor + kGroupOverdue);
  EXPECT_EQ(Counts().forming, 2);
  EXPECT_EQ(Counts().overdue, 2);
  ExpireAll();
  EXPECT_EQ(Counts().forming, 0);
  EXPECT_EQ(Counts().overdue, 0);
}

TEST_P(GroupEndContract, GroupsAreKeptForADayAtLeast) {
  EXPECT_EQ(groups().RetireGroups(kLeastRetention - absl::Seconds(1), 10).status().code(),
            absl::StatusCode::kInvalidArgument);
  const Uuid filled_id = Filled(3), cancelled_id = NewId(), forming_id = NewId();
  Open(cancelled_id, "alice");
  ASSERT_TRUE(CancelGroup(cancelled_id).ok());
  Open(forming_id, "bob");
  ExpireAll();
  LetPass(kLeastRetention - absl::Hours(1));
  EXPECT_EQ(RetireGroups(), 0);
  LetPass(absl::Hours(2));
  EXPECT_EQ(RetireGroups(2 * kLeastRetention), 0);
  EXPECT_EQ(RetireGroups(kLeastRetention, /*limit=*/1), 1);
  EXPECT_TRUE(absl::IsNotFound(groups().GetGroup(filled_id, {}).status())) << "the oldest first";
  EXPECT_EQ(RetireGroups(), 1);
  EXPECT_TRUE(absl::IsNotFound(groups().GetGroup(cancelled_id, {}).status()));
  EXPECT_EQ(RetireGroups(), 0);
  EXPECT_EQ(GroupNow(forming_id).state, GroupState::kForming) << "however old";
  EXPECT_EQ(Try(ClaimIn(filled_id, "late")), kGroupNotFound);
  // What was sold stays so.
  for (const Reservation& sold : Listed({ReservationState::kConfirmed})) {
    EXPECT_EQ(Confirm(PaymentBy(sold)).outcome, kReplayed);
    EXPECT_EQ(Cancel(sold).refusal, kReservationState);
  }
}

TEST_P(GroupEndContract, AGroupOutlastsItsReservations) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice"), idle = Join(group_id, "idle"), left = Join(group_id, "left");
  Cancel(left);
  LetPass(kOpenFor);
  ExpireAll();
  DeliverAll();
  LetPass(kLeastRetention + absl::Hours(1));
  const auto retired = upkeep().RetireReservations(kLeastRetention, 100, Retired::kArchive);
  ASSERT_TRUE(retired.ok()) << retired.status();
  EXPECT_EQ(*retired, 3);
  const GroupMember member = MemberNow(group_id, "alice");
  EXPECT_FALSE(member.reservation_state.has_value());
  EXPECT_EQ(member.quantity, 0);
  EXPECT_EQ(member.seat, 1);
  EXPECT_EQ(GroupNow(group_id).seats_taken, 1);
  // The record of a payment, and its message, still know the group. It is answered as while the reservation was kept.
  for (const bool replayed : {false, true}) {
    const ChangeResult late = PayLate(idle);
    EXPECT_EQ(late.outcome, kPaidUnfulfilled) << "the group has ended their hold";
    EXPECT_EQ(late.replayed, replayed);
    EXPECT_EQ(late.reservation.state, ReservationState::kCancelled);
  }
  const ChangeResult again = PayLate(alice);
  EXPECT_EQ(again.outcome, kPaidUnfulfilled);
  EXPECT_TRUE(again.replayed) << "its refund was asked for";
  EXPECT_EQ(PayLate(left).refusal, kReservationState) << "they wanted to leave";
  EXPECT_EQ(Refunds(), 3);
  EXPECT_THAT(PayloadOf(idle, "payment.refund_requested"),
              HasSubstr(absl::StrCat("\"group_id\": \"", group_id.ToString(), "\"")));
}

class GroupEndRaceContract : public GroupEndContract {
 protected:
  // Claims as a node does: without waiting at first.
  CommitResult JoinAsNode(const ReservationClaim& claim) {
    for (const LockMode mode : {LockMode::kSkipLocked, LockMode::kWait}) {
      const auto results = Retrying([&] { return reservations().CommitReservations(node_, mode, {&claim, 1}); });
      EXPECT_TRUE(results.ok()) << results.status();
      if (!results.ok()) return {};
      if (results->front().outcome != CommitOutcome::kBusy) return results->front();
    }
    ADD_FAILURE() << "busy, although it may wait";
    return {};
  }
  ChangeResult PayAsNode(const Payment& payment) {
    const auto paid = Retrying([&] { return lifecycle().ConfirmReservations({payment}); });
    EXPECT_TRUE(paid.ok()) << paid.status();
    if (!paid.ok()) return {};
    const Refusal refusal = paid->front().refusal;
    if (refusal != kGroupOver && refusal != kReservationState) return paid->front();
    const auto late = Retrying([&] { return lifecycle().ConfirmLate(payment); });
    EXPECT_TRUE(late.ok()) << late.status();
    return late.value_or(ChangeResult{});
  }
  ExpiredGroups ExpireAsWorker(int limit) {
    const auto expired = Retrying([&] { return groups().ExpireGroups(limit); });
    EXPECT_TRUE(expired.ok()) << expired.status();
    return expired.value_or(ExpiredGroups{});
  }
};
INSTANTIATE_TEST_SUITE_P(Both, GroupEndRaceContract, BothLedgers(), LedgerName);

// Whoever comes before the deadline is ended by it, and whoever comes after it is refused.
TEST_P(GroupEndRaceContract, NoJoinAndNoPaymentOutlastsTheDeadline) {
  constexpr int kBuyers = 4;       // threads
  constexpr int kPaidOfEach = 20;  // so that the group is never full
  constexpr int64_t kStock = 100'000;
  ASSERT_TRUE(stock().AddStock("tv", kStock - 50, std::nullopt, "test").ok());
  Move("tv", {{node_, kStock - 50}});
  GroupOffer brief = OfferOf("tv", kMostSeats, "brief");
  brief.open_for = absl::Seconds(3);
  Offer(brief);
  const Uuid group_id = NewId();
  OpenPaid(group_id, "opener", "brief");
  std::atomic<int64_t> payments{1};
  std::atomic<int> joining{kBuyers};
  RunThreads(kBuyers + 2, [&](int thread) {
    if (thread >= kBuyers) {
      while (joining > 0) {
        ExpireAsWorker(30);
        absl::SleepFor(absl::Milliseconds(1));
      }
      return;
    }
    for (int i = 0;; ++i) {
      const CommitResult joined = JoinAsNode(ClaimIn(group_id, absl::StrCat("u", thread, "-", i)));
      if (joined.outcome != CommitOutcome::kCreated) {
        EXPECT_EQ(Answer(joined), kGroupOver);
        break;
      }
      if (i < kPaidOfEach) {
        const ChangeResult paid = PayAsNode(PaymentBy(joined.reservation));
        EXPECT_TRUE(paid.outcome == kDone || paid.outcome == kPaidUnfulfilled);
        ++payments;
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
    --joining;
  });
  ExpireAll();
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kFailed);
  EXPECT_THAT(Listed({ReservationState::kPending, ReservationState::kConfirmed}), IsEmpty());
  EXPECT_EQ(Unsold(), kStock);
  EXPECT_EQ(Refunds(), payments) << "each payment is to be refunded, once";
}

TEST_P(GroupEndRaceContract, WorkersSideBySideEndEachGroupOnce) {
  constexpr int kGroups = 60;
  ASSERT_TRUE(stock().AddStock("tv", 1'000, std::nullopt, "test").ok());
  Move("tv", {{node_, 1'000}});
  for (int i = 0; i < kGroups; ++i) {
    const Uuid group_id = NewId();
    OpenPaid(group_id, absl::StrCat("opener-", i));
    JoinPaid(group_id, absl::StrCat("friend-", i));
    Join(group_id, absl::StrCat("idle-", i));
  }
  LetPass(kOpenFor);
  std::atomic<int64_t> failed{0}, ended{0};
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  RunThreads(3, [&](int) {
    // Each passes over what another one has locked, and comes back to it.
    while (ended < 3 * kGroups && absl::Now() < give_up) {
      const ExpiredGroups expired = ExpireAsWorker(7);
      failed += expired.failed;
      ended += expired.ended;
    }
  });
  EXPECT_EQ(failed, kGroups);
  EXPECT_EQ(ended, 3 * kGroups);
  EXPECT_EQ(Refunds(), 2 * kGroups);
  EXPECT_EQ(Unsold(), 1'050);
}

// All or nothing: the group is sold to all who have paid, or all of them are refunded.
TEST_P(GroupEndRaceContract, TheLastPaymentAndTheOperatorsEndExcludeEachOther) {
  constexpr int kRounds = 20;
  ASSERT_TRUE(stock().AddStock("tv", 1'000, std::nullopt, "test").ok());
  Move("tv", {{node_, 1'000}});
  int64_t refunds = 0, sold = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Uuid group_id = NewId();
    const auto name = [&](const char* who) { return absl::StrCat(who, "-", round); };
    OpenPaid(group_id, name("opener"));
    JoinPaid(group_id, name("second"));
    const Reservation last = Join(group_id, name("last")), leaver = Join(group_id, name("leaver"));
    std::optional<ChangeResult> paid;
    bool cancelled = false;
    RunThreads(3, [&](int thread) {
      if (thread == 0) {
        paid = PayAsNode(PaymentBy(last));
      } else if (thread == 1) {
        const auto ended = Retrying([&] { return CancelGroup(group_id); });
        cancelled = ended.ok();
      } else {
        const auto left = Retrying([&] { return lifecycle().CancelReservations({{leaver.reservation_id, "race"}}); });
        EXPECT_TRUE(left.ok()) << left.status();
      }
    });
    EXPECT_EQ(GroupNow(group_id).state, cancelled ? GroupState::kCancelled : GroupState::kFilled);
    ASSERT_TRUE(paid.has_value());
    EXPECT_EQ(paid->outcome, cancelled ? kPaidUnfulfilled : kDone);
    (cancelled ? refunds : sold) += 3;
    EXPECT_EQ(StateOf(last), cancelled ? ReservationState::kCancelled : ReservationState::kConfirmed);
    EXPECT_EQ(StateOf(leaver), ReservationState::kCancelled);
    EXPECT_EQ(Refunds(), refunds);
  }
  EXPECT_EQ(Unsold(), 1'050 - sold);
}

// Seats are taken and given up at the same time.
TEST_P(GroupEndRaceContract, SeatsThatAreGivenUpAreCounted) {
  constexpr int kThreads = 6;
  constexpr int kOfEach = 8;
  ASSERT_TRUE(stock().AddStock("tv", 1'000, std::nullopt, "test").ok());
  Move("tv", {{node_, 1'000}});
  Offer(OfferOf("tv", kMostSeats, "crowd"));
  const Uuid group_id = NewId();
  OpenPaid(group_id, "opener", "crowd");
  RunThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kOfEach; ++i) {
      const CommitResult joined = JoinAsNode(ClaimIn(group_id, absl::StrCat("u", thread, "-", i)));
      ASSERT_EQ(joined.outcome, CommitOutcome::kCreated);
      EXPECT_EQ(PayAsNode(PaymentBy(joined.reservation)).outcome, kDone);
      if (i % 2 == 0) continue;
      const Uuid& id = joined.reservation.reservation_id;
      const auto left = Retrying([&] { return lifecycle().CancelReservations({{id, "race"}}); });
      ASSERT_TRUE(left.ok()) << left.status();
      EXPECT_EQ(left->front().outcome, kDone);
    }
  });
  constexpr int kLeft = kThreads * kOfEach / 2;
  constexpr int kSeated = 1 + kThreads * kOfEach - kLeft;
  EXPECT_EQ(GroupNow(group_id).seats_taken, kSeated);
  EXPECT_EQ(Refunds(), kLeft);
  std::vector<int32_t> seats;
  for (const GroupMember& member : Members(group_id)) {
    if (member.seat > 0) seats.push_back(member.seat);
  }
  EXPECT_THAT(seats, SizeIs(kSeated));
  std::sort(seats.begin(), seats.end());
  EXPECT_TRUE(std::adjacent_find(seats.begin(), seats.end()) == seats.end()) << "nobody sits on another's seat";
  EXPECT_EQ(Unsold(), 1'050 - kSeated);
}

}  // namespace
}  // namespace tranche::storage
