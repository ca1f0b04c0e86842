// Carts, changes and lists: what the client repeats, and what it returns when it does not know the outcome.

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/internal/connection.h"
#include "client/internal/stream_request.h"
#include "tests/unit/client/connection_fixture.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

using absl::StatusCode;

constexpr char kId[] = "01890000-0000-7000-8000-000000000001";

absl::Status StateForbids() { return NodeError(StatusCode::kFailedPrecondition, "RESERVATION_STATE"); }
tranche::v1::Reservation Line(const std::string& sku, int32_t quantity) {
  tranche::v1::Reservation line;
  line.set_sku_id(sku);
  line.set_user_id("alice");
  line.set_quantity(quantity);
  return line;
}
absl::Status CommitUnknown() { return NodeError(StatusCode::kUnavailable, "COMMIT_UNKNOWN"); }

class ClientChangesTest : public ConnectionFixture {
 protected:
  auto Confirm() {
    return Run(&Connection::Confirm, ConfirmReservation{.reservation_id = kId,
                                                        .payment_reference = "pay-1",
                                                        .amount_minor = 49900,
                                                        .currency = "EUR",
                                                        .sku = "tv"});
  }
  auto Cancel() {
    return Run(&Connection::Cancel, CancelReservation{.reservation_id = kId, .reason = "why", .sku = ""});
  }
  auto Extend() {
    return Run(&Connection::Extend,
               ExtendReservation{.reservation_id = kId, .by = absl::Minutes(10), .extension = 2, .sku = ""});
  }
  auto Cart(bool retry_of_unknown = false) {
    return Run(&Connection::CreateCart,
               tranche::CreateCart{.user = "alice",
                                   .lines = {{.sku = "tv", .quantity = 1, .reservation_id = kId},
                                             {.sku = "cable", .quantity = 2, .reservation_id = ""}},
                                   .retry_of_unknown = retry_of_unknown});
  }
};

TEST_F(ClientChangesTest, ConfirmSendsAndReadsEveryField) {
  Open(1);
  tranche::v1::ConfirmReservationResponse response;
  response.set_outcome(tranche::v1::CONFIRM_OUTCOME_REBOOKED);
  response.set_replayed(true);
  tranche::v1::Reservation* old = response.mutable_reservation();
  old->set_reservation_id(kId);
  old->set_state(tranche::v1::RESERVATION_STATE_EXPIRED);
  old->mutable_finish_time()->set_seconds(1'800'000'000);
  old->set_extensions(2);
  old->set_revision(4);
  response.mutable_rebooked()->set_rebooked_from(kId);
  response.mutable_rebooked()->set_payment_reference("pay-1");
  script_.confirm.answers = {response};
  const auto confirmation = Confirm();
  ASSERT_TRUE(confirmation.ok()) << confirmation.status();
  EXPECT_EQ(confirmation->outcome, ConfirmOutcome::kRebooked);
  EXPECT_TRUE(confirmation->replayed);
  EXPECT_EQ(confirmation->reservation.state, ReservationState::kExpired);
  EXPECT_EQ(confirmation->reservation.finish_time, absl::FromUnixSeconds(1'800'000'000));
  EXPECT_EQ(confirmation->reservation.extensions, 2);
  EXPECT_EQ(confirmation->reservation.revision, 4);
  ASSERT_TRUE(confirmation->rebooked.has_value());
  EXPECT_EQ(confirmation->rebooked->rebooked_from, kId);
  EXPECT_EQ(confirmation->rebooked->payment_reference, "pay-1");
  ASSERT_EQ(script_.confirm.requests.size(), 1u);
  const auto& sent = script_.confirm.requests[0];
  EXPECT_EQ(sent.reservation_id(), kId);
  EXPECT_EQ(sent.payment_reference(), "pay-1");
  EXPECT_EQ(sent.amount_minor(), 49900);
  EXPECT_EQ(sent.currency(), "EUR");
  EXPECT_EQ(sent.sku_id(), "tv");
}

TEST_F(ClientChangesTest, ExtendAndCancelSendTheirFields) {
  Open(1);
  EXPECT_TRUE(Extend().ok());
  EXPECT_EQ(script_.extend.requests[0].extend_by().seconds(), 600);
  EXPECT_EQ(script_.extend.requests[0].extension(), 2);
  EXPECT_TRUE(Cancel().ok());
  EXPECT_EQ(script_.cancel.requests[0].reason(), "why");
}

TEST_F(ClientChangesTest, ChangesGoToAnotherNodeWithTheSameRequest) {
  Open(3);
  script_.confirm.answers = {Refused(), ConnectionLost(), tranche::v1::ConfirmReservationResponse()};
  EXPECT_TRUE(Confirm().ok());
  ASSERT_EQ(script_.confirm.requests.size(), 3u);
  EXPECT_EQ(std::set<int>(script_.confirm.nodes.begin(), script_.confirm.nodes.end()).size(), 3u);
  for (const auto& request : script_.confirm.requests) {
    EXPECT_EQ(request.SerializeAsString(), script_.confirm.requests[0].SerializeAsString());
  }
}

TEST_F(ClientChangesTest, WhatMayPassIsTriedAgain) {
  for (const char* reason : {"OVERLOADED", "LEDGER_UNAVAILABLE", "COMMIT_UNKNOWN", "SKU_MOVING", "DRAINING"}) {
    script_ = {};
    Open(2);
    script_.cancel.answers = {NodeError(StatusCode::kUnavailable, reason)};
    EXPECT_TRUE(Cancel().ok()) << reason;
    EXPECT_EQ(script_.cancel.requests.size(), 2u) << reason;
  }
}

// The ledger itself has refused, and would have repeated its first answer.
TEST_F(ClientChangesTest, ARefusalIsBelievedAlsoAfterALostAnswer) {
  Open(2);
  script_.confirm.answers = {ConnectionLost(), StateForbids()};
  const absl::Status refused = Confirm().status();
  EXPECT_EQ(ReasonOf(refused), Reason::kReservationState);
  EXPECT_FALSE(IsOutcomeUnknown(refused));
  EXPECT_EQ(script_.confirm.requests.size(), 2u);
}

TEST_F(ClientChangesTest, WithoutADefiniteAnswerTheOutcomeIsUnknown) {
  Open(1);
  options_.retry.max_attempts = 2;
  Open(1);
  script_.extend.answers = {ConnectionLost(), ConnectionLost()};
  const absl::Status unknown = Extend().status();
  EXPECT_TRUE(IsOutcomeUnknown(unknown)) << unknown;
  EXPECT_EQ(ErrorMetadata(unknown, "reservation_id"), kId);

  script_.extend.answers = {Refused(), Refused()};
  EXPECT_FALSE(IsOutcomeUnknown(Extend().status())) << "it was never sent";
  script_.list.answers = {ConnectionLost(), ConnectionLost()};
  const auto list = Run(&Connection::List, ListReservations{.user = "alice"});
  EXPECT_EQ(list.status().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(IsOutcomeUnknown(list.status())) << "a list changes nothing";
}

// What the window of a stream is told.
struct CountedWindow final : StreamWindow {
  void OnAnswered(int more_room) override { room += more_room; }
  void OnDelivered(int count) override { delivered += static_cast<size_t>(count); }
  int room = 0;
  size_t delivered = 0;
};

TEST_F(ClientChangesTest, AChangeWhoseStreamBrokeStaysInDoubtUntilItIsAnswered) {
  options_.retry.max_attempts = 2;
  Open(1);
  const absl::Time deadline = scheduler_->Now() + absl::Seconds(10);
  for (const bool sent : {false, true}) {
    script_.confirm.answers = {Refused(), Refused()};
    script_.cancel.answers = {Refused(), Refused()};
    CountedWindow window;
    std::vector<absl::Status> ends;
    const auto end = [&](const absl::Status& status) {
      ends.push_back(status);
      EXPECT_EQ(window.room, ends.size() == 1 ? 2 : 3) << "a payment takes two, a cancellation one";
      EXPECT_EQ(window.delivered, ends.size() - 1) << "there is room again, but the callback has not run";
    };
    ConfirmOnStream confirm(deadline, deadline, {.reservation_id = kId},
                            [&](absl::StatusOr<Confirmation> answer) { end(answer.status()); });
    confirm.ContinueAsCall(*connection_, {.admitted = !sent, .in_doubt = sent}, &window);
    scheduler_->RunAll();
    CancelOnStream cancel(deadline, deadline, {.reservation_id = kId},
                          [&](absl::StatusOr<Reservation> answer) { end(answer.status()); });
    cancel.ContinueAsCall(*connection_, {.admitted = !sent, .in_doubt = sent}, &window);
    scheduler_->RunAll();
    ASSERT_EQ(ends.size(), 2u);
    EXPECT_EQ(window.delivered, 2u);
    for (const absl::Status& status : ends) EXPECT_EQ(IsOutcomeUnknown(status), sent) << status;
  }
}

TEST(StreamRequestTest, ACartTakesAsMuchOfTheWindowAsItHasLines) {
  tranche::CreateCart cart;
  const std::vector<std::pair<size_t, int>> expected = {{0, 1}, {1, 1}, {2, 2}, {32, 32}, {33, 32}};
  for (const auto& [lines, room] : expected) {
    cart.lines.resize(lines);
    EXPECT_EQ(WindowRoom(cart), room);
  }
}

TEST_F(ClientChangesTest, ACartWhoseStreamBrokeIsRepeatedAsOneThatMayExist) {
  Open(1);
  const absl::Time deadline = scheduler_->Now() + absl::Seconds(10);
  CountedWindow window;
  bool made = false;
  CartOnStream cart(deadline, deadline,
                    {.user = "alice", .lines = {{.sku = "tv", .quantity = 1, .reservation_id = kId}}},
                    [&](absl::StatusOr<tranche::Cart> answer) { made = answer.ok(); });
  cart.ContinueAsCall(*connection_, {.in_doubt = true}, &window);
  EXPECT_TRUE(made);
  EXPECT_EQ(window.room, 1);
  EXPECT_EQ(window.delivered, 1u);
  ASSERT_EQ(script_.cart.requests.size(), 1u);
  EXPECT_TRUE(script_.cart.requests[0].may_exist());
}

TEST_F(ClientChangesTest, WithoutBudgetAndTimeWhatABrokenStreamLeftStaysInDoubtUnsent) {
  options_.retry.budget_tokens = 0;
  options_.retry.budget_refill = 0;
  Open(2);
  const absl::Time deadline = scheduler_->Now() + absl::Milliseconds(900);
  const CallStart lost{
      .in_doubt = true, .node = 0, .refusal = NodeError(absl::StatusCode::kUnavailable, "COMMIT_UNKNOWN")};
  CountedWindow window;
  std::vector<absl::Status> ends;
  CartOnStream cart(deadline, deadline,
                    {.user = "alice", .lines = {{.sku = "tv", .quantity = 1, .reservation_id = kId}}},
                    [&](absl::StatusOr<tranche::Cart> answer) { ends.push_back(answer.status()); });
  cart.ContinueAsCall(*connection_, lost, &window);
  ConfirmOnStream confirm(deadline, deadline, {.reservation_id = kId},
                          [&](absl::StatusOr<Confirmation> answer) { ends.push_back(answer.status()); });
  confirm.ContinueAsCall(*connection_, lost, &window);
  CancelOnStream cancel(deadline, deadline, {.reservation_id = kId},
                        [&](absl::StatusOr<Reservation> answer) { ends.push_back(answer.status()); });
  cancel.ContinueAsCall(*connection_, lost, &window);
  ASSERT_EQ(ends.size(), 3u);
  for (const absl::Status& end : ends) {
    EXPECT_TRUE(IsOutcomeUnknown(end)) << end;
    EXPECT_EQ(ErrorMetadata(end, "reservation_id"), kId);
  }
  EXPECT_TRUE(script_.cart.requests.empty());
  EXPECT_TRUE(script_.confirm.requests.empty());
  EXPECT_TRUE(script_.cancel.requests.empty());
  EXPECT_TRUE(script_.gets.empty());
}

TEST_F(ClientChangesTest, ListSendsItsFilterAndReadsThePage) {
  Open(1);
  tranche::v1::ListReservationsResponse response;
  response.add_reservations()->set_cancel_reason("why");
  response.set_next_page_token("more");
  script_.list.answers = {response};
  const auto page = Run(&Connection::List, ListReservations{.user = "alice",
                                                            .sku = "tv",
                                                            .states = {ReservationState::kCancelled},
                                                            .page_size = 7,
                                                            .page_token = "token"});
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->reservations.size(), 1u);
  EXPECT_EQ(page->reservations[0].cancel_reason, "why");
  EXPECT_EQ(page->next_page_token, "more");
  const auto& sent = script_.list.requests[0];
  EXPECT_EQ(sent.user_id(), "alice");
  EXPECT_EQ(sent.sku_id(), "tv");
  ASSERT_EQ(sent.states_size(), 1);
  EXPECT_EQ(sent.states(0), tranche::v1::RESERVATION_STATE_CANCELLED);
  EXPECT_EQ(sent.page_size(), 7);
  EXPECT_EQ(sent.page_token(), "token");
}

TEST_F(ClientChangesTest, ABatchOfIdsIsSentAndReadInOrder) {
  Open(2);
  tranche::v1::BatchGetReservationsResponse response;
  *response.add_reservations() = Line("tv", 1);
  *response.add_reservations() = Line("cable", 2);
  script_.batch_get.answers = {ConnectionLost(), response};
  const auto found = Run(&Connection::BatchGet, std::vector<std::string>{"one", "two", "three"});
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].sku_id, "tv");
  EXPECT_EQ((*found)[1].sku_id, "cable");
  EXPECT_EQ((*found)[1].quantity, 2);
  EXPECT_FALSE((*found)[0].replayed);
  ASSERT_EQ(script_.batch_get.requests.size(), 2u) << "a read that was lost is sent to the other node";
  ASSERT_EQ(script_.batch_get.requests[1].reservation_ids_size(), 3);
  EXPECT_EQ(script_.batch_get.requests[1].reservation_ids(2), "three");
}

TEST_F(ClientChangesTest, ASkuIsReadWithEveryField) {
  Open(1);
  tranche::v1::CatalogServiceGetSkuResponse response;
  tranche::v1::CatalogSku& sku = *response.mutable_sku();
  sku.set_sku_id("tv");
  sku.set_title("A TV");
  sku.set_price_minor(49900);
  sku.set_currency("EUR");
  sku.mutable_open_time()->set_seconds(100);
  sku.mutable_close_time()->set_seconds(200);
  sku.set_per_user_limit(3);
  sku.mutable_hold()->set_seconds(900);
  sku.set_state(tranche::v1::SALE_STATE_SOLD_OUT);
  sku.set_availability(tranche::v1::AVAILABILITY_NONE_FOR_NOW);
  response.mutable_age()->set_nanos(500'000'000);
  script_.get_sku.answers = {response};
  const auto found = Run(&Connection::GetSku, std::string("tv"));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(script_.get_sku.requests[0].sku_id(), "tv");
  EXPECT_EQ(found->sku_id, "tv");
  EXPECT_EQ(found->title, "A TV");
  EXPECT_EQ(found->price_minor, 49900);
  EXPECT_EQ(found->currency, "EUR");
  EXPECT_EQ(found->open_time, absl::FromUnixSeconds(100));
  EXPECT_EQ(found->close_time, absl::FromUnixSeconds(200));
  EXPECT_EQ(found->per_user_limit, 3);
  EXPECT_EQ(found->hold, absl::Minutes(15));
  EXPECT_STREQ(SaleStateName(found->state), "SOLD_OUT");
  EXPECT_STREQ(AvailabilityName(found->availability), "NONE_FOR_NOW");
  EXPECT_EQ(found->age, absl::Milliseconds(500));
}

TEST_F(ClientChangesTest, APageOfSkusIsAskedForAndRead) {
  Open(1);
  tranche::v1::CatalogServiceListSkusResponse response;
  response.add_skus()->set_sku_id("radio");
  response.add_skus()->set_sku_id("tv");
  response.mutable_age()->set_seconds(7);
  response.set_next_page_token("more");
  script_.list_skus.answers = {response};
  const auto page = Run(&Connection::ListSkus, ListSkus{.page_size = 2, .page_token = "token"});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(script_.list_skus.requests[0].page_size(), 2);
  EXPECT_EQ(script_.list_skus.requests[0].page_token(), "token");
  ASSERT_EQ(page->skus.size(), 2u);
  EXPECT_EQ(page->skus[1].sku_id, "tv");
  EXPECT_EQ(page->skus[1].age, absl::Seconds(7));
  EXPECT_EQ(page->skus[0].open_time, absl::InfinitePast());
  EXPECT_EQ(page->skus[0].close_time, absl::InfiniteFuture());
  EXPECT_EQ(page->next_page_token, "more");
}

TEST_F(ClientChangesTest, ACartKeepsItsIdsAndGetsThoseItLacks) {
  Open(3);
  script_.cart.answers = {Refused(), NodeError(StatusCode::kUnavailable, "EXHAUSTED_HERE")};
  ASSERT_TRUE(Cart().ok());
  ASSERT_EQ(script_.cart.requests.size(), 3u);
  const auto& first = script_.cart.requests[0];
  EXPECT_EQ(first.lines(0).reservation_id(), kId);
  EXPECT_EQ(first.lines(1).reservation_id().size(), 36u);
  EXPECT_EQ(first.lines(1).quantity(), 2);
  EXPECT_FALSE(first.may_exist());
  EXPECT_EQ(script_.cart.requests[2].lines(1).reservation_id(), first.lines(1).reservation_id());
  EXPECT_FALSE(script_.cart.requests[2].may_exist()) << "neither of them can have committed it";
}

TEST_F(ClientChangesTest, AfterALostAnswerTheNodeIsToldThatTheCartMayExist) {
  Open(2);
  tranche::v1::CreateReservationsResponse replay;
  replay.set_replayed(true);
  replay.add_reservations()->set_reservation_id(kId);
  script_.cart.answers = {ConnectionLost(), replay};
  const auto cart = Cart();
  ASSERT_TRUE(cart.ok()) << cart.status();
  EXPECT_TRUE(cart->replayed);
  ASSERT_EQ(cart->reservations.size(), 1u);
  EXPECT_TRUE(cart->reservations[0].replayed);
  EXPECT_TRUE(script_.cart.requests[1].may_exist());
}

TEST_F(ClientChangesTest, ARefusalOfACartInDoubtIsCheckedAgainstTheLedger) {
  Open(2);
  script_.cart.answers = {ConnectionLost(), SoldOut()};
  script_.get = {NotFound(), NotFound()};
  const absl::Status refused = Cart().status();
  EXPECT_TRUE(IsSoldOut(refused)) << refused;
  EXPECT_EQ(script_.gets, (std::vector<std::string>{kId, kId})) << "the first line tells of all";
  EXPECT_EQ(scheduler_->waits().back(), absl::Milliseconds(250)) << "the first look-up may overtake the commit";

  script_.cart.answers = {SoldOut()};
  EXPECT_TRUE(IsSoldOut(Cart().status()));
  EXPECT_EQ(script_.gets.size(), 2u) << "without a doubt nothing is looked up";

  script_.cart.answers = {SoldOut()};
  script_.get = {NotFound(), NotFound()};
  EXPECT_TRUE(IsSoldOut(Cart(/*retry_of_unknown=*/true).status()));
  EXPECT_TRUE(script_.cart.requests.back().may_exist());
}

// A node may say so without having looked for the cart.
TEST_F(ClientChangesTest, ACartThatWasLookedUpTwiceInVainIsNotUnknown) {
  for (const char* reason : {"EXHAUSTED_HERE", "DRAINING", "OVERLOADED"}) {
    SCOPED_TRACE(reason);
    script_ = {};
    Open(2);
    script_.cart.answers = {ConnectionLost()};
    for (int i = 0; i < 100; ++i) script_.cart.answers.push_back(NodeError(StatusCode::kUnavailable, reason));
    script_.get = {NotFound(), NotFound()};
    const absl::Status status = Cart().status();
    EXPECT_EQ(ReasonNameOf(status), reason) << status;
  }
}

TEST_F(ClientChangesTest, ACartThatTheLedgerHasIsReturnedAlthoughTheNodeRefused) {
  options_.retry.max_attempts = 2;
  Open(2);
  script_.cart.answers = {ConnectionLost(), NodeError(StatusCode::kUnavailable, "EXHAUSTED_HERE")};
  script_.get = {NotFound(), Line("tv", 1), Line("cable", 2)};
  const auto cart = Cart();
  ASSERT_TRUE(cart.ok()) << cart.status();
  EXPECT_TRUE(cart->replayed);
  ASSERT_EQ(cart->reservations.size(), 2u);
  EXPECT_EQ(cart->reservations[0].sku_id, "tv");
  EXPECT_EQ(cart->reservations[1].quantity, 2);
  EXPECT_TRUE(cart->reservations[1].replayed);
  EXPECT_EQ(script_.gets.back(), script_.cart.requests[0].lines(1).reservation_id());
}

TEST_F(ClientChangesTest, ACartOfWhichALineCannotBeReadIsUnknown) {
  Open(1);
  script_.cart.answers = {SoldOut()};
  script_.get = {Line("tv", 1), NotFound()};
  EXPECT_TRUE(IsOutcomeUnknown(Cart(/*retry_of_unknown=*/true).status()));
}

TEST_F(ClientChangesTest, AnIdOfAnotherClaimIsNotTakenForTheCart) {
  Open(1);
  script_.cart.answers = {NodeError(StatusCode::kAlreadyExists, "RESERVATION_ID_REUSED")};
  script_.get = {Line("tv", 7)};
  EXPECT_EQ(ReasonOf(Cart(/*retry_of_unknown=*/true).status()), Reason::kReservationIdReused);
}

TEST_F(ClientChangesTest, AMembershipOfAGroupIsNotTakenForALineOfTheCart) {
  Open(1);
  script_.cart.answers = {NodeError(StatusCode::kAlreadyExists, "RESERVATION_ID_REUSED")};
  tranche::v1::Reservation member = Line("tv", 1);
  member.set_group_id("0f0e0d0c-0b0a-4908-8706-050403020100");
  script_.get = {member, Line("cable", 2)};
  EXPECT_EQ(ReasonOf(Cart(/*retry_of_unknown=*/true).status()), Reason::kReservationIdReused);
}

TEST_F(ClientChangesTest, ACartWithoutADefiniteAnswerIsUnknown) {
  options_.retry.max_attempts = 2;
  Open(1);
  script_.cart.answers = {CommitUnknown(), CommitUnknown()};
  const absl::Status unknown = Cart().status();
  EXPECT_TRUE(IsOutcomeUnknown(unknown)) << unknown;
  EXPECT_EQ(ErrorMetadata(unknown, "reservation_id"), kId);
}

TEST_F(ClientChangesTest, ACartWithoutLinesIsNotSent) {
  Open(1);
  const auto cart = Run(&Connection::CreateCart, tranche::CreateCart{.user = "alice"});
  EXPECT_EQ(cart.status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(script_.cart.requests.empty());
}

}  // namespace
}  // namespace tranche::internal
