// Streams and watches whose caller loses the role for them while they last.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/access/access_control.h"
#include "tests/support/scratch_dir.h"
#include "tests/unit/server/reservation_service_fixture.h"

namespace tranche::server {
namespace {

class LastingAccessTest : public ReservationServiceTest {
 protected:
  void SetUp() override {
    Allow("\"service\"");
    ASSERT_TRUE(file_.Open().ok());
    access_ = &control_;
  }
  // The server looks at these.
  void TearDown() override {
    check_streams_.reset();
    server_.reset();
  }

  // What callers without credentials may.
  void Allow(const std::string& roles) {
    std::ofstream(path_, std::ios::trunc) << "{\"anonymous\": [" << roles << "], \"principals\": []}";
    std::filesystem::permissions(path_, std::filesystem::perms(0644));  // whatever the umask
  }
  void Revoke() {
    Allow("");
    file_.Look();
  }

  const tranche::testing::ScratchDir scratch_{"lasting-access"};
  const std::filesystem::path path_ = scratch_.path() / "access.json";
  AccessFile file_{path_};
  Denials denials_{nullptr, storage::Clock::Real()};
  AccessControl control_{&file_, &denials_};
};

TEST_F(LastingAccessTest, AStreamAnswersWhatItHasAcceptedAndEnds) {
  StartServer(8);
  auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  ASSERT_TRUE(stream->Write(Item(1)));
  ASSERT_TRUE(sales_.AwaitArrived(1));
  Revoke();
  stream->Write(Item(2));
  sales_.DecideFirst();
  v1::StreamReservationsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.sequence(), 1u);
  EXPECT_FALSE(stream->Read(&response)) << "what came afterwards is not taken";
  EXPECT_EQ(ReasonOnWire(stream->Finish()), "CALLER_UNKNOWN");
  EXPECT_EQ(sales_.most_held(), 1u);
}

TEST_F(LastingAccessTest, AnIdleStreamEndsByItself) {
  StartServer(8);
  auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  // The caller knows that the stream has begun.
  stream->WaitForInitialMetadata();
  Revoke();
  v1::StreamReservationsResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(ReasonOnWire(stream->Finish()), "CALLER_UNKNOWN");
}

TEST_F(LastingAccessTest, WhatWaitsForRoomIsDropped) {
  StartServer(/*max_outstanding=*/1);
  auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  v1::StreamReservationsRequest frame;
  for (uint64_t sequence = 1; sequence <= 3; ++sequence) {
    v1::StreamReservationsItem& item = *frame.add_items();
    item.set_sequence(sequence);
    *item.mutable_create() = Request(absl::StrCat("u", sequence));
    item.mutable_timeout()->set_seconds(5);
  }
  ASSERT_TRUE(stream->Write(frame));
  ASSERT_TRUE(sales_.AwaitArrived(1));
  Revoke();
  // Without waiting for the first claim: one check has dropped the others.
  ASSERT_TRUE(AwaitThat([&] { return !denials_.counts().empty(); }));
  sales_.DecideFirst();
  v1::StreamReservationsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.results_size(), 1);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(ReasonOnWire(stream->Finish()), "CALLER_UNKNOWN");
  EXPECT_EQ(sales_.most_held(), 1u);
}

TEST_F(LastingAccessTest, AWatchEndsAtTheNextRecheck) {
  StartServer(8);
  rows_.Put(1, storage::ReservationState::kPending);
  auto context = Context();
  auto watch = stub_->WatchReservation(context.get(), WatchRequest());
  v1::WatchReservationResponse response;
  ASSERT_TRUE(watch->Read(&response));
  Revoke();
  watch_hub_.Recheck();
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(ReasonOnWire(watch->Finish()), "CALLER_UNKNOWN");
  EXPECT_TRUE(AwaitThat([&] { return watch_hub_.watches() == 0; }));
}

TEST_F(LastingAccessTest, AWatchWhoseCallerDoesNotReadIsCutOffAtTheNextRecheckButOne) {
  StartServer(8);
  rows_.Put(1, storage::ReservationState::kPending);
  auto context = Context();
  auto watch = stub_->WatchReservation(context.get(), WatchRequest());
  v1::WatchReservationResponse response;
  ASSERT_TRUE(watch->Read(&response));
  // More than the connection's buffers take.
  for (int revision = 2; revision < 200; ++revision) {
    rows_.Put(revision, storage::ReservationState::kPending);
    ASSERT_TRUE(rows_.AwaitSeen());
  }
  Revoke();
  watch_hub_.Recheck();
  EXPECT_EQ(watch_hub_.watches(), 1u) << "it may still read";
  watch_hub_.Recheck();
  EXPECT_TRUE(AwaitThat([&] { return watch_hub_.watches() == 0; }));
  while (watch->Read(&response)) {
  }
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

// It is far from its bounds, so nothing else would end it.
TEST_F(LastingAccessTest, AStreamWhoseCallerDoesNotReadIsCutOff) {
  const StreamBounds wide = {.streams = 8, .answers = 100'000};
  StartServer({.max_outstanding = 100'000,
               .unread_timeout = absl::Milliseconds(50),
               .limits = {.node = wide, .address = wide, .connection = wide}});
  auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  v1::StreamReservationsRequest item = Item(1);
  item.mutable_create()->set_sku_id("dry");
  // Far more answers than the connection's buffers take, which grow while it is quick: several MiB.
  for (int sent = 0; sent < 30'000; ++sent) ASSERT_TRUE(stream->Write(item));
  ASSERT_TRUE(AwaitThat([&] { return service_->unread_answers() > 1; }));
  Revoke();
  EXPECT_TRUE(AwaitThat([&] { return service_->unread_answers() == 0; })) << "they are dropped";
  v1::StreamReservationsResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(LastingAccessTest, WhoMayStillGoOnNoticesNothing) {
  StartServer(8);
  auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  for (const char* roles : {"\"service\", \"risk\"", "\"service\", \"viewer\""}) {
    Allow(roles);
    file_.Look();
    ASSERT_TRUE(stream->Write(Item(1)));
    ASSERT_TRUE(AwaitThat([&] { return sales_.TryDecideFirst(); }));
    v1::StreamReservationsResponse response;
    ASSERT_TRUE(stream->Read(&response));
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(denials_.counts().empty());
}

}  // namespace
}  // namespace tranche::server
