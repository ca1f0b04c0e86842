// Watches of reservations and claims, over real gRPC.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/server/reservation_service_fixture.h"

namespace tranche::server {
namespace {

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
