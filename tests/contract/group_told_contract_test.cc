// What is told of groups, and for how long, on the fake and on PostgreSQL: members, lists, counts, and retention.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/contract/group_end_contract.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::NewId;
using ::testing::SizeIs;

class GroupToldContract : public GroupEndTest {
 protected:
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
};
INSTANTIATE_TEST_SUITE_P(Both, GroupToldContract, BothLedgers(), LedgerName);

// Those with a seat, the live ones, the others; each in the order of joining.
TEST_P(GroupToldContract, MembersAreToldWithTheirSeatsFirst) {
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

TEST_P(GroupToldContract, OfMembersThoseAreToldThatAreAskedFor) {
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

TEST_P(GroupToldContract, AGroupOfAnotherSkuIsNotFound) {
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

TEST_P(GroupToldContract, GroupsAreListedByDeadline) {
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

TEST_P(GroupToldContract, WhatIsOverdueIsCounted) {
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

TEST_P(GroupToldContract, GroupsAreKeptForADayAtLeast) {
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

TEST_P(GroupToldContract, AGroupOutlastsItsReservations) {
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

}  // namespace
}  // namespace tranche::storage
