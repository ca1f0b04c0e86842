// Calls with one answer, over real gRPC.

#include "server/services/reservation_service.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

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

}  // namespace
}  // namespace tranche::server
