// Openings and joins of groups that are queued: decided as claims are, and told with their group.

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/internal/connection.h"
#include "tests/unit/client/queued_claim_fixture.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

class ClientGroupQueueTest : public QueuedClaimFixture {
 protected:
  static constexpr char kGroup[] = "0f0e0d0c-0b0a-4908-8706-050403020100";

  OpenGroup Opening() {
    OpenGroup request{.sku = "tv", .offer = "four", .user = "alice", .group_id = kGroup, .reservation_id = kQueuedId};
    request.accept_queued = true;
    request.on_queued = [this](const QueuedClaim& queued) { ahead_.push_back(queued.ahead); };
    return request;
  }
  JoinGroup Joining() {
    JoinGroup request{.group_id = kGroup, .sku = "tv", .user = "alice", .reservation_id = kQueuedId};
    request.accept_queued = true;
    request.on_queued = [this](const QueuedClaim& queued) { ahead_.push_back(queued.ahead); };
    return request;
  }
  absl::StatusOr<JoinedGroup> OpenOne(OpenGroup request) { return Run(&Connection::OpenGroup, std::move(request)); }
  absl::StatusOr<JoinedGroup> Join(JoinGroup request) { return Run(&Connection::JoinGroup, std::move(request)); }

  tranche::v1::OpenGroupResponse QueuedOpening() const {
    tranche::v1::OpenGroupResponse response;
    *response.mutable_queued() = Waiting(7);
    return response;
  }
  tranche::v1::JoinGroupResponse QueuedJoin() const {
    tranche::v1::JoinGroupResponse response;
    *response.mutable_queued() = Waiting(7);
    return response;
  }

  std::vector<int64_t> ahead_;  // as told
};

TEST_F(ClientGroupQueueTest, WhoJoinsIsToldTheDecision) {
  Open(1);
  script_.join_group.answers = {QueuedJoin()};
  script_.watched = {StillQueued(7), StillQueued(3), Sold()};
  const auto joined = Join(Joining());
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->group_id, kGroup);
  EXPECT_EQ(joined->reservation.reservation_id, kQueuedId);
  EXPECT_EQ(joined->reservation.state, ReservationState::kPending);
  ASSERT_EQ(script_.join_group.requests.size(), 1u);
  EXPECT_TRUE(script_.join_group.requests[0].accept_queued());
  EXPECT_EQ(script_.watched_tickets, std::vector<std::string>{"a-ticket"});
  EXPECT_EQ(ahead_, (std::vector<int64_t>{7, 3})) << "once for each news";
}

TEST_F(ClientGroupQueueTest, WhoOpensIsToldItWithTheIdThatTheClientHasMade) {
  Open(1);
  script_.open_group.answers = {QueuedOpening()};
  script_.get_claim.answers = {StillQueued(7), Sold()};
  OpenGroup request = Opening();
  request.group_id.clear();
  const auto opened = OpenOne(std::move(request));
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_EQ(script_.open_group.requests.size(), 1u);
  EXPECT_TRUE(script_.open_group.requests[0].accept_queued());
  EXPECT_EQ(opened->group_id.size(), 36u);
  EXPECT_EQ(opened->group_id, script_.open_group.requests[0].group_id());
  EXPECT_EQ(opened->reservation.reservation_id, kQueuedId);
  EXPECT_EQ(script_.get_claim.requests.size(), 2u) << "without a watch";
}

TEST_F(ClientGroupQueueTest, ARefusalIsItsError) {
  Open(1);
  for (const Reason reason :
       {Reason::kGroupNotFound, Reason::kGroupOver, Reason::kGroupFull, Reason::kAlreadyInGroup, Reason::kOfferClosed,
        Reason::kTooManyGroups, Reason::kSoldOut, Reason::kDeadlinePassed}) {
    script_.open_group.answers = {QueuedOpening()};
    script_.join_group.answers = {QueuedJoin()};
    script_.get_claim.answers = {RefusedWith(ReasonName(reason)), RefusedWith(ReasonName(reason))};
    for (const absl::Status& refused : {OpenOne(Opening()).status(), Join(Joining()).status()}) {
      EXPECT_EQ(ReasonOf(refused), reason) << refused;
      EXPECT_FALSE(ClaimTicketOf(refused).has_value());
    }
  }
  EXPECT_EQ(script_.join_group.requests.size(), 8u) << "none was sent again";
  EXPECT_TRUE(script_.gets.empty());
}

TEST_F(ClientGroupQueueTest, WhoDoesNotAcceptItIsRefused) {
  Open(2);
  OpenGroup opening = Opening();
  opening.accept_queued = false;
  JoinGroup joining = Joining();
  joining.accept_queued = false;
  const absl::Status refused = NodeError(absl::StatusCode::kFailedPrecondition, "CLAIMS_ARE_QUEUED");
  script_.open_group.answers = {refused};
  script_.join_group.answers = {refused};
  EXPECT_EQ(ReasonOf(OpenOne(opening).status()), Reason::kClaimsAreQueued);
  EXPECT_EQ(ReasonOf(Join(joining).status()), Reason::kClaimsAreQueued);
  ASSERT_EQ(script_.open_group.requests.size(), 1u);
  EXPECT_FALSE(script_.open_group.requests[0].accept_queued());
  ASSERT_EQ(script_.join_group.requests.size(), 1u);
  EXPECT_FALSE(script_.join_group.requests[0].accept_queued());
}

TEST_F(ClientGroupQueueTest, ALostTicketIsAskedForAtAnotherNodeWithTheSameIds) {
  Open(2);
  script_.open_group.answers = {ConnectionLost(), QueuedOpening()};
  script_.watched = {Sold()};
  ASSERT_TRUE(OpenOne(Opening()).ok());
  ASSERT_EQ(script_.open_group.requests.size(), 2u);
  const tranche::v1::OpenGroupRequest& again = script_.open_group.requests[1];
  EXPECT_EQ(again.group_id(), kGroup);
  EXPECT_EQ(again.reservation_id(), kQueuedId);
  EXPECT_TRUE(again.may_exist());
  EXPECT_TRUE(again.accept_queued());
  EXPECT_NE(script_.open_group.nodes[0], script_.open_group.nodes[1]);
}

// It may be in the queue: then no look-up of the ledger proves that it was not made.
TEST_F(ClientGroupQueueTest, AfterALostTicketARefusalProvesNothing) {
  Open(2);
  script_.join_group.answers = {ConnectionLost(), SoldOut()};
  script_.get = {NotFound()};
  const absl::Status status = Join(Joining()).status();
  EXPECT_TRUE(IsOutcomeUnknown(status)) << status;
  EXPECT_EQ(ErrorMetadata(status, "reservation_id"), kQueuedId);
  EXPECT_EQ(ErrorMetadata(status, "group_id"), kGroup);
  EXPECT_FALSE(ClaimTicketOf(status).has_value());

  script_.join_group.answers = {ConnectionLost(), SoldOut()};
  script_.get = {Row("REFUSED GROUP_FULL", 1, /*held_for_s=*/0)};
  EXPECT_EQ(ReasonOf(Join(Joining()).status()), Reason::kGroupFull) << "the ledger has refused it";
}

// The node compares the group with the ledger's.
TEST_F(ClientGroupQueueTest, AMembershipOfAnotherGroupIsNotTakenForOurs) {
  Open(2);
  const absl::Status reused = NodeError(absl::StatusCode::kAlreadyExists, "RESERVATION_ID_REUSED");
  tranche::v1::Reservation member = Row("", 1, /*held_for_s=*/600);
  member.set_state(tranche::v1::RESERVATION_STATE_PENDING);
  script_.join_group.answers = {ConnectionLost(), reused};
  script_.get = {member};
  EXPECT_EQ(ReasonOf(Join(Joining()).status()), Reason::kReservationIdReused);
  script_.open_group.answers = {ConnectionLost(), reused};
  script_.get = {member};
  EXPECT_EQ(ReasonOf(OpenOne(Opening()).status()), Reason::kReservationIdReused);
  script_.join_group.answers = {ConnectionLost(), SoldOut()};
  script_.get = {member};
  EXPECT_TRUE(Join(Joining()).ok()) << "any other refusal may be from memory";
}

TEST_F(ClientGroupQueueTest, WhatIsNotDecidedInTimeSaysSoWithItsTicketAndBothIds) {
  Open(1);
  script_.join_group.answers = {QueuedJoin()};
  script_.get_claim.answers.assign(100, StillQueued(7));
  JoinGroup request = Joining();
  request.decide_within = absl::Seconds(5);
  const absl::Status status = Join(request).status();
  EXPECT_TRUE(IsOutcomeUnknown(status)) << status;
  EXPECT_EQ(ClaimTicketOf(status), "a-ticket");
  EXPECT_EQ(ErrorMetadata(status, "reservation_id"), kQueuedId);
  EXPECT_EQ(ErrorMetadata(status, "group_id"), kGroup);
  EXPECT_EQ(elapsed(), absl::Seconds(5));

  request.retry_of_unknown = true;
  script_.join_group.answers = {QueuedJoin()};
  script_.watched = {Sold()};
  EXPECT_TRUE(Join(request).ok());
  EXPECT_TRUE(script_.join_group.requests.at(1).may_exist());
}

TEST_F(ClientGroupQueueTest, TheEndOfTheClientEndsTheWait) {
  Open(1);
  script_.open_group.answers = {QueuedOpening()};
  std::optional<absl::Status> ended;
  connection_->OpenGroup(Opening(), [&](absl::StatusOr<JoinedGroup> answer) { ended = answer.status(); });
  ASSERT_FALSE(ended.has_value());
  connection_.reset();
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ClaimTicketOf(*ended), "a-ticket");
  EXPECT_EQ(ErrorMetadata(*ended, "group_id"), kGroup);
}

}  // namespace
}  // namespace tranche::internal
