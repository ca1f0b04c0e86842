// Claims that are queued: how the client waits for their decisions, and what it says when there is none.

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/internal/claim_wait.h"
#include "client/internal/connection.h"
#include "tests/unit/client/queued_claim_fixture.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

using absl::StatusCode;
using tranche::v1::GetClaimResponse;

class ClientQueueTest : public QueuedClaimFixture {
 protected:
  CreateReservation Request() {
    CreateReservation request{.sku = "tv", .user = "alice", .reservation_id = kQueuedId};
    request.accept_queued = true;
    request.on_queued = [this](const QueuedClaim& queued) { ahead_.push_back(queued.ahead); };
    return request;
  }
  absl::StatusOr<Reservation> Claim(CreateReservation request) { return Run(&Connection::Create, std::move(request)); }

  std::vector<int64_t> ahead_;  // as told
};

TEST_F(ClientQueueTest, AWatchTellsTheDecisionAtOnce) {
  Open(1);
  script_.queued = Waiting(7);
  script_.watched = {StillQueued(7), StillQueued(3), Sold()};
  const auto reservation = Claim(Request());
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_EQ(reservation->reservation_id, kQueuedId);
  EXPECT_EQ(reservation->state, ReservationState::kPending);
  EXPECT_TRUE(script_.creates.at(0).request.accept_queued());
  EXPECT_EQ(script_.watched_tickets, std::vector<std::string>{"a-ticket"});
  EXPECT_EQ(ahead_, (std::vector<int64_t>{7, 3})) << "once for each news";
  EXPECT_EQ(script_.get_claim.requests.size(), 0u);
  EXPECT_EQ(elapsed(), absl::ZeroDuration());
}

TEST_F(ClientQueueTest, WhoDoesNotAcceptItDoesNotAskForIt) {
  Open(1);
  ASSERT_TRUE(Claim({.sku = "tv", .user = "alice"}).ok());
  EXPECT_FALSE(script_.creates.at(0).request.accept_queued());
}

TEST_F(ClientQueueTest, WithoutAWatchItAsksAfterTheTimeThatTheNodeSays) {
  Open(1);
  script_.queued = Waiting(7);
  script_.get_claim.answers = {StillQueued(7), StillQueued(1), Sold()};
  const auto reservation = Claim(Request());
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_EQ(script_.get_claim.requests.size(), 3u);
  EXPECT_EQ(script_.get_claim.requests.at(2).ticket(), "a-ticket");
  EXPECT_GE(elapsed(), absl::Seconds(6));
  EXPECT_LE(elapsed(), absl::Seconds(7.5));
  EXPECT_EQ(ahead_, (std::vector<int64_t>{7, 1}));
}

TEST_F(ClientQueueTest, ARefusalIsTheClaimsError) {
  Open(1);
  script_.queued = Waiting(7);
  // As a decision it is final, whatever it would mean to a call.
  for (const Reason reason : {Reason::kSoldOut, Reason::kDeadlinePassed, Reason::kClaimDiscarded}) {
    script_.get_claim.answers = {RefusedWith(ReasonName(reason))};
    const auto refused = Claim(Request());
    EXPECT_EQ(ReasonOf(refused.status()), reason) << refused.status();
    EXPECT_FALSE(IsOutcomeUnknown(refused.status()));
    EXPECT_FALSE(ClaimTicketOf(refused.status()).has_value());
  }
  EXPECT_EQ(script_.creates.size(), 3u) << "none was sent again";
}

TEST_F(ClientQueueTest, ANodeThatIsDownDoesNotEndTheWait) {
  Open(2);
  script_.queued = Waiting(7);
  script_.get_claim.answers = {Refused(), StillQueued(7), Sold()};
  ASSERT_TRUE(Claim(Request()).ok());
  EXPECT_NE(script_.get_claim.nodes.at(0), script_.get_claim.nodes.at(1));
}

TEST_F(ClientQueueTest, NorDoesALedgerThatIsAwayForAWhile) {
  Open(1);
  script_.queued = Waiting(7);
  for (int i = 0; i < 30; ++i) {
    script_.get_claim.answers.push_back(NodeError(StatusCode::kUnavailable, "LEDGER_UNAVAILABLE"));
  }
  script_.get_claim.answers.push_back(Sold());
  const auto reservation = Claim(Request());
  EXPECT_TRUE(reservation.ok()) << reservation.status();
}

TEST_F(ClientQueueTest, WhatIsNotDecidedInTimeSaysSoWithItsTicket) {
  Open(1);
  script_.queued = Waiting(7);
  script_.get_claim.answers.assign(100, StillQueued(7));
  CreateReservation request = Request();
  request.decide_within = absl::Seconds(5);
  const absl::Status status = Claim(std::move(request)).status();
  EXPECT_TRUE(IsOutcomeUnknown(status)) << status;
  EXPECT_EQ(ClaimTicketOf(status), "a-ticket");
  EXPECT_EQ(ErrorMetadata(status, "reservation_id"), kQueuedId);
  EXPECT_EQ(elapsed(), absl::Seconds(5));
}

TEST_F(ClientQueueTest, WithoutABoundItWaitsUntilItMustBeDecided) {
  Open(1);
  script_.queued = Waiting(7);
  script_.get_claim.answers.assign(100, StillQueued(7));
  EXPECT_TRUE(ClaimTicketOf(Claim(Request()).status()).has_value());
  EXPECT_EQ(elapsed(), absl::Seconds(20) + ClaimWait::kLastWord);
}

// While nodes are replaced, an older one may not be able to read it.
TEST_F(ClientQueueTest, ATicketThatOneNodeCannotReadIsShownToAnother) {
  Open(2);
  script_.queued = Waiting(7);
  script_.get_claim.answers = {NodeError(StatusCode::kInvalidArgument, "CLAIM_TICKET_INVALID"), Sold()};
  const auto reservation = Claim(Request());
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_EQ(script_.get_claim.requests.size(), 2u);
}

TEST_F(ClientQueueTest, ATicketThatNoNodeTakesLeavesTheOutcomeUnknown) {
  Open(2);
  script_.queued = Waiting(7);
  script_.get_claim.answers.assign(100, NodeError(StatusCode::kInvalidArgument, "CLAIM_TICKET_INVALID"));
  const absl::Status status = Claim(Request()).status();
  EXPECT_TRUE(IsOutcomeUnknown(status)) << status;
  EXPECT_EQ(ClaimTicketOf(status), "a-ticket");
  EXPECT_EQ(elapsed(), absl::Seconds(20) + ClaimWait::kLastWord);
}

TEST_F(ClientQueueTest, TheEndOfTheClientEndsTheWait) {
  Open(1);
  script_.queued = Waiting(7);
  std::optional<absl::Status> ended;
  connection_->Create(Request(), [&](absl::StatusOr<Reservation> answer) { ended = answer.status(); });
  ASSERT_FALSE(ended.has_value());
  connection_.reset();
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ClaimTicketOf(*ended), "a-ticket");
}

TEST_F(ClientQueueTest, ABrokerThatIsAwayIsTriedAtAnotherNode) {
  Open(2);
  script_.create = {NodeError(StatusCode::kUnavailable, "QUEUE_UNAVAILABLE")};
  ASSERT_TRUE(Claim(Request()).ok());
  ASSERT_EQ(script_.creates.size(), 2u);
  EXPECT_NE(script_.creates[0].node, script_.creates[1].node);
  EXPECT_FALSE(script_.creates[1].request.may_exist()) << "nothing was queued";
}

TEST_F(ClientQueueTest, AFullQueueAndClaimsThatAreQueuedAreAnswers) {
  Open(2);
  absl::Status full = NodeError(StatusCode::kResourceExhausted, "QUEUE_FULL");
  SetMetadata(full, "retry_after_ms", "1500");
  script_.create = {full, NodeError(StatusCode::kFailedPrecondition, "CLAIMS_ARE_QUEUED")};
  const absl::Status later = Claim(Request()).status();
  EXPECT_EQ(ReasonOf(later), Reason::kQueueFull);
  EXPECT_EQ(RetryDelayOf(later), absl::Milliseconds(1500));
  EXPECT_EQ(ReasonOf(Claim({.sku = "tv", .user = "alice"}).status()), Reason::kClaimsAreQueued);
  EXPECT_EQ(script_.creates.size(), 2u);
}

TEST_F(ClientQueueTest, AnUnknownPublishIsRepeatedWithTheSameId) {
  Open(2);
  script_.queued = Waiting(7);
  script_.watched = {Sold()};
  script_.create = {NodeError(StatusCode::kUnavailable, "COMMIT_UNKNOWN")};
  ASSERT_TRUE(Claim(Request()).ok());
  ASSERT_EQ(script_.creates.size(), 2u);
  EXPECT_EQ(script_.creates[1].request.reservation_id(), kQueuedId);
  EXPECT_TRUE(script_.creates[1].request.may_exist());
}

// It may be in the queue: then no look-up of the ledger proves that it was not made.
TEST_F(ClientQueueTest, AfterALostAnswerARefusalFromMemoryProvesNothing) {
  Open(2);
  script_.create = {ConnectionLost(), SoldOut()};
  script_.get = {NotFound(), NotFound()};
  const absl::Status status = Claim(Request()).status();
  EXPECT_TRUE(IsOutcomeUnknown(status)) << status;
  EXPECT_EQ(script_.gets.size(), 1u);
}

TEST_F(ClientQueueTest, AClaimThatTheLedgerHasRefusedIsNoReservation) {
  Open(2);
  script_.create = {ConnectionLost(), SoldOut()};
  script_.get = {Row("REFUSED USER_LIMIT_REACHED", 1, /*held_for_s=*/0)};
  EXPECT_EQ(ReasonOf(Claim(Request()).status()), Reason::kUserLimitReached);
  // A payment was noted for it, which is to be refunded.
  script_.create = {ConnectionLost(), SoldOut()};
  script_.get = {Row("REFUSED USER_LIMIT_REACHED", 2, /*held_for_s=*/0)};
  EXPECT_EQ(ReasonOf(Claim(Request()).status()), Reason::kUserLimitReached);
  // Cancelled after it was sold, in whatever words.
  script_.create = {ConnectionLost(), SoldOut()};
  script_.get = {Row("REFUSED USER_LIMIT_REACHED", 2, /*held_for_s=*/600)};
  const auto sold = Claim(Request());
  ASSERT_TRUE(sold.ok()) << sold.status();
  EXPECT_EQ(sold->state, ReservationState::kCancelled);
}

TEST_F(ClientQueueTest, ACartIsDecidedAsAWhole) {
  Open(1);
  tranche::v1::CreateReservationsResponse queued;
  *queued.mutable_queued() = Waiting(7);
  GetClaimResponse sold;
  sold.mutable_cart_created()->add_reservations()->set_sku_id("tv");
  sold.mutable_cart_created()->add_reservations()->set_sku_id("cable");
  script_.cart.answers = {queued, queued};
  script_.watched = {StillQueued(7), sold};
  CreateCart cart{.user = "alice", .lines = {{.sku = "tv"}, {.sku = "cable"}}};
  cart.accept_queued = true;
  const auto made = Run(&Connection::CreateCart, cart);
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_EQ(made->reservations.size(), 2u);
  EXPECT_EQ(made->reservations[1].sku_id, "cable");
  EXPECT_TRUE(script_.cart.requests.at(0).accept_queued());
  script_.watched = {RefusedWith("SOLD_OUT")};
  EXPECT_TRUE(IsSoldOut(Run(&Connection::CreateCart, cart).status()));
}

TEST_F(ClientQueueTest, ATicketTellsWhatBecameOfTheClaim) {
  Open(1);
  script_.get_claim.answers = {StillQueued(4), Sold(), RefusedWith("SOLD_OUT"), GetClaimResponse(),
                               NodeError(StatusCode::kInvalidArgument, "CLAIM_TICKET_INVALID")};
  const auto ask = [this] { return Run(&Connection::GetClaim, std::string("kept")); };
  const auto queued = ask();
  ASSERT_TRUE(queued.ok() && queued->queued.has_value());
  EXPECT_EQ(queued->queued->ticket, "a-ticket");
  EXPECT_EQ(queued->queued->ahead, 4);
  EXPECT_EQ(queued->queued->poll_after, absl::Seconds(2));
  EXPECT_EQ(queued->queued->decide_time, begin_ + absl::Seconds(20));
  const auto sold = ask();
  ASSERT_TRUE(sold.ok() && sold->created.has_value());
  EXPECT_EQ(sold->created->reservation_id, kQueuedId);
  const auto refused = ask();
  ASSERT_TRUE(refused.ok()) << "that it was refused is what was asked for";
  EXPECT_TRUE(IsSoldOut(refused->refused));
  EXPECT_FALSE(refused->queued.has_value() || refused->created.has_value());
  EXPECT_TRUE(absl::IsInternal(ask().status())) << "an outcome of a newer version";
  EXPECT_EQ(ReasonOf(ask().status()), Reason::kClaimTicketInvalid);
  EXPECT_EQ(script_.get_claim.requests.at(0).ticket(), "kept");
}

}  // namespace
}  // namespace tranche::internal
