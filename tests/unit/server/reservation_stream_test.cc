// Streams of claims, over real gRPC.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/server/reservation_service_fixture.h"

namespace tranche::server {
namespace {

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

}  // namespace
}  // namespace tranche::server
