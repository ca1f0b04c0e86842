// Groups on real servers: how they fill, fail and are cancelled, and what buyers who pay at the same moment get.
#include <gmock/gmock.h>

#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/integration/group_fixture.h"

namespace tranche::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Long enough for what buyers do before the deadline, on a busy machine, too.
constexpr absl::Duration kBrief = absl::Seconds(6);

class GroupsTest : public GroupFixture {
 protected:
  // What has become of the watched group; nothing: it is over.
  static std::optional<Group> Next(GroupWatch& watch) {
    const auto told = watch.Next(kGroupPatience);
    EXPECT_TRUE(told.ok()) << told.status();
    return told.value_or(std::nullopt);
  }
  // Until so many seats are taken: each news is at most that of one payment or of one who leaves.
  static Group AwaitSeats(GroupWatch& watch, int32_t seats) {
    Group group;
    do {
      const std::optional<Group> next = Next(watch);
      EXPECT_TRUE(next.has_value()) << "it is over with " << group.seats_taken << " seats taken";
      if (!next.has_value()) break;
      EXPECT_GE(next->revision, group.revision);
      group = *next;
    } while (group.seats_taken != seats);
    return group;
  }
  // Among the groups that form. A list may be a moment old.
  void AwaitListed(const std::string& sku, const JoinedGroup& group, bool listed) {
    AwaitTrue(listed ? "the group is listed" : "the group is not listed any more", [&] {
      Do({"group", "list", sku});
      return absl::StrContains(out_, group.group_id) == listed;
    });
  }
  void CheckEndedWith(const JoinedGroup& member, const std::string& reason) {
    const Reservation ended = Read(member);
    EXPECT_EQ(ended.state, ReservationState::kCancelled) << ReservationStateName(ended.state);
    EXPECT_EQ(ended.cancel_reason, reason);
  }
};

// The seed's scenario: a hundred buyers hold units, and one seat is free.
TEST_F(GroupsTest, OfAHundredPaymentsForTheLastSeatOneSitsAndTheOthersAreRefunded) {
  constexpr int kStock = 150, kBuyers = 100, kSeats = 3;
  OpenSale("last", kStock);
  OfferGroups("last", "trio", {.seats = kSeats});
  const JoinedGroup opened = Open("last", "trio", "opener");
  EXPECT_EQ(opened.reservation.amount_minor, kGroupPriceMinor);
  EXPECT_EQ(opened.reservation.state, ReservationState::kPending);
  const JoinedGroup second = Join(opened, "second");
  EXPECT_EQ(Pay(opened), ConfirmOutcome::kGroupWaiting);
  EXPECT_EQ(Pay(second, 1), ConfirmOutcome::kGroupWaiting);
  EXPECT_EQ(Read(opened).state, ReservationState::kPending) << "paid, and the group is not full yet";
  std::vector<JoinedGroup> racers;
  for (int i = 0; i < kBuyers; ++i) racers.push_back(Join(opened, absl::StrCat("racer-", i), i));
  EXPECT_EQ(UnsoldOf("last"), kStock - kBuyers - 2) << "who joins holds units";

  const std::map<ConfirmOutcome, int> expected = {{ConfirmOutcome::kConfirmed, 1},
                                                  {ConfirmOutcome::kPaidUnfulfilled, kBuyers - 1}};
  EXPECT_EQ(PayAtOnce(racers), expected);
  const Group group = GroupOf(opened);
  EXPECT_EQ(group.state, GroupState::kFilled);
  EXPECT_EQ(group.seats_taken, kSeats);
  EXPECT_FALSE(group.partial);
  EXPECT_EQ(Read(opened).state, ReservationState::kConfirmed);
  EXPECT_EQ(Read(second).payment_reference, PaymentOf(second).payment_reference) << "each by their own payment";
  EXPECT_EQ(UnsoldOf("last"), kStock - kSeats);
  EXPECT_EQ(RefundsOf("last"), kBuyers - 1);
  EXPECT_EQ(Messages(opened, "group.seat_taken"), 2);
  EXPECT_EQ(Messages(opened, "reservation.confirmed"), kSeats);
  EXPECT_EQ(Messages(opened, "reservation.cancelled"), kBuyers - 1);
  EXPECT_EQ(Messages(opened, "payment.refund_requested"), kBuyers - 1);

  EXPECT_EQ(PayAtOnce(racers), expected) << "who tells it again is told the same again";
  EXPECT_EQ(RefundsOf("last"), kBuyers - 1);
  EXPECT_EQ(ReasonOf(TryJoin(opened, "late").status()), Reason::kGroupFull);
}

TEST_F(GroupsTest, AGroupThatIsNotFullInTimeIsRefundedAndItsUnitsAreSoldAgain) {
  OpenSale("brief", 3);
  OfferGroups("brief", "trio", {.seats = 3, .open_for = kBrief, .pay_within = kBrief});
  const JoinedGroup alone = Open("brief", "trio", "opener");
  const JoinedGroup paid = Join(alone, "paid", 1);
  const JoinedGroup unpaid = Join(alone, "unpaid", 2);
  EXPECT_EQ(Pay(alone), ConfirmOutcome::kGroupWaiting);
  EXPECT_EQ(Pay(paid), ConfirmOutcome::kGroupWaiting);
  const absl::Time deadline = GroupOf(alone).deadline_time;
  EXPECT_EQ(Read(paid).expire_time, deadline) << "the hold of who has paid lasts as long as the group may form";
  EXPECT_EQ(UnsoldOf("brief"), 0);

  absl::Time sold_at;
  for (int buyer = 0; buyer < 3; ++buyer) {
    AwaitTrue("the units are sold again", [&] {
      const auto bought = client_->Create({.sku = "brief", .user = absl::StrCat("next-", buyer)});
      if (bought.ok() && buyer == 0) sold_at = bought->create_time;
      return bought.ok();
    });
  }
  const Group group = AwaitOver(alone, GroupState::kFailed);
  EXPECT_EQ(group.seats_taken, 2) << "by how many it was paid";
  std::cout << "after the deadline, the group had failed in "
            << absl::FormatDuration(absl::Trunc(group.finish_time - deadline, absl::Milliseconds(1)))
            << ", and the first unit was sold again in "
            << absl::FormatDuration(absl::Trunc(sold_at - deadline, absl::Milliseconds(1))) << "\n";
  EXPECT_GE(group.finish_time, deadline);
  EXPECT_LT(group.finish_time - deadline, absl::Seconds(10));
  EXPECT_GE(sold_at, deadline);
  EXPECT_LT(sold_at - deadline, absl::Seconds(20));
  CheckEndedWith(alone, "GROUP_FAILED");
  CheckEndedWith(paid, "GROUP_FAILED");
  EXPECT_EQ(RefundsOf("brief"), 2) << "the opener's, too";
  EXPECT_EQ(Messages(alone, "payment.refund_requested"), 2);

  EXPECT_EQ(ReasonOf(TryJoin(alone, "late").status()), Reason::kSoldOut) << "no unit is left to join with";
  EXPECT_EQ(Pay(unpaid), ConfirmOutcome::kPaidUnfulfilled) << "nothing is booked instead";
  EXPECT_EQ(RefundsOf("brief"), 3);
}

TEST_F(GroupsTest, APartialOfferSellsToThoseWhoHavePaidIfTheyAreEnough) {
  OpenSale("club", 20);
  OfferGroups("club", "two", {.seats = 5, .open_for = kBrief, .pay_within = kBrief, .min_members = 2});
  OfferGroups("club", "four", {.seats = 5, .open_for = kBrief, .pay_within = kBrief, .min_members = 4});
  std::map<std::string, std::vector<JoinedGroup>> members;
  for (const std::string offer : {"two", "four"}) {
    members[offer].push_back(Open("club", offer, absl::StrCat(offer, "-0")));
    for (int i = 1; i < 4; ++i) members[offer].push_back(Join(members[offer][0], absl::StrCat(offer, "-", i), i));
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(Pay(members[offer][static_cast<size_t>(i)], i), ConfirmOutcome::kGroupWaiting);
    }
  }
  const Group sold = AwaitOver(members["two"][0], GroupState::kFilled);
  EXPECT_TRUE(sold.partial);
  EXPECT_EQ(sold.seats_taken, 3);
  AwaitOver(members["four"][0], GroupState::kFailed);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(Read(members["two"][i]).state, ReservationState::kConfirmed);
    CheckEndedWith(members["four"][i], "GROUP_FAILED");
  }
  EXPECT_EQ(Messages(members["two"][0], "reservation.confirmed"), 3);
  EXPECT_EQ(RefundsOf("club"), 3);
  AwaitTrue("who has not paid holds nothing any more", [&] { return UnsoldOf("club") == 20 - 3; });
  EXPECT_EQ(ReasonOf(TryJoin(members["two"][0], "late").status()), Reason::kGroupOver);
}

TEST_F(GroupsTest, AGroupInWhichNobodyIsAnyMoreIsOverAndItsOpenerMayOpenAnother) {
  OpenSale("solo", 10);
  OfferGroups("solo", "duo", {.seats = 2});
  const JoinedGroup opener = Open("solo", "duo", "opener");
  ASSERT_TRUE(client_->LeaveGroup({.reservation_id = opener.reservation.reservation_id, .sku = "solo"}).ok());
  const Group over = AwaitOver(opener, GroupState::kFailed);
  EXPECT_LT(over.finish_time, over.deadline_time);
  EXPECT_EQ(ReasonOf(TryJoin(opener, "late").status()), Reason::kGroupOver);
  EXPECT_NE(Open("solo", "duo", "opener").group_id, opener.group_id);
  EXPECT_EQ(UnsoldOf("solo"), 9);
}

TEST_F(GroupsTest, WhoLeavesFreesTheirSeatAndAWatchSeesItFill) {
  OpenSale("pair", 10, absl::Minutes(15), "", /*per_user_limit=*/2);
  OfferGroups("pair", "duo", {.seats = 2});
  const JoinedGroup opener = Open("pair", "duo", "opener");
  EXPECT_EQ(ReasonOf(TryOpen("pair", "duo", "opener").status()), Reason::kTooManyGroups);
  EXPECT_EQ(ReasonOf(TryJoin(opener, "opener").status()), Reason::kAlreadyInGroup);
  const auto watch = at(2).WatchGroup(opener.group_id, "pair");
  EXPECT_EQ(AwaitSeats(*watch, 0).state, GroupState::kForming);
  EXPECT_EQ(Pay(opener), ConfirmOutcome::kGroupWaiting);
  EXPECT_EQ(AwaitSeats(*watch, 1).seats, 2);
  EXPECT_EQ(
      ReasonOf(
          client_->Extend({.reservation_id = opener.reservation.reservation_id, .by = absl::Minutes(1), .extension = 1})
              .status()),
      Reason::kInGroup);

  const JoinedGroup first = Join(opener, "first", 1);
  const auto left = client_->LeaveGroup(
      {.reservation_id = opener.reservation.reservation_id, .reason = "changed their mind", .sku = "pair"});
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(left->state, ReservationState::kCancelled);
  EXPECT_EQ(left->cancel_reason, "changed their mind");
  EXPECT_EQ(AwaitSeats(*watch, 0).state, GroupState::kForming) << "it goes on without its opener";
  EXPECT_EQ(RefundsOf("pair"), 1);
  EXPECT_EQ(UnsoldOf("pair"), 9);

  const JoinedGroup again = Join(opener, "opener", 2);
  EXPECT_EQ(Pay(first, 2), ConfirmOutcome::kGroupWaiting);
  EXPECT_EQ(Pay(again, 1), ConfirmOutcome::kConfirmed);
  const Group full = AwaitSeats(*watch, 2);
  EXPECT_EQ(full.state, GroupState::kFilled);
  EXPECT_FALSE(Next(*watch).has_value()) << "there is no more to say";
  EXPECT_EQ(ReasonOf(client_->LeaveGroup({.reservation_id = first.reservation.reservation_id}).status()),
            Reason::kReservationState);
  const auto alone = client_->Create({.sku = "pair", .user = "alone"});
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_EQ(ReasonOf(client_->LeaveGroup({.reservation_id = alone->reservation_id}).status()), Reason::kNotInGroup);
  EXPECT_EQ(client_->Get(alone->reservation_id)->state, ReservationState::kPending);
  const auto mine = client_->GetGroup({.group_id = opener.group_id, .user = "opener", .sku = "pair"});
  ASSERT_TRUE(mine.ok()) << mine.status();
  ASSERT_EQ(mine->members.size(), 1u);
  EXPECT_EQ(mine->members[0].reservation_id, again.reservation.reservation_id);
  EXPECT_EQ(mine->members[0].seat, 2);
}

// Each last payment of twenty groups comes at about its group's deadline.
TEST_F(GroupsTest, APaymentAtTheDeadlineFillsItsGroupOrIsRefundedWithAllOthers) {
  constexpr int kGroups = 20;
  OpenSale("instant", 2 * kGroups);
  OfferGroups("instant", "duo", {.seats = 2, .open_for = kBrief, .pay_within = kBrief});
  std::vector<JoinedGroup> openers, payers;
  for (int i = 0; i < kGroups; ++i) {
    openers.push_back(Open("instant", "duo", absl::StrCat("opener-", i)));
    EXPECT_EQ(Pay(openers.back(), i), ConfirmOutcome::kGroupWaiting);
    payers.push_back(Join(openers.back(), absl::StrCat("payer-", i), i));
  }
  std::vector<ConfirmOutcome> outcomes(kGroups);
  std::vector<std::thread> threads;
  for (int i = 0; i < kGroups; ++i) {
    threads.emplace_back([&, i] {
      const auto group = static_cast<size_t>(i);
      absl::BitGen random;
      const absl::Time deadline = GroupOf(payers[group]).deadline_time;
      absl::SleepFor(deadline - absl::Now() + absl::Milliseconds(absl::Uniform(random, -25.0, 15.0)));
      outcomes[group] = Pay(payers[group], i);
    });
  }
  for (std::thread& thread : threads) thread.join();

  int filled = 0;
  for (size_t i = 0; i < kGroups; ++i) {
    if (outcomes[i] == ConfirmOutcome::kConfirmed) {
      ++filled;
      AwaitOver(payers[i], GroupState::kFilled);
      EXPECT_EQ(Read(openers[i]).state, ReservationState::kConfirmed);
      EXPECT_EQ(Messages(openers[i], "payment.refund_requested"), 0);
      continue;
    }
    EXPECT_EQ(outcomes[i], ConfirmOutcome::kPaidUnfulfilled) << ConfirmOutcomeName(outcomes[i]);
    AwaitOver(payers[i], GroupState::kFailed);
    AwaitTrue("both are refunded", [&] { return Messages(openers[i], "payment.refund_requested") == 2; });
  }
  std::cout << filled << " of " << kGroups << " groups were filled at their deadlines\n";
  EXPECT_EQ(RefundsOf("instant"), 2 * (kGroups - filled));
  EXPECT_EQ(UnsoldOf("instant"), 2 * (kGroups - filled));
}

TEST_F(GroupsTest, AnOperatorOffersAndCancels) {
  OpenSale("grill", 10);
  Do({"group", "offer", "create", "grill", "trio", "--seats", "3", "--price", "399.00", "--open-for", "24h"});
  EXPECT_EQ(ReasonOf(TryOpen("grill", "trio", "early").status()), Reason::kOfferNotFound) << "that was a preview";
  Do({"group", "offer", "create", "grill", "trio", "--seats", "3", "--price", "399.00", "--open-for", "24h", "--yes"});
  EXPECT_EQ(Ctl({"group", "offer", "create", "grill", "trio", "--seats", "4", "--price", "399.00", "--open-for", "24h",
                 "--yes"}),
            2);
  EXPECT_THAT(err_, HasSubstr("OFFER_EXISTS"));
  const JoinedGroup opener = Open("grill", "trio", "opener");
  const JoinedGroup unpaid = Join(opener, "unpaid");
  EXPECT_EQ(Pay(opener), ConfirmOutcome::kGroupWaiting);
  AwaitListed("grill", opener, true);
  Do({"group", "show", opener.group_id});
  EXPECT_THAT(out_, AllOf(HasSubstr("opener"), HasSubstr("unpaid")));

  Do({"group", "cancel", opener.group_id, "--reason", "not delivered"});
  EXPECT_EQ(GroupOf(opener).state, GroupState::kForming) << "a preview changes nothing";
  Do({"group", "cancel", opener.group_id, "--reason", "not delivered", "--yes"});
  const Group cancelled = AwaitOver(opener, GroupState::kCancelled);
  EXPECT_EQ(cancelled.cancel_reason, "not delivered");
  CheckEndedWith(opener, "GROUP_CANCELLED");
  CheckEndedWith(unpaid, "GROUP_CANCELLED");
  EXPECT_EQ(RefundsOf("grill"), 1);
  EXPECT_EQ(Messages(opener, "payment.refund_requested"), 1);
  EXPECT_EQ(UnsoldOf("grill"), 10);
  Do({"reservation", "get", opener.reservation.reservation_id});
  EXPECT_THAT(out_, HasSubstr(PaymentOf(opener).payment_reference)) << "support sees what is to be refunded";
  AwaitListed("grill", opener, false);

  const JoinedGroup another = Open("grill", "trio", "opener");
  Do({"group", "offer", "close", "grill", "trio", "--yes"});
  EXPECT_EQ(ReasonOf(TryOpen("grill", "trio", "other").status()), Reason::kOfferClosed);
  EXPECT_EQ(Pay(another), ConfirmOutcome::kGroupWaiting);
  EXPECT_EQ(Pay(Join(another, "second")), ConfirmOutcome::kGroupWaiting) << "what forms goes on";
  EXPECT_EQ(Pay(Join(another, "third")), ConfirmOutcome::kConfirmed);
  EXPECT_EQ(Ctl({"group", "cancel", another.group_id, "--yes"}), 2);
  EXPECT_THAT(err_, HasSubstr("GROUP_OVER"));
  Do({"audit", "--sku", "grill", "--limit", "20"});
  EXPECT_THAT(out_, AllOf(HasSubstr("create_group_offer"), HasSubstr("cancel_group"), HasSubstr("close_group_offer")));
}

}  // namespace
}  // namespace tranche::testing
