// How memberships end before their group is decided, on the fake and on PostgreSQL: who leaves, and a group in which
// nobody is any more.
#include <string>
#include <vector>

#include "tests/contract/group_end_contract.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using ::testing::ElementsAre;
using testing::NewId;
using ::testing::SizeIs;

class GroupLeaveContract : public GroupEndTest {};
INSTANTIATE_TEST_SUITE_P(Both, GroupLeaveContract, BothLedgers(), LedgerName);

TEST_P(GroupLeaveContract, WhoLeavesBeforePayingGivesTheUnitBack) {
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

TEST_P(GroupLeaveContract, WhoLeavesAfterPayingIsRefundedAndTheirSeatIsFree) {
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

TEST_P(GroupLeaveContract, NobodyLeavesAGroupThatIsFilled) {
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

TEST_P(GroupLeaveContract, AfterTheDeadlineASeatIsTheWorkersToDecide) {
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

TEST_P(GroupLeaveContract, ABatchOfCancellationsMayHaveBoth) {
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

TEST_P(GroupLeaveContract, AGroupInWhichNobodyIsAnyMoreFailsAtOnce) {
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

TEST_P(GroupLeaveContract, AGroupInWhichSomebodyIsGoesOn) {
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
TEST_P(GroupLeaveContract, AGroupThatAllLeaveInOneBatchEndsOnce) {
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

}  // namespace
}  // namespace tranche::storage
