// Payments of members of groups, on the fake and on PostgreSQL: a seat is a payment, and the last one confirms all.
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/contract/group_contract.h"
#include "tests/contract/race.h"

namespace tranche::storage {
namespace {

using ::testing::AllOf;
using testing::Claim;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::NewId;
using testing::Retrying;
using testing::RunThreads;

class GroupPayContract : public GroupContractTest {
 protected:
  void SetUp() override { Sell("tv", 50, /*seats=*/3); }

  ChangeResult Preview(const Change& change) {
    const auto seen = lifecycle().PreviewChange(change);
    EXPECT_TRUE(seen.ok()) << seen.status();
    return seen.value_or(ChangeResult{});
  }
  // As a preview says that a change will leave it; ended at its own time.
  static void ExpectAsSeen(const ChangeResult& seen, const ChangeResult& done) {
    EXPECT_EQ(seen.outcome, done.outcome);
    EXPECT_EQ(seen.refusal, done.refusal);
    EXPECT_EQ(seen.reservation.finished_at.has_value(), done.reservation.finished_at.has_value());
    Reservation seen_then = seen.reservation;
    seen_then.finished_at = done.reservation.finished_at;
    ExpectSame(seen_then, done.reservation);
  }
};
INSTANTIATE_TEST_SUITE_P(Both, GroupPayContract, BothLedgers(), LedgerName);

TEST_P(GroupPayContract, APaymentTakesASeatAndWaits) {
  const Uuid group_id = NewId();
  const Reservation hold = Open(group_id, "alice");
  const ChangeResult paid = Pay(hold);
  EXPECT_EQ(paid.outcome, kDone);
  EXPECT_EQ(paid.reservation.state, ReservationState::kPending) << "the group is not full";
  EXPECT_EQ(paid.reservation.expires_at, GroupNow(group_id).deadline_at);
  EXPECT_EQ(paid.reservation.revision, hold.revision + 1);
  EXPECT_EQ(paid.reservation.payment_reference, "") << "not sold yet";
  EXPECT_FALSE(paid.reservation.finished_at.has_value());
  ExpectSame(Read(hold.reservation_id), paid.reservation);
  const Group group = GroupNow(group_id);
  EXPECT_EQ(group.state, GroupState::kForming);
  EXPECT_EQ(group.seats_taken, 1);
  EXPECT_GT(group.revision, 1);
  const GroupMember member = MemberNow(group_id, "alice");
  EXPECT_EQ(member.seat, 1);
  EXPECT_EQ(member.payment_reference, "pay-alice");
  EXPECT_EQ(member.reservation_state, ReservationState::kPending);
  ASSERT_TRUE(member.paid_at.has_value());
  EXPECT_GE(*member.paid_at, hold.created_at);
  EXPECT_EQ(Unsold(), 49);
}

TEST_P(GroupPayContract, TheLastSeatConfirmsAllInOneStep) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice"), bob = JoinPaid(group_id, "bob");
  const Reservation idle = Join(group_id, "idle"), carol = Join(group_id, "carol");
  const int32_t revision = GroupNow(group_id).revision;
  const ChangeResult last = Pay(carol);
  EXPECT_EQ(last.outcome, kDone);
  EXPECT_EQ(last.reservation.state, ReservationState::kConfirmed);
  EXPECT_EQ(last.reservation.payment_reference, "pay-carol");
  EXPECT_TRUE(last.reservation.finished_at.has_value());
  ExpectSame(Read(carol.reservation_id), last.reservation);
  for (const Reservation& member : {alice, bob}) {
    const Reservation sold = Read(member.reservation_id);
    EXPECT_EQ(sold.state, ReservationState::kConfirmed);
    EXPECT_EQ(sold.payment_reference, absl::StrCat("pay-", member.user_id)) << "each has paid for themselves";
    EXPECT_GT(sold.revision, member.revision);
    EXPECT_TRUE(sold.finished_at.has_value());
    EXPECT_THAT(KindsOf(member), ElementsAre("group.seat_taken", "reservation.confirmed"));
  }
  EXPECT_THAT(KindsOf(carol), ElementsAre("reservation.confirmed")) << "the last one did not wait";
  EXPECT_EQ(StateOf(idle), ReservationState::kPending) << "who has not paid is not confirmed";
  const Group group = GroupNow(group_id);
  EXPECT_EQ(group.state, GroupState::kFilled);
  EXPECT_EQ(group.seats_taken, 3);
  EXPECT_FALSE(group.partial);
  EXPECT_GT(group.revision, revision);
  ASSERT_TRUE(group.finished_at.has_value());
  EXPECT_LE(*group.finished_at, group.deadline_at);
  for (const GroupMember& member : Members(group_id)) {
    if (member.user_id == "idle") continue;
    EXPECT_EQ(member.reservation_state, ReservationState::kConfirmed);
    EXPECT_GT(member.seat, 0);
  }
  EXPECT_EQ(Unsold(), 46);
  EXPECT_EQ(Refunds(), 0);
}

TEST_P(GroupPayContract, MessagesTellTheGroup) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice");
  const std::string group = absl::StrCat("\"group_id\": \"", group_id.ToString(), "\"");
  EXPECT_THAT(PayloadOf(alice, "group.seat_taken"),
              AllOf(HasSubstr(group), HasSubstr("\"kind\": \"group.seat_taken\""), HasSubstr("\"state\": \"PENDING\""),
                    HasSubstr("\"payment_reference\": \"pay-alice\""), HasSubstr("\"revision\": 2"),
                    HasSubstr("\"amount_minor\": 1500"), HasSubstr("\"expires_at\": \"")));
  JoinPaid(group_id, "bob");
  const Reservation idle = Join(group_id, "idle");
  JoinPaid(group_id, "carol");
  EXPECT_THAT(PayloadOf(alice, "reservation.confirmed"),
              AllOf(HasSubstr(group), HasSubstr("\"payment_reference\": \"pay-alice\"")));
  PayLate(idle);
  EXPECT_THAT(PayloadOf(idle, "reservation.cancelled"), HasSubstr(group));
  EXPECT_THAT(PayloadOf(idle, "payment.refund_requested"),
              AllOf(HasSubstr(group), HasSubstr("\"payment_reference\": \"pay-idle\"")));
  const Reservation alone = Book(Claim("tv", "alone"));
  Pay(alone);
  EXPECT_THAT(PayloadOf(alone, "reservation.confirmed"), ::testing::Not(HasSubstr("group_id")));
}

TEST_P(GroupPayContract, OneBatchMayFillAGroup) {
  const Uuid group_id = NewId(), other_id = NewId();
  const Reservation alice = Open(group_id, "alice"), bob = Join(group_id, "bob"), carol = Join(group_id, "carol"),
                    dave = Join(group_id, "dave"), other = Open(other_id, "other"), alone = Book(Claim("tv", "alone"));
  const std::vector<ChangeResult> paid =
      Confirm({PaymentBy(alice), PaymentBy(alone), PaymentBy(bob), PaymentBy(other), PaymentBy(carol), PaymentBy(dave),
               Payment{NewId(), "pay-nobody", kPrice, "EUR"}});
  for (const size_t i : std::vector<size_t>{0, 1, 2, 4}) {
    EXPECT_EQ(paid[i].outcome, kDone);
    EXPECT_EQ(paid[i].reservation.state, ReservationState::kConfirmed) << "also of those before the last seat";
    ExpectSame(paid[i].reservation, Read(paid[i].reservation.reservation_id));
  }
  EXPECT_EQ(paid[3].outcome, kDone);
  EXPECT_EQ(paid[3].reservation.state, ReservationState::kPending) << "of another group";
  EXPECT_EQ(paid[5].refusal, kGroupOver) << "the seats went to those before";
  EXPECT_EQ(paid[6].refusal, kReservationNotFound);
  EXPECT_EQ(StateOf(dave), ReservationState::kPending);
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kFilled);
  EXPECT_THAT(KindsOf(alice), ElementsAre("reservation.confirmed")) << "nor did they";
  EXPECT_THAT(KindsOf(other), ElementsAre("group.seat_taken"));
  EXPECT_EQ(MemberNow(group_id, "alice").seat, 1) << "in the order of arrival";
  EXPECT_EQ(MemberNow(group_id, "bob").seat, 2);
  EXPECT_EQ(MemberNow(group_id, "carol").seat, 3);
}

TEST_P(GroupPayContract, ALowerSeatThatIsFreeAgainIsTakenFirst) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice");
  JoinPaid(group_id, "bob");
  EXPECT_EQ(MemberNow(group_id, "bob").seat, 2);
  EXPECT_EQ(Cancel(alice).outcome, kDone);
  JoinPaid(group_id, "carol");
  EXPECT_EQ(MemberNow(group_id, "carol").seat, 1);
  EXPECT_EQ(GroupNow(group_id).seats_taken, 2);
}

TEST_P(GroupPayContract, APaymentThatIsRepeatedHasItsSeat) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice");
  ChangeResult again = Pay(alice);
  EXPECT_EQ(again.outcome, kReplayed);
  ExpectSame(again.reservation, alice);
  EXPECT_EQ(PayLate(alice).outcome, kReplayed);
  EXPECT_EQ(GroupNow(group_id).seats_taken, 1);
  JoinPaid(group_id, "bob");
  const Reservation carol = JoinPaid(group_id, "carol");
  for (const Reservation& member : {alice, carol}) {
    again = Pay(member);
    EXPECT_EQ(again.outcome, kReplayed) << "also when it is sold";
    EXPECT_EQ(again.reservation.state, ReservationState::kConfirmed);
    EXPECT_EQ(PayLate(member).outcome, kReplayed);
  }
  EXPECT_EQ(KindsOf(alice).size(), 2u) << "each change is told of once";
  EXPECT_EQ(Refunds(), 0);
}

TEST_P(GroupPayContract, AnotherPaymentOfAMemberIsRefunded) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice");
  const Payment second = PaymentOf(alice, "pay-again");
  EXPECT_EQ(Confirm(second).refusal, kReservationState);
  EXPECT_EQ(Refunds(), 0) << "nothing is decided yet";
  for (const bool replayed : {false, true}) {
    const ChangeResult late = ConfirmLate(second);
    EXPECT_EQ(late.refusal, kReservationState);
    EXPECT_EQ(late.replayed, replayed);
    EXPECT_EQ(late.reservation.state, ReservationState::kPending) << "they keep their seat";
  }
  EXPECT_THAT(KindsOf(alice), ElementsAre("group.seat_taken", "payment.refund_requested"));
  EXPECT_EQ(Refunds(), 1);
  EXPECT_EQ(MemberNow(group_id, "alice").payment_reference, "pay-alice");
  JoinPaid(group_id, "bob");
  JoinPaid(group_id, "carol");
  const Reservation sold = Read(alice.reservation_id);
  EXPECT_EQ(sold.state, ReservationState::kConfirmed);
  EXPECT_EQ(sold.payment_reference, "pay-alice");
  EXPECT_EQ(ConfirmLate(PaymentOf(alice, "pay-third")).refusal, kReservationState) << "nor of who is confirmed";
  EXPECT_EQ(Refunds(), 2);
}

TEST_P(GroupPayContract, APaymentOfAnotherAmountTakesNoSeat) {
  const Uuid group_id = NewId();
  const Reservation alice = Open(group_id, "alice");
  Payment wrong = PaymentBy(alice);
  wrong.amount_minor = 1999;
  EXPECT_EQ(Confirm(wrong).refusal, kPaymentMismatch) << "as if they had bought alone";
  EXPECT_EQ(ConfirmLate(wrong).refusal, kPaymentMismatch);
  wrong = PaymentBy(alice);
  wrong.currency = "USD";
  EXPECT_EQ(Confirm(wrong).refusal, kPaymentMismatch);
  EXPECT_EQ(GroupNow(group_id).seats_taken, 0);
  EXPECT_EQ(Pay(alice).outcome, kDone);
}

TEST_P(GroupPayContract, AfterTheLastSeatThePaymentIsRefundedAndTheUnitComesBack) {
  const Uuid group_id = NewId();
  OpenPaid(group_id, "alice");
  JoinPaid(group_id, "bob");
  const Reservation late = Join(group_id, "late");
  JoinPaid(group_id, "carol");
  EXPECT_EQ(Pay(late).refusal, kGroupOver);
  EXPECT_EQ(StateOf(late), ReservationState::kPending) << "nothing is decided yet";
  EXPECT_EQ(Refunds(), 0);
  const int64_t in_pool = InPool();
  const ChangeResult refused = PayLate(late);
  EXPECT_EQ(refused.outcome, kPaidUnfulfilled);
  EXPECT_FALSE(refused.replayed);
  EXPECT_FALSE(refused.rebooked.has_value()) << "nobody buys alone at a group's price";
  EXPECT_EQ(refused.reservation.state, ReservationState::kCancelled);
  EXPECT_EQ(refused.reservation.cancel_reason, "GROUP_FULL");
  ExpectSame(Read(late.reservation_id), refused.reservation);
  EXPECT_EQ(InPool(), in_pool + 1);
  EXPECT_EQ(Refunds(), 1);
  EXPECT_THAT(KindsOf(late), ElementsAre("reservation.cancelled", "payment.refund_requested"));
  // However often they ask.
  EXPECT_EQ(Pay(late).refusal, kReservationState);
  const ChangeResult again = PayLate(late);
  EXPECT_EQ(again.outcome, kPaidUnfulfilled);
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(InPool(), in_pool + 1);
  EXPECT_EQ(Refunds(), 1);
  EXPECT_EQ(KindsOf(late).size(), 2u);
  EXPECT_EQ(GroupNow(group_id).seats_taken, 3);
}

TEST_P(GroupPayContract, AfterTheDeadlineThePaymentIsRefunded) {
  GroupOffer patient = OfferOf("tv", 3, "patient");
  patient.pay_within = 2 * kOpenFor;
  Offer(patient);
  const Uuid group_id = NewId();
  const Reservation late = Open(group_id, "late", "patient");
  LetPass(kOpenFor);
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kForming) << "until a worker looks";
  EXPECT_EQ(Pay(late).refusal, kGroupOver);
  const ChangeResult refused = PayLate(late);
  EXPECT_EQ(refused.outcome, kPaidUnfulfilled);
  EXPECT_EQ(refused.reservation.state, ReservationState::kCancelled);
  EXPECT_EQ(refused.reservation.cancel_reason, "GROUP_OVER");
  EXPECT_EQ(Unsold(), 50);
  EXPECT_EQ(Refunds(), 1);
  EXPECT_EQ(ExpireGroups().failed, 1);
  EXPECT_EQ(Refunds(), 1) << "once";
}

TEST_P(GroupPayContract, WhatIsNotLateAfterAllTakesASeat) {
  const Uuid group_id = NewId();
  const ChangeResult paid = PayLate(Open(group_id, "alice"));
  EXPECT_EQ(paid.outcome, kDone);
  EXPECT_EQ(paid.reservation.state, ReservationState::kPending);
  EXPECT_EQ(GroupNow(group_id).seats_taken, 1);
  EXPECT_EQ(Refunds(), 0);
}

TEST_P(GroupPayContract, WhoseHoldHasLapsedIsRefunded) {
  const Uuid group_id = NewId();
  const Reservation late = Open(group_id, "late");
  JoinPaid(group_id, "other");
  LetPass(kPayWithin);
  ASSERT_EQ(Expire().expired, 1);
  EXPECT_EQ(Pay(late).refusal, kReservationState);
  for (const bool replayed : {false, true}) {
    const ChangeResult refused = PayLate(late);
    EXPECT_EQ(refused.outcome, kPaidUnfulfilled) << "although units are there, and the group still forms";
    EXPECT_EQ(refused.replayed, replayed);
    EXPECT_FALSE(refused.rebooked.has_value());
    EXPECT_EQ(refused.reservation.state, ReservationState::kExpired);
  }
  EXPECT_EQ(Unsold(), 49);
  EXPECT_EQ(Refunds(), 1);
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kForming);
  EXPECT_EQ(GroupNow(group_id).seats_taken, 1);
  EXPECT_THAT(KindsOf(late), ElementsAre("reservation.expired", "payment.refund_requested"));
}

TEST_P(GroupPayContract, AHoldWhoseTimeIsOverCanBePaidUntilItIsExpired) {
  const Uuid group_id = NewId();
  const Reservation hold = Open(group_id, "alice");
  LetPass(kPayWithin);
  EXPECT_EQ(Pay(hold).outcome, kDone);
  EXPECT_EQ(Expire().expired, 0);
  EXPECT_EQ(GroupNow(group_id).seats_taken, 1);
}

TEST_P(GroupPayContract, OnlyUnpaidHoldsLapse) {
  const Uuid group_id = NewId();
  const Reservation paid = OpenPaid(group_id, "paid"), idle = Join(group_id, "idle");
  LetPass(kPayWithin - absl::Minutes(1));
  const auto reminded = upkeep().RemindHolds(absl::Minutes(10), 1'000);
  ASSERT_TRUE(reminded.ok()) << reminded.status();
  EXPECT_EQ(reminded->reminded, 1);
  EXPECT_THAT(KindsOf(idle), ElementsAre("reservation.lapses_soon"));
  LetPass(absl::Minutes(2));
  const ExpiredHolds expired = Expire();
  EXPECT_EQ(expired.expired, 1);
  EXPECT_FALSE(expired.more);
  EXPECT_EQ(StateOf(idle), ReservationState::kExpired);
  EXPECT_EQ(StateOf(paid), ReservationState::kPending);
  // Not even when its group's time is over: a worker decides about the group.
  LetPass(kOpenFor);
  EXPECT_EQ(upkeep().RemindHolds(absl::Minutes(10), 1'000)->reminded, 0);
  const ExpiredHolds none = Expire();
  EXPECT_EQ(none.expired, 0);
  EXPECT_FALSE(none.more);
  EXPECT_EQ(StateOf(paid), ReservationState::kPending);
  EXPECT_THAT(KindsOf(paid), ElementsAre("group.seat_taken"));
  EXPECT_EQ(health().Health()->overdue_holds, 0);
}

TEST_P(GroupPayContract, AMembersHoldIsNotExtended) {
  const Uuid group_id = NewId();
  const Reservation hold = Open(group_id, "alice"), alone = Book(Claim("tv", "alone"));
  EXPECT_EQ(Extend(hold, 1, absl::Minutes(1)).refusal, kInGroup);
  EXPECT_EQ(Extend(OpenPaid(NewId(), "bob"), 1, absl::Minutes(1)).refusal, kInGroup);
  const std::vector<ChangeResult> both = Extend(
      std::vector<Extension>{{hold.reservation_id, 1, absl::Minutes(1)}, {alone.reservation_id, 1, absl::Minutes(1)}});
  EXPECT_EQ(both[0].refusal, kInGroup);
  EXPECT_EQ(both[1].outcome, kDone);
  ExpectSame(Read(hold.reservation_id), hold);
}

TEST_P(GroupPayContract, APreviewSaysWhatAPaymentWillDo) {
  const Uuid group_id = NewId();
  const Reservation alice = Open(group_id, "alice"), bob = Join(group_id, "bob"), carol = Join(group_id, "carol"),
                    late = Join(group_id, "late");
  for (const Reservation& member : {alice, bob, carol}) {
    const int32_t before = GroupNow(group_id).seats_taken;
    const ChangeResult seen = Preview(PaymentBy(member));
    EXPECT_EQ(GroupNow(group_id).seats_taken, before) << "a preview changes nothing";
    EXPECT_THAT(KindsOf(member), IsEmpty());
    ExpectAsSeen(seen, Pay(member));
    EXPECT_EQ(Preview(PaymentBy(member)).outcome, kReplayed);
  }
  const ChangeResult seen = Preview(PaymentBy(late));
  EXPECT_EQ(seen.outcome, kPaidUnfulfilled);
  EXPECT_EQ(StateOf(late), ReservationState::kPending);
  EXPECT_EQ(Refunds(), 0);
  ExpectAsSeen(seen, PayLate(late));
  const ChangeResult again = Preview(PaymentBy(late));
  EXPECT_EQ(again.outcome, kPaidUnfulfilled);
  EXPECT_TRUE(again.replayed);
}

TEST_P(GroupPayContract, APreviewSaysWhatOtherChangesWillDo) {
  const Uuid group_id = NewId();
  const Reservation alice = OpenPaid(group_id, "alice"), bob = Join(group_id, "bob");
  EXPECT_EQ(Preview(Extension{bob.reservation_id, 1, absl::Minutes(1)}).refusal, kInGroup);
  for (const Reservation& member : {alice, bob}) {
    const Cancellation leaves{member.reservation_id, "changed my mind"};
    const ChangeResult seen = Preview(leaves);
    EXPECT_EQ(StateOf(member), ReservationState::kPending);
    EXPECT_EQ(Unsold(), member.user_id == "alice" ? 48 : 49);
    ExpectAsSeen(seen, Cancel(std::vector{leaves}).front());
  }
}

TEST_P(GroupPayContract, TheMessageHasTheTraceOfThePayment) {
  const Uuid group_id = NewId();
  Payment payment = PaymentBy(Open(group_id, "alice"));
  payment.trace = std::make_shared<const LogTrace>(LogTrace{.trace_id = "0af7651916cd43dd8448eb211c80319c",
                                                            .request_id = "pay-alice",
                                                            .traceparent = "00-0af7651916cd43dd8448eb211c80319c-"
                                                                           "b7ad6b7169203331-01"});
  Confirm(payment);
  const auto message = outbox().GetMessage({payment.reservation_id, 2, "default"});
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->kind, "group.seat_taken");
  ASSERT_NE(message->trace, nullptr);
  EXPECT_EQ(message->trace->request_id, "pay-alice");
}

class GroupPayRaceContract : public GroupContractTest {
 protected:
  // Pays as a node does; true if there was a seat.
  bool PayAsNode(const Reservation& hold) {
    const Payment payment = PaymentBy(hold);
    auto paid = Retrying([&] { return lifecycle().ConfirmReservations({payment}); });
    EXPECT_TRUE(paid.ok()) << paid.status();
    if (!paid.ok()) return false;
    ChangeResult result = paid->front();
    if (result.refusal == kGroupOver || result.refusal == kReservationState) {
      const auto late = Retrying([&] { return lifecycle().ConfirmLate(payment); });
      EXPECT_TRUE(late.ok()) << late.status();
      if (!late.ok()) return false;
      result = *late;
      EXPECT_EQ(result.outcome, kPaidUnfulfilled);
    }
    return result.outcome == kDone;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, GroupPayRaceContract, BothLedgers(), LedgerName);

TEST_P(GroupPayRaceContract, TheLastSeatIsSoldOnce) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 25;
  constexpr int kSeats = 3;
  constexpr int64_t kStock = 1'000;
  Sell("tv", kStock, kSeats);
  for (int round = 0; round < kRounds; ++round) {
    const Uuid group_id = NewId();
    const auto name = [&](const char* who, int number = 0) { return absl::StrCat(who, "-", round, "-", number); };
    OpenPaid(group_id, name("opener"));
    JoinPaid(group_id, name("second"));
    std::vector<Reservation> rivals;
    for (int i = 0; i < kThreads; ++i) rivals.push_back(Join(group_id, name("rival", i)));
    std::atomic<int> seated{0};
    RunThreads(kThreads, [&](int thread) {
      if (PayAsNode(rivals[static_cast<size_t>(thread)])) ++seated;
    });
    EXPECT_EQ(seated, 1);
    const Group group = GroupNow(group_id);
    EXPECT_EQ(group.state, GroupState::kFilled);
    EXPECT_EQ(group.seats_taken, kSeats);
    int confirmed = 0, ended = 0;
    for (const GroupMember& member : Members(group_id)) {
      const bool sold = member.reservation_state == ReservationState::kConfirmed;
      EXPECT_EQ(sold, member.seat > 0) << member.user_id;
      confirmed += sold ? 1 : 0;
      ended += member.reservation_state == ReservationState::kCancelled ? 1 : 0;
    }
    EXPECT_EQ(confirmed, kSeats);
    EXPECT_EQ(ended, kThreads - 1) << "each hold is confirmed or over";
    EXPECT_EQ(Refunds(), (round + 1) * (kThreads - 1)) << "every loser is refunded, once";
    EXPECT_EQ(Unsold(), kStock - (round + 1) * kSeats);
  }
}

// Batches with the same groups in different orders wait for each other, and do not deadlock for ever.
TEST_P(GroupPayRaceContract, BatchesThatFillTheSameGroupsSellExactlyTheirSeats) {
  constexpr int kThreads = 6;
  constexpr int kGroups = 12;
  constexpr int kSeats = 4;
  constexpr int64_t kStock = 1'000;
  Sell("tv", kStock, kSeats);
  std::vector<std::vector<Payment>> batches(kThreads);
  for (int group = 0; group < kGroups; ++group) {
    const Uuid group_id = NewId();
    for (int thread = 0; thread < kThreads; ++thread) {
      const std::string user = absl::StrCat("u", group, "-", thread);
      const Reservation hold = thread == 0 ? Open(group_id, user) : Join(group_id, user);
      std::vector<Payment>& batch = batches[static_cast<size_t>(thread)];
      batch.insert(thread % 2 == 0 ? batch.end() : batch.begin(), PaymentBy(hold));
    }
  }
  std::atomic<int> seated{0}, refused{0};
  RunThreads(kThreads, [&](int thread) {
    const std::vector<Payment>& batch = batches[static_cast<size_t>(thread)];
    const auto paid = Retrying([&] { return lifecycle().ConfirmReservations(batch); });
    ASSERT_TRUE(paid.ok()) << paid.status();
    for (size_t i = 0; i < batch.size(); ++i) {
      const ChangeResult& result = (*paid)[i];
      seated += result.outcome == kDone ? 1 : 0;
      if (result.refusal != kGroupOver) continue;
      const auto late = Retrying([&] { return lifecycle().ConfirmLate(batch[i]); });
      ASSERT_TRUE(late.ok()) << late.status();
      EXPECT_EQ(late->outcome, kPaidUnfulfilled);
      ++refused;
    }
  });
  EXPECT_EQ(seated, kGroups * kSeats);
  EXPECT_EQ(refused, kGroups * (kThreads - kSeats));
  EXPECT_EQ(Refunds(), refused);
  EXPECT_EQ(Listed({ReservationState::kConfirmed}).size(), size_t{kGroups * kSeats});
  EXPECT_EQ(Listed({ReservationState::kPending}).size(), 0u);
  EXPECT_EQ(Unsold(), kStock - kGroups * kSeats);
}

}  // namespace
}  // namespace tranche::storage
