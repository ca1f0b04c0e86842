// The client over real gRPC: unary calls, streams, nodes that die.

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "tests/integration/fake_front_node.h"
#include "tranche/client.h"

namespace tranche {
namespace {

std::unique_ptr<Client> OpenAt(std::vector<std::string> endpoints, absl::Duration timeout = absl::Seconds(5)) {
  ClientOptions options;
  options.endpoints = std::move(endpoints);
  options.request_timeout = timeout;
  auto client = Client::Open(options);
  EXPECT_TRUE(client.ok()) << client.status();
  return *std::move(client);
}

TEST(ClientWireTest, CreatesSyncAndAsync) {
  FakeFrontNode node;
  const auto client = OpenAt({node.address()});
  const auto reservation = client->Create({.sku = "tv", .user = "alice", .quantity = 3});
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_EQ(reservation->quantity, 3);
  EXPECT_EQ(reservation->reservation_id.size(), 36u);

  constexpr int kCalls = 1000;
  absl::BlockingCounter answers(kCalls);
  std::atomic<int> granted = 0;
  for (int i = 0; i < kCalls; ++i) {
    client->CreateAsync({.sku = "tv", .user = "alice"}, [&](absl::StatusOr<Reservation> answer) {
      granted += answer.ok();
      answers.DecrementCount();
    });
  }
  answers.Wait();
  EXPECT_EQ(granted, kCalls);
}

TEST(ClientWireTest, CarriesReasonsFromTheWire) {
  FakeFrontNode node({}, ErrorDetails(grpc::StatusCode::RESOURCE_EXHAUSTED, "SOLD_OUT"));
  const auto reservation = OpenAt({node.address()})->Create({.sku = "tv", .user = "alice"});
  EXPECT_TRUE(IsSoldOut(reservation.status())) << reservation.status();
}

TEST(ClientWireTest, GoesOnWhenANodeIsDead) {
  FakeFrontNode alive;
  auto dead = std::make_unique<FakeFrontNode>();
  const auto client = OpenAt({dead->address(), alive.address()});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(client->Create({.sku = "tv", .user = "alice"}).ok());
  EXPECT_GT(dead->unary_calls(), 0);
  dead.reset();
  for (int i = 0; i < 20; ++i) {
    const auto reservation = client->Create({.sku = "tv", .user = "alice"});
    ASSERT_TRUE(reservation.ok()) << reservation.status();
  }
}

TEST(ClientWireTest, SaysSoWhenNobodyIsThere) {
  std::string nobody;
  {
    FakeFrontNode node;
    nobody = node.address();
  }
  const auto reservation = OpenAt({nobody}, absl::Milliseconds(500))->Create({.sku = "tv", .user = "alice"});
  EXPECT_EQ(reservation.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(IsOutcomeUnknown(reservation.status())) << reservation.status();
}

TEST(ClientWireTest, DestroyingTheClientWaitsForItsCalls) {
  FakeFrontNode node;
  auto client = OpenAt({node.address()});
  std::atomic<int> answered = 0;
  for (int i = 0; i < 200; ++i) {
    client->CreateAsync({.sku = "tv", .user = "alice"}, [&](absl::StatusOr<Reservation> answer) { ++answered; });
  }
  client.reset();
  EXPECT_EQ(answered, 200);
}

// Sends `count` requests over a stream and waits for the answers.
struct StreamRun {
  std::atomic<int> granted = 0;
  std::atomic<int> refused = 0;
  std::atomic<int> mismatched = 0;
  absl::Mutex mutex;
  absl::Status last;

  void Run(ReservationStream& stream, int count) {
    for (int i = 0; i < count; ++i) {
      const std::string user = absl::StrCat("user-", i);
      stream.Create({.sku = "tv", .user = user}, [this, user](absl::StatusOr<Reservation> answer) {
        (answer.ok() ? granted : refused)++;
        if (answer.ok() && answer->user_id != user) ++mismatched;
        if (!answer.ok()) {
          absl::MutexLock lock(&mutex);
          last = answer.status();
        }
      });
    }
    stream.Close();
  }
};

TEST(ClientStreamTest, AnswersReachTheirRequests) {
  FakeFrontNode node;
  const auto client = OpenAt({node.address()});
  StreamRun run;
  run.Run(*client->OpenStream({.max_outstanding = 64}), 5000);
  EXPECT_EQ(run.granted, 5000);
  EXPECT_EQ(run.mismatched, 0);
  EXPECT_EQ(node.streams(), 1);
  EXPECT_EQ(node.unary_calls(), 0);
}

TEST(ClientStreamTest, RefusalsComeThrough) {
  FakeFrontNode node({}, ErrorDetails(grpc::StatusCode::RESOURCE_EXHAUSTED, "SOLD_OUT"));
  const auto client = OpenAt({node.address()});
  StreamRun run;
  run.Run(*client->OpenStream(), 100);
  EXPECT_EQ(run.refused, 100);
  absl::MutexLock lock(&run.mutex);
  EXPECT_TRUE(IsSoldOut(run.last)) << run.last;
}

TEST(ClientStreamTest, WhatANodeCannotAnswerGoesElsewhereAsACall) {
  FakeFrontNode empty({}, ErrorDetails(grpc::StatusCode::UNAVAILABLE, "EXHAUSTED_HERE"));
  FakeFrontNode full;
  const auto client = OpenAt({empty.address(), full.address()});
  // One of the two streams goes to each node.
  for (int i = 0; i < 2; ++i) {
    StreamRun run;
    run.Run(*client->OpenStream(), 100);
    EXPECT_EQ(run.granted, 100);
    EXPECT_EQ(run.mismatched, 0);
  }
  EXPECT_EQ(empty.streams() + full.streams(), 2);
  EXPECT_GT(full.unary_calls(), 0);
}

TEST(ClientStreamTest, ABrokenStreamLosesNothing) {
  // Takes ten requests, answers none of them and ends the stream.
  FakeFrontNode node([](auto* stream) {
    tranche::v1::StreamReservationsRequest request;
    for (int i = 0; i < 10 && stream->Read(&request); ++i) {
    }
  });
  const auto client = OpenAt({node.address()});
  StreamRun run;
  run.Run(*client->OpenStream({.max_outstanding = 16}), 200);
  EXPECT_EQ(run.granted, 200);
  EXPECT_EQ(run.mismatched, 0);
}

TEST(ClientStreamTest, AHangingStreamIsGivenUp) {
  absl::Notification over;
  FakeFrontNode node([&](auto* stream) { over.WaitForNotification(); });
  ClientOptions options;
  options.endpoints = {node.address()};
  options.attempt_timeout = absl::Milliseconds(200);
  options.request_timeout = absl::Seconds(10);
  auto client = Client::Open(options);
  ASSERT_TRUE(client.ok());
  StreamRun run;
  run.Run(*(*client)->OpenStream(), 3);
  EXPECT_EQ(run.granted, 3);
  EXPECT_EQ(node.unary_calls(), 3);
  over.Notify();
}

TEST(ClientStreamTest, TheWindowBoundsWhatIsOutstanding) {
  absl::Notification release;
  FakeFrontNode node([&](auto* stream) {
    release.WaitForNotification();
    tranche::v1::StreamReservationsRequest request;
    while (stream->Read(&request)) {
      tranche::v1::StreamReservationsResponse response;
      response.set_sequence(request.sequence());
      Grant(request.create(), response.mutable_created());
      stream->Write(response);
    }
  });
  const auto client = OpenAt({node.address()}, absl::Seconds(30));
  const auto stream = client->OpenStream({.max_outstanding = 4});
  std::atomic<int> granted = 0;
  int accepted = 0;
  for (int i = 0; i < 10; ++i) {
    CreateReservation request{.sku = "tv", .user = "alice"};
    ReservationStream::Callback callback = [&](absl::StatusOr<Reservation> answer) { granted += answer.ok(); };
    accepted += stream->TryCreate(request, callback);
  }
  EXPECT_EQ(accepted, 4);
  release.Notify();
  stream->Close();
  EXPECT_EQ(granted, 4);
}

}  // namespace
}  // namespace tranche
