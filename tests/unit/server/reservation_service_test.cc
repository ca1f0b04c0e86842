#include "server/services/reservation_service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/server/reservation_service_fixture.h"

namespace tranche::server {
namespace {

TEST_F(ReservationServiceTest, ErrorsCarryDetailsAndPushback) {
  StartServer(8);
  auto context = Context();
  v1::CreateReservationRequest request = Request();
  request.set_sku_id("dry");
  v1::CreateReservationResponse response;
  const grpc::Status status = stub_->CreateReservation(context.get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOnWire(status), "EXHAUSTED_HERE");
  const auto pushback = context->GetServerTrailingMetadata().find("grpc-retry-pushback-ms");
  ASSERT_NE(pushback, context->GetServerTrailingMetadata().end());
  EXPECT_EQ(std::string(pushback->second.data(), pushback->second.size()), "50");
}

TEST_F(ReservationServiceTest, ACallWithoutDeadlineIsRefused) {
  StartServer(8);
  grpc::ClientContext context;
  v1::CreateReservationResponse response;
  const grpc::Status status = stub_->CreateReservation(&context, Request(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonOnWire(status), "DEADLINE_REQUIRED");
}

TEST_F(ReservationServiceTest, TheBuyersAddressIsLookedForOnlyWhileTheFrontDoorAsks) {
  StartServer(8);
  const auto address_of_claim = [this](int number) {
    auto context = Context();
    context->AddMetadata("x-forwarded-for", "198.51.100.1, 203.0.113.7");
    v1::CreateReservationResponse response;
    std::thread caller([&] { EXPECT_TRUE(stub_->CreateReservation(context.get(), Request(), &response).ok()); });
    const bool arrived = sales_.AwaitArrived(number);
    const std::string address = arrived ? sales_.last_visitor().address : "";
    if (arrived) sales_.DecideFirst();
    caller.join();
    return address;
  };
  EXPECT_EQ(address_of_claim(1), "");
  gate_.Close();
  EXPECT_EQ(address_of_claim(2), "203.0.113.7") << "what the last of the proxies has added";
}

TEST_F(ReservationServiceTest, ABuyersAddressInAClaimCountsBeforeTheHeader) {
  StartServer(8);
  gate_.Close();
  EXPECT_EQ(AddressOfClaimThatStates("2001:DB8:0:0::7"), "2001:db8::7");
}

TEST_F(ReservationServiceTest, ABuyersAddressInAClaimOfWhoIsNotBelievedDoesNotCount) {
  trusted_proxies_ = 0;
  StartServer(8);
  gate_.Close();
  EXPECT_EQ(AddressOfClaimThatStates("203.0.113.7"), "127.0.0.1");
}

TEST_F(ReservationServiceTest, ABuyersAddressIsNotLookedAtWhileTheFrontDoorDoesNotAsk) {
  StartServer(8);
  EXPECT_EQ(AddressOfClaimThatStates("203.0.113.7"), "");
}

TEST_F(ReservationServiceTest, EachRequestOfAStreamMaySayWhereItsBuyerIs) {
  StartServer(8);
  gate_.Close();
  auto context = Context();
  context->AddMetadata("x-forwarded-for", "198.51.100.1");
  const auto stream = stub_->StreamReservations(context.get());
  v1::StreamReservationsRequest item = Item(1);
  item.mutable_create()->set_buyer_address("203.0.113.7");
  ASSERT_TRUE(stream->Write(item));
  ASSERT_TRUE(sales_.AwaitArrived(1));
  EXPECT_EQ(sales_.last_visitor().address, "203.0.113.7");
  ASSERT_TRUE(stream->Write(Item(2)));
  ASSERT_TRUE(sales_.AwaitArrived(2));
  EXPECT_EQ(sales_.last_visitor().address, "198.51.100.1") << "what is said of one buyer is not true of the next";
  sales_.DecideFirst();
  sales_.DecideFirst();
  stream->WritesDone();
  v1::StreamReservationsResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationServiceTest, AStreamOfCallersWhoAreNotBelievedHasTheirAddress) {
  trusted_proxies_ = 0;
  StartServer(8);
  gate_.Close();
  auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  v1::StreamReservationsRequest item = Item(1);
  item.mutable_create()->set_buyer_address("203.0.113.7");
  ASSERT_TRUE(stream->Write(item));
  ASSERT_TRUE(sales_.AwaitArrived(1));
  EXPECT_EQ(sales_.last_visitor().address, "127.0.0.1");
  sales_.DecideFirst();
  stream->WritesDone();
  v1::StreamReservationsResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationServiceTest, TheRequestsOfAStreamHaveItsCallersAddress) {
  StartServer(8);
  auto context = Context();
  context->AddMetadata("x-forwarded-for", "203.0.113.7");
  const auto stream = stub_->StreamReservations(context.get());
  ASSERT_TRUE(stream->Write(Item(1)));
  ASSERT_TRUE(sales_.AwaitArrived(1));
  EXPECT_EQ(sales_.last_visitor().address, "");
  gate_.Close();
  v1::StreamReservationsRequest item = Item(2);
  item.mutable_create()->set_purchase_token("token");
  ASSERT_TRUE(stream->Write(item));
  ASSERT_TRUE(sales_.AwaitArrived(2));
  EXPECT_EQ(sales_.last_visitor().address, "203.0.113.7") << "also of a stream that began before";
  EXPECT_EQ(sales_.last_visitor().purchase_token, "token");
  sales_.DecideFirst();
  sales_.DecideFirst();
  stream->WritesDone();
  v1::StreamReservationsResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationServiceTest, ACartHasItsCallersAddressOrTheOneThatItStates) {
  StartServer(8);
  gate_.Close();
  auto context = Context();
  v1::CreateReservationsRequest cart;
  cart.set_user_id("u1");
  v1::CartLine* const line = cart.add_lines();
  line->set_reservation_id(Request().reservation_id());
  line->set_sku_id("tv");
  line->set_quantity(1);
  v1::CreateReservationsResponse response;
  ASSERT_TRUE(stub_->CreateReservations(context.get(), cart, &response).ok());
  ASSERT_EQ(cart_visitors_.size(), 1u);
  EXPECT_EQ(cart_visitors_[0].address, "127.0.0.1") << "without the header: the peer";
  cart.set_buyer_address("203.0.113.7");
  auto again = Context();
  ASSERT_TRUE(stub_->CreateReservations(again.get(), cart, &response).ok());
  ASSERT_EQ(cart_visitors_.size(), 1u);
  EXPECT_EQ(cart_visitors_[0].address, "203.0.113.7");
}

TEST_F(ReservationServiceTest, AClaimIsDecidedAlsoWhenItsCallerHasGone) {
  StartServer(8);
  auto context = Context();
  v1::CreateReservationResponse response;
  std::thread caller([&] {
    const grpc::Status status = stub_->CreateReservation(context.get(), Request(), &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  });
  ASSERT_TRUE(sales_.AwaitArrived(1));
  context->TryCancel();
  caller.join();
  sales_.DecideFirst();
  server_.reset();  // would hang if the call had not been finished
}

TEST_F(ReservationServiceTest, StreamAnswersInTheOrderOfDecisionAndAfterHalfClose) {
  StartServer(8);
  auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  for (uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(stream->Write(Item(i)));
  ASSERT_TRUE(stream->WritesDone());
  ASSERT_TRUE(sales_.AwaitArrived(3));
  for (uint64_t i = 3; i >= 1; --i) {
    sales_.DecideLast();
    v1::StreamReservationsResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.sequence(), i);
    EXPECT_EQ(response.created().reservation().user_id(), absl::StrCat("u", i));
  }
  v1::StreamReservationsResponse none;
  EXPECT_FALSE(stream->Read(&none));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationServiceTest, StreamItemsFailOneByOne) {
  StartServer(8);
  auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  v1::StreamReservationsRequest bad = Item(7);
  bad.mutable_create()->set_quantity(0);
  v1::StreamReservationsRequest hurried = Item(8);
  hurried.mutable_timeout()->set_seconds(-1);
  std::map<uint64_t, std::string> reasons;
  for (const auto& item : {bad, hurried}) {
    ASSERT_TRUE(stream->Write(item));
    v1::StreamReservationsResponse response;
    ASSERT_TRUE(stream->Read(&response));
    google::rpc::ErrorInfo info;
    ASSERT_TRUE(response.error().details(0).UnpackTo(&info));
    reasons[response.sequence()] = info.reason();
  }
  EXPECT_EQ(reasons, (std::map<uint64_t, std::string>{{7, "QUANTITY_INVALID"}, {8, "FIELD_INVALID"}}));
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationServiceTest, StreamItemsHaveTheirOwnTimeout) {
  StartServer(8);
  auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  const absl::Time before = absl::Now();
  ASSERT_TRUE(stream->Write(Item(1)));
  ASSERT_TRUE(sales_.AwaitArrived(1));
  EXPECT_GE(sales_.last_deadline(), before + absl::Seconds(5) - absl::Milliseconds(50)) << "to be heard in time";
  EXPECT_LE(sales_.last_deadline(), absl::Now() + absl::Seconds(5));
  sales_.DecideFirst();
  stream->WritesDone();
  v1::StreamReservationsResponse response;
  EXPECT_TRUE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationServiceTest, ACallerWhoReadsNoAnswersIsCutOffAndCostsNoMore) {
  StartServer({.max_outstanding = 50, .unread_timeout = absl::Seconds(1)});
  auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  std::thread writer([&] {
    v1::StreamReservationsRequest item = Item(1);
    item.mutable_create()->set_sku_id("dry");
    while (stream->Write(item)) {
    }
  });
  EXPECT_TRUE(AwaitThat([&] { return service_->unread_answers() == 50; })) << "it stops reading";
  EXPECT_TRUE(AwaitThat([&] { return service_->unread_answers() == 0; })) << "they are dropped";
  // Would block until the deadline if the call were not cancelled.
  writer.join();
  EXPECT_LT(absl::Now(), absl::FromChrono(context->deadline()));
  v1::StreamReservationsResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

// gRPC may not see the end of a call before its last claim is decided, and must see it then.
TEST_F(ReservationServiceTest, AStreamThatWasCutOffEndsOnceItsClaimsAreDecided) {
  StartServer({.max_outstanding = 50, .unread_timeout = absl::Milliseconds(50)});
  auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  ASSERT_TRUE(stream->Write(Item(1)));
  v1::StreamReservationsRequest item = Item(2);
  item.mutable_create()->set_sku_id("dry");
  while (stream->Write(item)) {
  }
  EXPECT_TRUE(AwaitThat([&] { return service_->unread_answers() <= 1; }));
  EXPECT_EQ(service_->unread_answers(), 1) << "the one that is not decided";
  ASSERT_TRUE(sales_.AwaitArrived(1));
  sales_.DecideFirst();
  EXPECT_TRUE(AwaitThat([&] { return service_->unread_answers() == 0; }));
  server_.reset();  // would hang if the call had not been finished
}

// Their calls end in every possible order: the cancellation races with the caller's own, and with the server's end.
TEST_F(ReservationServiceTest, CallersWhoReadNothingAndGoEndWell) {
  StartServer({.max_outstanding = 10, .unread_timeout = absl::Milliseconds(20)});
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([this, caller] {
      const auto stub = StubOfAnotherConnection(*server_);
      for (int i = 0; i < 10; ++i) {
        auto context = Context();
        const auto stream = stub->StreamReservations(context.get());
        v1::StreamReservationsRequest item = Item(1);
        item.mutable_create()->set_sku_id("dry");
        // Enough to fill both windows; then more and more of the time until the cancellation.
        for (int sent = 0; sent < 700 + 20 * caller && stream->Write(item); ++sent) {
        }
        absl::SleepFor(absl::Milliseconds(5 * i));
        context->TryCancel();
        EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_TRUE(AwaitThat([&] { return service_->unread_answers() == 0; }));
}

TEST_F(ReservationServiceTest, ACallerWhoWaitsForSlowClaimsIsNotEnded) {
  StartServer({.max_outstanding = 2, .unread_timeout = absl::Milliseconds(50)});
  auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  for (int i = 1; i <= 2; ++i) ASSERT_TRUE(stream->Write(Item(i)));
  ASSERT_TRUE(sales_.AwaitArrived(2));
  // At the bound for longer than the timeout, but no answer waits for the caller.
  absl::SleepFor(absl::Milliseconds(300));
  for (int i = 0; i < 2; ++i) sales_.DecideFirst();
  ASSERT_TRUE(stream->WritesDone());
  v1::StreamReservationsResponse response;
  int answers = 0;
  while (stream->Read(&response)) ++answers;
  EXPECT_EQ(answers, 2);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationServiceTest, AStreamAtItsBoundThatIsCheckedWhileItWritesGoesOn) {
  StartServer(/*max_outstanding=*/1);
  check_streams_.reset();
  std::atomic<bool> stopping{false};
  std::thread checks([&] {
    while (!stopping) service_->CheckStreams();
  });
  int ended_well = 0;
  constexpr int kTries = 300;
  for (int i = 0; i < kTries; ++i) {
    auto context = Context();
    const auto stream = stub_->StreamReservations(context.get());
    v1::StreamReservationsRequest item = Item(1);
    item.mutable_create()->set_sku_id("dry");
    stream->Write(item);
    stream->WritesDone();
    v1::StreamReservationsResponse response;
    while (stream->Read(&response)) {
    }
    if (stream->Finish().ok()) ++ended_well;
  }
  stopping = true;
  checks.join();
  EXPECT_EQ(ended_well, kTries);
}

TEST_F(ReservationServiceTest, AStreamThatOthersHoldUpReadsOnWhenThereIsRoom) {
  StartServer({.max_outstanding = 8, .limits = {.connection = {.streams = 8, .answers = kMostRoom + 2}}});
  auto context = Context(), second_context = Context();
  const auto first = stub_->StreamReservations(context.get());
  ASSERT_TRUE(first->Write(Item(1)));
  ASSERT_TRUE(first->Write(Item(2)));
  ASSERT_TRUE(sales_.AwaitArrived(2));
  const auto second = stub_->StreamReservations(second_context.get());
  ASSERT_TRUE(second->Write(Item(3)));
  // Another connection has a share of its own.
  const auto other_stub = StubOfAnotherConnection(*server_);
  auto other_context = Context();
  const auto other = other_stub->StreamReservations(other_context.get());
  ASSERT_TRUE(other->Write(Item(4)));
  ASSERT_TRUE(sales_.AwaitArrived(3));
  EXPECT_EQ(sales_.last_user(), "u4");
  ASSERT_TRUE(first->WritesDone());
  for (int i = 0; i < 2; ++i) sales_.DecideFirst();
  ASSERT_TRUE(sales_.AwaitArrived(4));
  EXPECT_EQ(sales_.last_user(), "u3");
  for (int i = 0; i < 2; ++i) sales_.DecideFirst();
  ASSERT_TRUE(second->WritesDone());
  ASSERT_TRUE(other->WritesDone());
  for (auto* stream : {first.get(), second.get(), other.get()}) {
    v1::StreamReservationsResponse response;
    while (stream->Read(&response)) {
    }
    EXPECT_TRUE(stream->Finish().ok());
  }
}

TEST_F(ReservationServiceTest, StreamsBeyondAConnectionsShareAreRefused) {
  StartServer({.limits = {.connection = {.streams = 1, .answers = kMostRoom + 8}}});
  const auto refusal = [&] {
    auto context = Context();
    const auto stream = stub_->StreamReservations(context.get());
    v1::StreamReservationsResponse response;
    EXPECT_FALSE(stream->Read(&response));
    return ReasonOnWire(stream->Finish());
  };
  {
    auto context = Context();
    const auto stream = stub_->StreamReservations(context.get());
    ASSERT_TRUE(stream->Write(Item(1)));
    ASSERT_TRUE(sales_.AwaitArrived(1));
    EXPECT_EQ(refusal(), "TOO_MANY_STREAMS");
    sales_.DecideFirst();
    ASSERT_TRUE(stream->WritesDone());
    v1::StreamReservationsResponse response;
    EXPECT_TRUE(stream->Read(&response));
    EXPECT_TRUE(stream->Finish().ok());
  }
  const auto accepted = [&] {
    auto context = Context();
    const auto stream = stub_->StreamReservations(context.get());
    stream->WritesDone();
    return stream->Finish().ok();
  };
  EXPECT_TRUE(AwaitThat(accepted)) << "the one before makes room when the server is done with it";
}

TEST_F(ReservationServiceTest, StreamStopsReadingAtItsBound) {
  StartServer(/*max_outstanding=*/2);
  auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  constexpr int kItems = 50;
  for (int i = 1; i <= kItems; ++i) ASSERT_TRUE(stream->Write(Item(i)));
  ASSERT_TRUE(stream->WritesDone());
  for (int i = 1; i <= kItems; ++i) {
    // The server may hold two: it must never wait for more requests before it answers.
    ASSERT_TRUE(sales_.AwaitArrived(std::min(i + 1, kItems)));
    sales_.DecideFirst();
    v1::StreamReservationsResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.sequence(), static_cast<uint64_t>(i));
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(sales_.most_held(), 2u);
}

TEST_F(ReservationServiceTest, ACancelledStreamEndsOnceItsClaimsAreDecided) {
  StartServer(8);
  auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  ASSERT_TRUE(stream->Write(Item(1)));
  ASSERT_TRUE(stream->Write(Item(2)));
  ASSERT_TRUE(sales_.AwaitArrived(2));
  context->TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  sales_.DecideFirst();
  sales_.DecideFirst();
  server_.reset();  // would hang if the stream had not been finished
}

TEST_F(ReservationServiceTest, StoppingEndsIdleStreamsAndLaterOnes) {
  StartServer(8);
  auto context = Context();
  auto idle = stub_->StreamReservations(context.get());
  ASSERT_TRUE(idle->Write(Item(1)));
  ASSERT_TRUE(sales_.AwaitArrived(1));
  service_->StopStreams();
  sales_.DecideFirst();
  v1::StreamReservationsResponse response;
  EXPECT_TRUE(idle->Read(&response)) << "what was accepted is answered";
  EXPECT_FALSE(idle->Read(&response));
  EXPECT_EQ(ReasonOnWire(idle->Finish()), "DRAINING");

  auto later_context = Context();
  auto later = stub_->StreamReservations(later_context.get());
  EXPECT_FALSE(later->Read(&response));
  EXPECT_EQ(ReasonOnWire(later->Finish()), "DRAINING");
}

TEST_F(ReservationServiceTest, UnaryCallsReachTheirHandlers) {
  StartServer(8);
  v1::CreateReservationsRequest cart;
  cart.set_user_id("u1");
  *cart.add_lines()->mutable_reservation_id() = WatchRequest().reservation_id();
  cart.mutable_lines(0)->set_sku_id("tv");
  cart.mutable_lines(0)->set_quantity(1);
  v1::CreateReservationsResponse created;
  EXPECT_TRUE(stub_->CreateReservations(Context().get(), cart, &created).ok());
  EXPECT_EQ(created.reservations_size(), 1);

  v1::ConfirmReservationRequest payment;
  payment.set_reservation_id(WatchRequest().reservation_id());
  payment.set_payment_reference("p");
  payment.set_currency("EUR");
  v1::ConfirmReservationResponse confirmed;
  EXPECT_TRUE(stub_->ConfirmReservation(Context().get(), payment, &confirmed).ok());
  EXPECT_EQ(confirmed.outcome(), v1::CONFIRM_OUTCOME_CONFIRMED);

  v1::CancelReservationRequest cancellation;
  cancellation.set_reservation_id(payment.reservation_id());
  v1::CancelReservationResponse cancelled;
  const auto context = Context();
  EXPECT_EQ(ReasonOnWire(stub_->CancelReservation(context.get(), cancellation, &cancelled)), "LEDGER_UNAVAILABLE");
  EXPECT_TRUE(context->GetServerTrailingMetadata().contains("grpc-retry-pushback-ms"));

  v1::ExtendReservationRequest extension;
  extension.set_reservation_id(payment.reservation_id());
  extension.set_extension(1);
  extension.mutable_extend_by()->set_seconds(1);
  v1::ExtendReservationResponse extended;
  EXPECT_EQ(ReasonOnWire(stub_->ExtendReservation(Context().get(), extension, &extended)), "HOLD_TOO_LONG");

  v1::ListReservationsRequest list;
  list.set_sku_id("tv");
  v1::ListReservationsResponse listed;
  EXPECT_TRUE(stub_->ListReservations(Context().get(), list, &listed).ok());
  EXPECT_EQ(listed.reservations_size(), 1);
}

TEST_F(ReservationServiceTest, AWatchTellsEveryStateAndEndsWithTheLast) {
  StartServer(8);
  rows_.Put(1, storage::ReservationState::kPending);
  grpc::ClientContext context;  // a watch needs no deadline
  const auto reader = stub_->WatchReservation(&context, WatchRequest());
  v1::WatchReservationResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.reservation().revision(), 1);
  rows_.Put(2, storage::ReservationState::kConfirmed);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.reservation().state(), v1::RESERVATION_STATE_CONFIRMED);
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(watch_hub_.watches(), 0u);
}

TEST_F(ReservationServiceTest, AWatchOfAClaimTellsThatItIsQueuedAndEndsWithTheDecision) {
  StartServer(8);
  rows_.Put(1, storage::ReservationState::kPending);
  const storage::Reservation row = rows_.Read().found.front();
  rows_.Remove();
  ClaimTicket ticket;
  ticket.ids = {row.reservation_id};
  ticket.payload = PayloadOf(std::vector<storage::ReservationClaim>{
      {row.reservation_id, row.sku_id, row.user_id, row.quantity, row.order_reference}});
  ticket.ahead = 3;
  ticket.enqueued_at = clock_.Now();
  ticket.decide_at = clock_.Now() + absl::Minutes(10);
  v1::WatchClaimRequest request;
  request.set_ticket(MakeClaimTicket(*keys_, ticket));
  grpc::ClientContext context;
  const auto reader = stub_->WatchClaim(&context, request);
  v1::WatchClaimResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.claim().queued().ticket(), request.ticket());
  EXPECT_EQ(response.claim().queued().ahead(), 3);
  rows_.Put(1, storage::ReservationState::kPending);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.claim().created().reservation().reservation_id(), row.reservation_id.ToString());
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(watch_hub_.watches(), 0u);
  v1::GetClaimRequest asked;
  asked.set_ticket(request.ticket());
  v1::GetClaimResponse claim;
  const auto asking = Context();
  EXPECT_TRUE(stub_->GetClaim(asking.get(), asked, &claim).ok());
  EXPECT_TRUE(claim.has_created());
}

TEST_F(ReservationServiceTest, AWatchOfNoClaimIsRefused) {
  StartServer(8);
  const auto context = Context();
  v1::WatchClaimRequest request;
  request.set_ticket("v4.local.none");
  const auto reader = stub_->WatchClaim(context.get(), request);
  v1::WatchClaimResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(ReasonOnWire(reader->Finish()), "CLAIM_TICKET_INVALID");
}

TEST_F(ReservationServiceTest, AWatchIsRefusedWithItsReason) {
  StartServer(8);
  const auto refusal = [&](const v1::WatchReservationRequest& request) {
    const auto context = Context();
    const auto reader = stub_->WatchReservation(context.get(), request);
    v1::WatchReservationResponse response;
    EXPECT_FALSE(reader->Read(&response));
    return ReasonOnWire(reader->Finish());
  };
  EXPECT_EQ(refusal(v1::WatchReservationRequest()), "RESERVATION_ID_REQUIRED");
  EXPECT_EQ(refusal(WatchRequest()), "RESERVATION_NOT_FOUND");
  rows_.Put(1, storage::ReservationState::kPending);
  const auto context = Context(), second_context = Context();
  const auto first = stub_->WatchReservation(context.get(), WatchRequest());
  const auto second = stub_->WatchReservation(second_context.get(), WatchRequest());
  v1::WatchReservationResponse response;
  ASSERT_TRUE(first->Read(&response));
  ASSERT_TRUE(second->Read(&response));
  EXPECT_EQ(refusal(WatchRequest()), "TOO_MANY_WATCHES");
  watch_hub_.SetAccepting(false);
  EXPECT_FALSE(first->Read(&response));
  EXPECT_EQ(ReasonOnWire(first->Finish()), "DRAINING");
  EXPECT_FALSE(second->Read(&response));
  EXPECT_EQ(ReasonOnWire(second->Finish()), "DRAINING");
  EXPECT_EQ(refusal(WatchRequest()), "DRAINING");
}

TEST_F(ReservationServiceTest, ACancelledWatchLeavesNothingBehind) {
  StartServer(8);
  rows_.Put(1, storage::ReservationState::kPending);
  for (int i = 0; i < 20; ++i) {
    const auto context = Context();
    const auto reader = stub_->WatchReservation(context.get(), WatchRequest());
    v1::WatchReservationResponse response;
    ASSERT_TRUE(reader->Read(&response)) << "the watches before are still counted";
    context->TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
    const absl::Time give_up = absl::Now() + kLong;
    while (watch_hub_.watches() > 0 && absl::Now() < give_up) std::this_thread::yield();
    EXPECT_EQ(watch_hub_.watches(), 0u);
  }
  server_.reset();  // would hang if a watch had not been finished
}

// A caller that does not read keeps one message waiting, however often the reservation changes, and gets the last one.
TEST_F(ReservationServiceTest, ASlowReaderMissesStatesInBetweenOnly) {
  StartServer(8);
  rows_.Put(1, storage::ReservationState::kPending);
  const auto context = Context();
  const auto reader = stub_->WatchReservation(context.get(), WatchRequest());
  v1::WatchReservationResponse response;
  ASSERT_TRUE(reader->Read(&response));
  constexpr int kChanges = 200;
  for (int revision = 2; revision < kChanges; ++revision) {
    rows_.Put(revision, storage::ReservationState::kPending);
    ASSERT_TRUE(rows_.AwaitSeen());
  }
  rows_.Put(kChanges, storage::ReservationState::kExpired);
  int messages = 0;
  int32_t last = 0;
  while (reader->Read(&response)) {
    EXPECT_GT(response.reservation().revision(), last);
    last = response.reservation().revision();
    ++messages;
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(last, kChanges);
  EXPECT_LT(messages, kChanges / 2) << "what nobody reads was queued";
}

TEST_F(ReservationServiceTest, StreamsAndWatchesAreCountedHoweverTheyEnd) {
  StartServer(/*max_outstanding=*/10);
  const auto counted = [this](const std::string& name, const std::string& method, const std::string& code = "") {
    MetricSet set;
    metrics_.Collect(&set);
    for (const auto& family : set.Take()) {
      if (family.name != "grpc_server_" + name) continue;
      for (const auto& metric : family.metric) {
        if (metric.label[2].value != method) continue;
        if (code.empty() || metric.label[3].value == code) return metric.counter.value;
      }
    }
    return 0.0;
  };
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  v1::StreamReservationsResponse answer;
  for (uint64_t sequence = 0; sequence < 3; ++sequence) {
    v1::StreamReservationsRequest item = Item(sequence);
    item.mutable_create()->set_sku_id("dry");
    ASSERT_TRUE(stream->Write(item));
    ASSERT_TRUE(stream->Read(&answer));
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(counted("handled_total", "StreamReservations", "OK"), 1);
  EXPECT_EQ(counted("msg_received_total", "StreamReservations"), 3);
  EXPECT_EQ(counted("msg_sent_total", "StreamReservations"), 3);

  const auto cut_off = Context();
  const auto other = stub_->StreamReservations(cut_off.get());
  EXPECT_TRUE(AwaitThat([&] { return counted("started_total", "StreamReservations") == 2; }));
  cut_off->TryCancel();
  EXPECT_EQ(other->Finish().error_code(), grpc::StatusCode::CANCELLED);
  // What it meant may be heard as the end of its requests first.
  EXPECT_TRUE(AwaitThat([&] {
    return counted("handled_total", "StreamReservations", "OK") +
               counted("handled_total", "StreamReservations", "Canceled") ==
           2;
  }));

  rows_.Put(1, storage::ReservationState::kPending);
  const auto leaving = Context();
  const auto watch = stub_->WatchReservation(leaving.get(), WatchRequest());
  v1::WatchReservationResponse watched;
  ASSERT_TRUE(watch->Read(&watched));
  leaving->TryCancel();
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(AwaitThat([&] { return counted("handled_total", "WatchReservation", "Canceled") == 1; }));
  EXPECT_EQ(counted("msg_sent_total", "WatchReservation"), 1);
}

}  // namespace
}  // namespace tranche::server
