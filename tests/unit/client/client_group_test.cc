// Groups: opening and joining one is a claim with retries, leaving it a change, and what the client tells of a group.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/internal/connection.h"
#include "tests/unit/client/connection_fixture.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

using absl::StatusCode;

constexpr char kGroupId[] = "0f0e0d0c-0b0a-4908-8706-050403020100";
constexpr char kMemberId[] = "01890a5d-ac96-774b-bcce-b302099a8057";

class ClientGroupTest : public ConnectionFixture {
 protected:
  static OpenGroup Opening() {
    return {.sku = "tv",
            .offer = "four",
            .user = "alice",
            .quantity = 2,
            .group_id = kGroupId,
            .reservation_id = kMemberId,
            .order_reference = "order-1",
            .purchase_token = "a-token",
            .buyer_address = "203.0.113.7"};
  }
  static JoinGroup Joining() {
    return {.group_id = kGroupId,
            .sku = "tv",
            .user = "alice",
            .quantity = 2,
            .reservation_id = kMemberId,
            .order_reference = "order-1",
            .purchase_token = "a-token",
            .buyer_address = "203.0.113.7"};
  }
  absl::StatusOr<JoinedGroup> Open(OpenGroup request) { return Run(&Connection::OpenGroup, std::move(request)); }
  absl::StatusOr<JoinedGroup> Join(JoinGroup request = Joining()) {
    return Run(&Connection::JoinGroup, std::move(request));
  }
  absl::StatusOr<Reservation> Leave() {
    return Run(&Connection::LeaveGroup, LeaveGroup{.reservation_id = kMemberId, .reason = "too slow", .sku = "tv"});
  }
  // What the ledger has of the member.
  static tranche::v1::Reservation Held(int32_t quantity = 2) {
    tranche::v1::Reservation held;
    held.set_reservation_id(kMemberId);
    held.set_sku_id("tv");
    held.set_user_id("alice");
    held.set_quantity(quantity);
    held.set_state(tranche::v1::RESERVATION_STATE_PENDING);
    held.set_amount_minor(79800);
    held.set_order_reference("order-1");
    return held;
  }
  static tranche::v1::JoinGroupResponse Joined(bool replayed = false) {
    tranche::v1::JoinGroupResponse response;
    *response.mutable_reservation() = Held();
    response.set_replayed(replayed);
    return response;
  }
  using ConnectionFixture::Open;
};

TEST_F(ClientGroupTest, WhoOpensAGroupSaysWhichOfferAndWhoTheyAre) {
  Open(1);
  tranche::v1::OpenGroupResponse response;
  *response.mutable_reservation() = Held();
  script_.open_group.answers = {response};
  const auto opened = Open(Opening());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->group_id, kGroupId);
  EXPECT_EQ(opened->reservation.reservation_id, kMemberId);
  EXPECT_EQ(opened->reservation.amount_minor, 79800) << "the offer's price";
  EXPECT_FALSE(opened->reservation.replayed);
  ASSERT_EQ(script_.open_group.requests.size(), 1u);
  const tranche::v1::OpenGroupRequest& request = script_.open_group.requests[0];
  EXPECT_EQ(request.group_id(), kGroupId);
  EXPECT_EQ(request.offer_id(), "four");
  EXPECT_EQ(request.reservation_id(), kMemberId);
  EXPECT_EQ(request.sku_id(), "tv");
  EXPECT_EQ(request.user_id(), "alice");
  EXPECT_EQ(request.quantity(), 2);
  EXPECT_EQ(request.order_reference(), "order-1");
  EXPECT_EQ(request.purchase_token(), "a-token");
  EXPECT_EQ(request.buyer_address(), "203.0.113.7");
  EXPECT_FALSE(request.may_exist());
}

TEST_F(ClientGroupTest, IdsThatTheCallerDoesNotGiveAreMadeOnceAndKept) {
  Open(2);
  script_.open_group.answers = {ConnectionLost()};
  const auto opened = Open({.sku = "tv", .offer = "four", .user = "alice"});
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->group_id.size(), 36u);
  ASSERT_EQ(script_.open_group.requests.size(), 2u);
  EXPECT_EQ(script_.open_group.requests[1].group_id(), opened->group_id);
  EXPECT_EQ(script_.open_group.requests[1].reservation_id(), script_.open_group.requests[0].reservation_id());
  EXPECT_NE(script_.open_group.requests[1].reservation_id(), opened->group_id);
}

TEST_F(ClientGroupTest, WhoJoinsSaysWhichGroup) {
  Open(1);
  script_.join_group.answers = {Joined()};
  const auto joined = Join();
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->group_id, kGroupId);
  EXPECT_EQ(joined->reservation.quantity, 2);
  ASSERT_EQ(script_.join_group.requests.size(), 1u);
  const tranche::v1::JoinGroupRequest& request = script_.join_group.requests[0];
  EXPECT_EQ(request.group_id(), kGroupId);
  EXPECT_EQ(request.reservation_id(), kMemberId);
  EXPECT_EQ(request.sku_id(), "tv");
  EXPECT_EQ(request.user_id(), "alice");
  EXPECT_EQ(request.quantity(), 2);
  EXPECT_EQ(request.order_reference(), "order-1");
  EXPECT_EQ(request.purchase_token(), "a-token");
  EXPECT_EQ(request.buyer_address(), "203.0.113.7");
  EXPECT_FALSE(request.may_exist());
}

TEST_F(ClientGroupTest, ALostAnswerIsAskedForAtAnotherNodeWithTheSameId) {
  Open(2);
  script_.join_group.answers = {ConnectionLost(), Joined(/*replayed=*/true)};
  const auto joined = Join();
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_TRUE(joined->reservation.replayed);
  ASSERT_EQ(script_.join_group.requests.size(), 2u);
  EXPECT_NE(script_.join_group.nodes[0], script_.join_group.nodes[1]);
  EXPECT_EQ(script_.join_group.requests[1].reservation_id(), kMemberId);
  EXPECT_TRUE(script_.join_group.requests[1].may_exist());
}

TEST_F(ClientGroupTest, ANodeWithoutUnitsIsLeftForAnother) {
  Open(2);
  script_.join_group.answers = {NodeError(StatusCode::kUnavailable, "EXHAUSTED_HERE"), Joined()};
  EXPECT_TRUE(Join().ok());
  ASSERT_EQ(script_.join_group.requests.size(), 2u);
  EXPECT_FALSE(script_.join_group.requests[1].may_exist()) << "a refusal leaves no doubt";
}

TEST_F(ClientGroupTest, WhatIsRefusedIsAskedOfNoOtherNode) {
  Open(3);
  for (const auto& [code, reason] : {std::pair{StatusCode::kNotFound, Reason::kGroupNotFound},
                                     std::pair{StatusCode::kFailedPrecondition, Reason::kGroupOver},
                                     std::pair{StatusCode::kFailedPrecondition, Reason::kGroupFull},
                                     std::pair{StatusCode::kFailedPrecondition, Reason::kAlreadyInGroup},
                                     std::pair{StatusCode::kNotFound, Reason::kOfferNotFound},
                                     std::pair{StatusCode::kFailedPrecondition, Reason::kOfferClosed},
                                     std::pair{StatusCode::kResourceExhausted, Reason::kTooManyGroups},
                                     std::pair{StatusCode::kResourceExhausted, Reason::kSoldOut}}) {
    script_.join_group.answers = {NodeError(code, ReasonName(reason))};
    script_.open_group.answers = {NodeError(code, ReasonName(reason))};
    script_.join_group.requests.clear();
    script_.open_group.requests.clear();
    EXPECT_EQ(ReasonOf(Join().status()), reason);
    EXPECT_EQ(ReasonOf(Open(Opening()).status()), reason);
    EXPECT_EQ(script_.join_group.requests.size(), 1u) << ReasonName(reason);
    EXPECT_EQ(script_.open_group.requests.size(), 1u) << ReasonName(reason);
  }
  EXPECT_TRUE(scheduler_->waits().empty());
  EXPECT_TRUE(script_.gets.empty()) << "nothing was in doubt";
}

TEST_F(ClientGroupTest, AfterALostAnswerARefusalIsComparedWithTheLedger) {
  Open(2);
  const absl::Status full = NodeError(StatusCode::kFailedPrecondition, "GROUP_FULL");
  script_.join_group.answers = {ConnectionLost(), full};
  script_.get = {Held()};
  const auto joined = Join();
  ASSERT_TRUE(joined.ok()) << "the first try had joined: " << joined.status();
  EXPECT_TRUE(joined->reservation.replayed);
  EXPECT_EQ(script_.gets, std::vector<std::string>{kMemberId});
  EXPECT_EQ(script_.gets_after_lost_answer, 1u);

  script_.join_group.answers = {ConnectionLost(), full};
  script_.get = {NotFound(), NotFound()};
  EXPECT_EQ(ReasonOf(Join().status()), Reason::kGroupFull) << "twice not found";

  script_.join_group.answers = {ConnectionLost(), full};
  script_.get = {Held(/*quantity=*/1)};
  EXPECT_EQ(ReasonOf(Join().status()), Reason::kGroupFull) << "the id is of another claim";
}

TEST_F(ClientGroupTest, AnUnknownOutcomeNamesBothIds) {
  options_.retry.max_attempts = 2;
  Open(1);
  script_.open_group.answers = {ConnectionLost(), ConnectionLost()};
  const absl::Status status = Open(Opening()).status();
  EXPECT_TRUE(IsOutcomeUnknown(status)) << status;
  EXPECT_EQ(ErrorMetadata(status, "reservation_id"), kMemberId);
  EXPECT_EQ(ErrorMetadata(status, "group_id"), kGroupId);

  OpenGroup again = Opening();
  again.retry_of_unknown = true;
  script_.open_group.requests.clear();
  EXPECT_TRUE(Open(again).ok());
  EXPECT_TRUE(script_.open_group.requests.at(0).may_exist());
}

// It would be another claim, and the first one may have been made.
TEST_F(ClientGroupTest, ARetryWithoutTheIdsOfTheFirstTryIsNotSent) {
  Open(1);
  OpenGroup opening = Opening();
  opening.retry_of_unknown = true;
  for (std::string OpenGroup::*id : {&OpenGroup::group_id, &OpenGroup::reservation_id}) {
    OpenGroup without = opening;
    (without.*id).clear();
    const absl::Status status = Open(without).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(status.message(), ::testing::HasSubstr("group_id and reservation_id"));
  }
  JoinGroup joining = Joining();
  joining.retry_of_unknown = true;
  joining.reservation_id.clear();
  const absl::Status status = Join(joining).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(script_.open_group.requests, ::testing::IsEmpty());
  EXPECT_THAT(script_.join_group.requests, ::testing::IsEmpty());
}

TEST_F(ClientGroupTest, APaidSeatOfAGroupThatIsNotFullWaits) {
  Open(1);
  tranche::v1::ConfirmReservationResponse waits;
  waits.set_outcome(tranche::v1::CONFIRM_OUTCOME_GROUP_WAITING);
  *waits.mutable_reservation() = Held();
  script_.confirm.answers = {waits};
  const auto paid =
      Run(&Connection::Confirm,
          ConfirmReservation{
              .reservation_id = kMemberId, .payment_reference = "ch_1", .amount_minor = 79800, .currency = "EUR"});
  ASSERT_TRUE(paid.ok()) << paid.status();
  EXPECT_EQ(paid->outcome, ConfirmOutcome::kGroupWaiting);
  EXPECT_EQ(paid->reservation.state, ReservationState::kPending);
  EXPECT_FALSE(paid->rebooked.has_value());
}

TEST_F(ClientGroupTest, LeavingMayBeRepeated) {
  Open(2);
  tranche::v1::LeaveGroupResponse left;
  *left.mutable_reservation() = Held();
  left.mutable_reservation()->set_state(tranche::v1::RESERVATION_STATE_CANCELLED);
  left.mutable_reservation()->set_cancel_reason("too slow");
  left.set_replayed(true);
  script_.leave_group.answers = {ConnectionLost(), left};
  const auto reservation = Leave();
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_EQ(reservation->state, ReservationState::kCancelled);
  EXPECT_EQ(reservation->cancel_reason, "too slow");
  EXPECT_TRUE(reservation->replayed);
  ASSERT_EQ(script_.leave_group.requests.size(), 2u);
  EXPECT_EQ(script_.leave_group.requests[1].reservation_id(), kMemberId);
  EXPECT_EQ(script_.leave_group.requests[1].reason(), "too slow");
  EXPECT_EQ(script_.leave_group.requests[1].sku_id(), "tv");
}

TEST_F(ClientGroupTest, LeavingWithoutAnAnswerIsUnknownAndARefusalIsTrue) {
  options_.retry.max_attempts = 2;
  Open(1);
  script_.leave_group.answers = {ConnectionLost(), ConnectionLost()};
  const absl::Status unknown = Leave().status();
  EXPECT_TRUE(IsOutcomeUnknown(unknown)) << unknown;
  EXPECT_EQ(ErrorMetadata(unknown, "reservation_id"), kMemberId);
  script_.leave_group.answers = {ConnectionLost(), NodeError(StatusCode::kFailedPrecondition, "RESERVATION_STATE")};
  EXPECT_EQ(ReasonOf(Leave().status()), Reason::kReservationState);
}

tranche::v1::Group GroupMessage() {
  tranche::v1::Group group;
  group.set_group_id(kGroupId);
  group.set_sku_id("tv");
  group.set_offer_id("four");
  group.set_seats(4);
  group.set_seats_taken(3);
  group.set_price_minor(39900);
  group.set_currency("EUR");
  group.set_state(tranche::v1::GROUP_STATE_FORMING);
  group.mutable_create_time()->set_seconds(1'800'000'000);
  group.mutable_deadline_time()->set_seconds(1'800'003'600);
  group.mutable_remaining()->set_seconds(1800);
  group.set_revision(4);
  return group;
}

TEST_F(ClientGroupTest, AGroupIsToldWithTheMembersThatWereAskedFor) {
  Open(1);
  tranche::v1::GetGroupResponse response;
  *response.mutable_group() = GroupMessage();
  tranche::v1::GroupMember* paid = response.add_members();
  paid->set_reservation_id(kMemberId);
  paid->set_user_id("alice");
  paid->set_quantity(2);
  paid->set_reservation_state(tranche::v1::RESERVATION_STATE_PENDING);
  paid->mutable_join_time()->set_seconds(1'800'000'000);
  paid->set_seat(1);
  paid->mutable_pay_time()->set_seconds(1'800'000'060);
  response.add_members()->set_user_id("bob");
  script_.get_group.answers = {response};
  const auto found =
      Run(&Connection::GetGroup, GetGroup{.group_id = kGroupId, .user = "alice", .sku = "tv", .with_members = true});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->group.group_id, kGroupId);
  EXPECT_EQ(found->group.sku_id, "tv");
  EXPECT_EQ(found->group.offer_id, "four");
  EXPECT_EQ(found->group.seats, 4);
  EXPECT_EQ(found->group.seats_taken, 3);
  EXPECT_EQ(found->group.price_minor, 39900);
  EXPECT_EQ(found->group.currency, "EUR");
  EXPECT_EQ(found->group.state, GroupState::kForming);
  EXPECT_FALSE(found->group.partial);
  EXPECT_EQ(found->group.create_time, absl::FromUnixSeconds(1'800'000'000));
  EXPECT_EQ(found->group.deadline_time, absl::FromUnixSeconds(1'800'003'600));
  EXPECT_EQ(found->group.remaining, absl::Minutes(30));
  EXPECT_EQ(found->group.finish_time, absl::InfiniteFuture());
  EXPECT_EQ(found->group.revision, 4);
  ASSERT_EQ(found->members.size(), 2u);
  EXPECT_EQ(found->members[0].reservation_id, kMemberId);
  EXPECT_EQ(found->members[0].quantity, 2);
  EXPECT_EQ(found->members[0].reservation_state, ReservationState::kPending);
  EXPECT_EQ(found->members[0].join_time, absl::FromUnixSeconds(1'800'000'000));
  EXPECT_EQ(found->members[0].seat, 1);
  EXPECT_EQ(found->members[0].pay_time, absl::FromUnixSeconds(1'800'000'060));
  EXPECT_EQ(found->members[1].user_id, "bob");
  EXPECT_EQ(found->members[1].seat, 0);
  EXPECT_EQ(found->members[1].pay_time, absl::InfiniteFuture());
  const tranche::v1::GetGroupRequest& request = script_.get_group.requests.at(0);
  EXPECT_EQ(request.group_id(), kGroupId);
  EXPECT_EQ(request.user_id(), "alice");
  EXPECT_EQ(request.sku_id(), "tv");
  EXPECT_TRUE(request.with_members());
}

TEST_F(ClientGroupTest, GroupsAreListedInPages) {
  Open(1);
  tranche::v1::ListGroupsResponse response;
  *response.add_groups() = GroupMessage();
  response.mutable_groups(0)->set_state(tranche::v1::GROUP_STATE_FILLED);
  response.mutable_groups(0)->set_partial(true);
  response.mutable_groups(0)->mutable_finish_time()->set_seconds(1'800'003'600);
  response.mutable_groups(0)->set_cancel_reason("a reason");
  response.set_next_page_token("next");
  script_.list_groups.answers = {response};
  const auto page = Run(&Connection::ListGroups, ListGroups{.sku = "tv",
                                                            .offer = "four",
                                                            .states = {GroupState::kFilled, GroupState::kFailed},
                                                            .page_size = 7,
                                                            .page_token = "this"});
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->groups.size(), 1u);
  EXPECT_EQ(page->groups[0].state, GroupState::kFilled);
  EXPECT_TRUE(page->groups[0].partial);
  EXPECT_EQ(page->groups[0].finish_time, absl::FromUnixSeconds(1'800'003'600));
  EXPECT_EQ(page->groups[0].cancel_reason, "a reason");
  EXPECT_EQ(page->next_page_token, "next");
  const tranche::v1::ListGroupsRequest& request = script_.list_groups.requests.at(0);
  EXPECT_EQ(request.sku_id(), "tv");
  EXPECT_EQ(request.offer_id(), "four");
  ASSERT_EQ(request.states_size(), 2);
  EXPECT_EQ(request.states(1), tranche::v1::GROUP_STATE_FAILED);
  EXPECT_EQ(request.page_size(), 7);
  EXPECT_EQ(request.page_token(), "this");
}

TEST_F(ClientGroupTest, OffersAreToldAsTheyWereMade) {
  Open(1);
  tranche::v1::ListGroupOffersResponse response;
  tranche::v1::GroupOffer* offer = response.add_offers();
  offer->set_sku_id("tv");
  offer->set_offer_id("four");
  offer->set_seats(4);
  offer->set_price_minor(39900);
  offer->set_currency("EUR");
  offer->mutable_open_for()->set_seconds(86400);
  offer->mutable_pay_within()->set_seconds(900);
  offer->set_on_timeout(tranche::v1::GROUP_TIMEOUT_PARTIAL);
  offer->set_min_members(2);
  offer->mutable_create_time()->set_seconds(1'800'000'000);
  *response.add_offers() = *offer;
  response.mutable_offers(1)->mutable_close_time()->set_seconds(1'800'000'100);
  script_.list_group_offers.answers = {response};
  const auto offers = Run(&Connection::ListGroupOffers, std::string("tv"));
  ASSERT_TRUE(offers.ok()) << offers.status();
  ASSERT_EQ(offers->size(), 2u);
  EXPECT_EQ(offers->at(0).sku_id, "tv");
  EXPECT_EQ(offers->at(0).offer_id, "four");
  EXPECT_EQ(offers->at(0).seats, 4);
  EXPECT_EQ(offers->at(0).price_minor, 39900);
  EXPECT_EQ(offers->at(0).currency, "EUR");
  EXPECT_EQ(offers->at(0).open_for, absl::Hours(24));
  EXPECT_EQ(offers->at(0).pay_within, absl::Minutes(15));
  EXPECT_EQ(offers->at(0).on_timeout, GroupTimeout::kPartial);
  EXPECT_EQ(offers->at(0).min_members, 2);
  EXPECT_EQ(offers->at(0).create_time, absl::FromUnixSeconds(1'800'000'000));
  EXPECT_EQ(offers->at(0).close_time, absl::InfiniteFuture());
  EXPECT_EQ(offers->at(1).close_time, absl::FromUnixSeconds(1'800'000'100));
  EXPECT_EQ(script_.list_group_offers.requests.at(0).sku_id(), "tv");
}

// They are those of the API.
TEST(GroupNames, AreTheApis) {
  const auto* states = tranche::v1::GroupState_descriptor();
  for (int i = 0; i < states->value_count(); ++i) {
    const auto state = static_cast<GroupState>(states->value(i)->number());
    EXPECT_EQ(absl::StrCat("GROUP_STATE_", GroupStateName(state)), states->value(i)->name());
  }
  const auto* timeouts = tranche::v1::GroupTimeout_descriptor();
  for (int i = 0; i < timeouts->value_count(); ++i) {
    const auto timeout = static_cast<GroupTimeout>(timeouts->value(i)->number());
    EXPECT_EQ(absl::StrCat("GROUP_TIMEOUT_", GroupTimeoutName(timeout)), timeouts->value(i)->name());
  }
  const auto* outcomes = tranche::v1::ConfirmOutcome_descriptor();
  for (int i = 0; i < outcomes->value_count(); ++i) {
    const auto outcome = static_cast<ConfirmOutcome>(outcomes->value(i)->number());
    EXPECT_EQ(absl::StrCat("CONFIRM_OUTCOME_", ConfirmOutcomeName(outcome)), outcomes->value(i)->name());
  }
}

}  // namespace
}  // namespace tranche::internal
