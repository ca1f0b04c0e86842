// The client over real gRPC: unary calls, watches, nodes that die.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "tests/integration/fake_front_node.h"
#include "tests/integration/open_client.h"
#include "tranche/client.h"

namespace tranche {
namespace {

// Refuses connections. A port that was in use a moment ago may be another test's by now, which takes the connection and
// never answers.
constexpr char kNobody[] = "127.0.0.1:1";

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
  for (const bool statuses_only : {false, true}) {
    FakeFrontNode node({}, ErrorDetails(grpc::StatusCode::RESOURCE_EXHAUSTED, "SOLD_OUT"));
    node.knows_statuses_only = statuses_only;
    const auto reservation = OpenAt({node.address()})->Create({.sku = "tv", .user = "alice"});
    EXPECT_TRUE(IsSoldOut(reservation.status())) << reservation.status();
    EXPECT_EQ(reservation.status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(node.unary_calls(), 1);
  }
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
  const auto reservation = OpenAt({kNobody})->Create({.sku = "tv", .user = "alice"});
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

TEST(ClientWireTest, AWatchTellsEachStateOnceAndThenThatItIsOver) {
  FakeFrontNode node;
  node.on_watch = [](grpc::ServerContext*, auto* writer) {
    writer->Write(State(1, tranche::v1::RESERVATION_STATE_PENDING));
    writer->Write(State(3, tranche::v1::RESERVATION_STATE_CONFIRMED));
    writer->Write(State(3, tranche::v1::RESERVATION_STATE_CONFIRMED));  // as nodes do when nothing happens
    return grpc::Status::OK;
  };
  const auto client = OpenAt({node.address()});
  const auto watch = client->Watch("id");
  std::vector<int32_t> revisions;
  while (true) {
    const auto next = watch->Next(absl::Seconds(20));
    ASSERT_TRUE(next.ok()) << next.status();
    if (!next->has_value()) break;
    revisions.push_back((*next)->revision);
  }
  EXPECT_EQ(revisions.back(), 3);
  EXPECT_EQ(std::adjacent_find(revisions.begin(), revisions.end(), std::greater_equal<>()), revisions.end())
      << "a state came twice";
  EXPECT_FALSE((*watch->Next()).has_value()) << "and again";
}

// What the watch tells next; nothing if it is over, or fails.
std::optional<Reservation> NextOf(ReservationWatch& watch) {
  const auto next = watch.Next(absl::Seconds(20));
  EXPECT_TRUE(next.ok()) << next.status();
  return next.value_or(std::nullopt);
}

// The ledger was restored to an older state, and went on from there.
TEST(ClientWireTest, AWatchTellsAlsoOfALowerRevision) {
  absl::Notification third_was_read, first_was_read;
  FakeFrontNode node;
  node.on_watch = [&](grpc::ServerContext*, auto* writer) {
    writer->Write(State(3, tranche::v1::RESERVATION_STATE_PENDING));
    third_was_read.WaitForNotification();
    writer->Write(State(1, tranche::v1::RESERVATION_STATE_PENDING));
    first_was_read.WaitForNotification();
    writer->Write(State(1, tranche::v1::RESERVATION_STATE_PENDING));
    writer->Write(State(2, tranche::v1::RESERVATION_STATE_EXPIRED));
    return grpc::Status::OK;
  };
  const auto client = OpenAt({node.address()});
  const auto watch = client->Watch("id");
  EXPECT_EQ(NextOf(*watch).value_or(Reservation()).revision, 3);
  third_was_read.Notify();
  EXPECT_EQ(NextOf(*watch).value_or(Reservation()).revision, 1);
  first_was_read.Notify();
  const Reservation last = NextOf(*watch).value_or(Reservation());
  EXPECT_EQ(last.revision, 2);
  EXPECT_EQ(last.state, ReservationState::kExpired);
  EXPECT_FALSE(NextOf(*watch).has_value());
}

// The restored ledger has lost an extension, and the expiry has its revision now.
TEST(ClientWireTest, AWatchTellsAnotherStateOfTheSameRevision) {
  absl::Notification extension_was_read;
  FakeFrontNode node;
  node.on_watch = [&](grpc::ServerContext*, auto* writer) {
    writer->Write(State(2, tranche::v1::RESERVATION_STATE_PENDING));
    extension_was_read.WaitForNotification();
    writer->Write(State(2, tranche::v1::RESERVATION_STATE_EXPIRED));
    return grpc::Status::OK;
  };
  const auto client = OpenAt({node.address()});
  const auto watch = client->Watch("id");
  EXPECT_EQ(NextOf(*watch).value_or(Reservation()).state, ReservationState::kPending);
  extension_was_read.Notify();
  EXPECT_EQ(NextOf(*watch).value_or(Reservation()).state, ReservationState::kExpired);
}

TEST(ClientWireTest, AWatchGoesOnAtAnotherNode) {
  FakeFrontNode draining, alive;
  draining.on_watch = [](grpc::ServerContext*, auto* writer) {
    writer->Write(State(1, tranche::v1::RESERVATION_STATE_PENDING));
    return ToGrpc(ErrorDetails(grpc::StatusCode::UNAVAILABLE, "DRAINING"));
  };
  alive.on_watch = [](grpc::ServerContext*, auto* writer) {
    writer->Write(State(1, tranche::v1::RESERVATION_STATE_PENDING));
    writer->Write(State(2, tranche::v1::RESERVATION_STATE_EXPIRED));
    return grpc::Status::OK;
  };
  const auto client = OpenAt({draining.address(), alive.address()});
  // The order of nodes is shared: one of two watches begins at the node that drains.
  for (int i = 0; i < 2; ++i) {
    const auto watch = client->Watch("id");
    int32_t last = 0;
    while (true) {
      const auto next = watch->Next(absl::Seconds(20));
      ASSERT_TRUE(next.ok()) << next.status();
      if (!next->has_value()) break;
      EXPECT_GT((*next)->revision, last) << "told twice";
      last = (*next)->revision;
    }
    EXPECT_EQ(last, 2);
  }
  EXPECT_GE(draining.watches(), 1);
  EXPECT_EQ(alive.watches(), 2);
}

TEST(ClientWireTest, WatchesAndStreamsOfADeadNodeSpreadEvenlyOverTheOthers) {
  std::string dead;
  {
    FakeFrontNode node;
    dead = node.address();
  }
  FakeFrontNode second, third;
  second.on_watch = third.on_watch = [](grpc::ServerContext*, auto* writer) {
    writer->Write(State(2, tranche::v1::RESERVATION_STATE_EXPIRED));
    return grpc::Status::OK;
  };
  const auto client = OpenAt({dead, second.address(), third.address()});
  constexpr int kEach = 12;
  for (int i = 0; i < 2 * kEach; ++i) {
    const auto watch = client->Watch("id");
    ASSERT_TRUE(watch->Next(absl::Seconds(20)).ok());
    EXPECT_FALSE((*watch->Next(absl::Seconds(20))).has_value());
  }
  for (int i = 0; i < 2 * kEach; ++i) {
    StreamRun run;
    run.Run(*client->OpenStream(), 1);
    EXPECT_EQ(run.granted, 1);
  }
  // Now and then the dead node is tried again.
  EXPECT_NEAR(second.watches(), kEach, 2);
  EXPECT_NEAR(second.streams(), third.streams(), 4);
  EXPECT_GE(second.streams() + third.streams(), 2 * kEach - 4);
}

TEST(ClientWireTest, AWatchEndsWithTheRefusal) {
  FakeFrontNode node;
  node.on_watch = [](grpc::ServerContext*, auto*) {
    return ToGrpc(ErrorDetails(grpc::StatusCode::NOT_FOUND, "RESERVATION_NOT_FOUND"));
  };
  const auto client = OpenAt({node.address()});
  const auto watch = client->Watch("id");
  EXPECT_EQ(ReasonOf(watch->Next(absl::Seconds(20)).status()), Reason::kReservationNotFound);
  EXPECT_EQ(node.watches(), 1) << "asked again";
}

TEST(ClientWireTest, AWatchThatNobodyAnswersGivesUp) {
  const auto client = OpenAt({kNobody});
  const auto watch = client->Watch("id", {.give_up_after = absl::Milliseconds(50)});
  EXPECT_EQ(watch->Next(absl::Seconds(20)).status().code(), absl::StatusCode::kUnavailable);
}

TEST(ClientWireTest, AWatchCanBeCancelledAndDestroyedWhileItWaits) {
  FakeFrontNode node;
  absl::Notification begun;
  node.on_watch = [&](grpc::ServerContext* context, auto* writer) {
    writer->Write(State(1, tranche::v1::RESERVATION_STATE_PENDING));
    if (!begun.HasBeenNotified()) begun.Notify();
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::CANCELLED;
  };
  const auto client = OpenAt({node.address()});
  auto watch = client->Watch("id");
  ASSERT_TRUE(begun.WaitForNotificationWithTimeout(absl::Seconds(20)));
  ASSERT_TRUE(watch->Next(absl::Seconds(20)).ok());
  EXPECT_EQ(watch->Next(absl::Milliseconds(1)).status().code(), absl::StatusCode::kDeadlineExceeded);
  watch->Cancel();
  EXPECT_EQ(watch->Next().status().code(), absl::StatusCode::kCancelled);
  watch = client->Watch("id");
  watch.reset();  // would hang if the stream were not cancelled
}

}  // namespace
}  // namespace tranche
