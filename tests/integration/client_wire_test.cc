// The client over real gRPC: unary calls, streams, nodes that die.

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
#include "tranche/client.h"

namespace tranche {
namespace {

// Refuses connections. A port that was in use a moment ago may be another test's by now, which takes the connection and
// never answers.
constexpr char kNobody[] = "127.0.0.1:1";

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

TEST(ClientStreamTest, RequestsGoInFramesToANodeThatTakesThem) {
  FakeFrontNode node;
  const auto client = OpenAt({node.address()});
  StreamRun run;
  constexpr int kRequests = 20'000;
  run.Run(*client->OpenStream(), kRequests);
  EXPECT_EQ(run.granted, kRequests);
  EXPECT_EQ(run.mismatched, 0);
  EXPECT_GT(node.largest_frame(), 1);
  EXPECT_LT(node.stream_messages(), kRequests);
  EXPECT_EQ(node.unary_calls(), 0);
}

TEST(ClientStreamTest, ANodeThatDoesNotSayThatItTakesFramesGetsNone) {
  for (const std::string items : {"", "many", "0", "-1"}) {
    FakeFrontNode node;
    node.frame_items = items;
    const auto client = OpenAt({node.address()});
    StreamRun run;
    run.Run(*client->OpenStream(), 2000);
    EXPECT_EQ(run.granted, 2000);
    EXPECT_EQ(run.mismatched, 0);
    EXPECT_EQ(node.largest_frame(), 0);
    EXPECT_EQ(node.stream_messages(), 2000);
    EXPECT_EQ(node.unary_calls(), 0);
  }
}

TEST(ClientStreamTest, FramesKeepToTheNodesLimits) {
  FakeFrontNode node;
  node.frame_items = "3";
  const auto client = OpenAt({node.address()});
  StreamRun run;
  run.Run(*client->OpenStream(), 5000);
  EXPECT_EQ(run.granted, 5000);
  EXPECT_GT(node.largest_frame(), 1);
  EXPECT_LE(node.largest_frame(), 3);
}

// During an upgrade a client meets nodes of both versions.
TEST(ClientStreamTest, OldAndNewNodesServeTheStreamsOfOneClient) {
  FakeFrontNode old_node, new_node;
  old_node.frame_items = "";
  const auto client = OpenAt({old_node.address(), new_node.address()});
  for (int i = 0; i < 4; ++i) {
    StreamRun run;
    run.Run(*client->OpenStream(), 2000);
    EXPECT_EQ(run.granted, 2000);
    EXPECT_EQ(run.mismatched, 0);
  }
  EXPECT_EQ(old_node.largest_frame(), 0);
  EXPECT_GT(new_node.largest_frame(), 1);
}

TEST(ClientStreamTest, RefusalsOfAFrameComeThroughToEachOfItsRequests) {
  FakeFrontNode empty({}, ErrorDetails(grpc::StatusCode::UNAVAILABLE, "EXHAUSTED_HERE"));
  FakeFrontNode sold_out({}, ErrorDetails(grpc::StatusCode::RESOURCE_EXHAUSTED, "SOLD_OUT"));
  const auto client = OpenAt({empty.address(), sold_out.address()});
  for (int i = 0; i < 2; ++i) {
    StreamRun run;
    run.Run(*client->OpenStream(), 2000);
    EXPECT_EQ(run.refused, 2000);
    absl::MutexLock lock(&run.mutex);
    EXPECT_TRUE(IsSoldOut(run.last)) << run.last;
  }
  EXPECT_GT(empty.largest_frame(), 1);
  EXPECT_GT(sold_out.largest_frame(), 1);
}

// Answers that say nothing leave the outcome open; the SDK finds out by calls.
TEST(ClientStreamTest, AnswersThatCannotBeUnderstoodLoseNothing) {
  FakeFrontNode node([](auto* stream) {
    tranche::v1::StreamReservationsRequest request;
    while (stream->Read(&request)) {
      tranche::v1::StreamReservationsResponse response;
      response.add_results()->set_sequence(request.sequence());
      response.add_refusals()->add_sequences(request.sequence() + 1);  // without an error
      response.add_results()->set_sequence(1'000'000);                 // of nobody
      stream->Write(response);
    }
  });
  const auto client = OpenAt({node.address()});
  StreamRun run;
  run.Run(*client->OpenStream(), 100);
  EXPECT_EQ(run.granted, 100);
  EXPECT_EQ(run.mismatched, 0);
  EXPECT_EQ(node.unary_calls(), 100);
}

TEST(ClientStreamTest, ACallbackFindsRoomInTheWindowThatItsAnswerLeft) {
  FakeFrontNode node;
  const auto client = OpenAt({node.address()});
  const auto stream = client->OpenStream({.max_outstanding = 1});
  absl::Notification second_answered;
  bool sent = false;
  stream->Create({.sku = "tv", .user = "first"}, [&](absl::StatusOr<Reservation>) {
    CreateReservation request{.sku = "tv", .user = "second"};
    ReservationStream::Callback callback = [&](absl::StatusOr<Reservation>) { second_answered.Notify(); };
    sent = stream->TryCreate(request, callback);
    if (!sent) second_answered.Notify();
  });
  second_answered.WaitForNotification();
  EXPECT_TRUE(sent);
  stream->Close();
}

// Sends as many carts, payments and cancellations, and counts the right answers.
int CountChanges(ReservationStream& stream, int each) {
  std::atomic<int> right = 0;
  for (int i = 0; i < each; ++i) {
    const std::string id = absl::StrCat("id-", i);
    stream.CreateCart({.user = "alice", .lines = {{.sku = "tv"}, {.sku = "cable", .quantity = 2}}},
                      [&](absl::StatusOr<Cart> cart) {
                        right += cart.ok() && cart->reservations.size() == 2 && cart->reservations[1].quantity == 2;
                      });
    stream.Confirm({.reservation_id = id, .payment_reference = "p", .currency = "EUR"},
                   [&right, id](absl::StatusOr<Confirmation> paid) {
                     right += paid.ok() && paid->outcome == ConfirmOutcome::kConfirmed &&
                              paid->reservation.reservation_id == id;
                   });
    stream.Cancel({.reservation_id = id}, [&right, id](absl::StatusOr<Reservation> gone) {
      right += gone.ok() && gone->state == ReservationState::kCancelled && gone->reservation_id == id;
    });
  }
  stream.Close();
  return right;
}

TEST(ClientStreamTest, CartsAndChangesTravelInFramesToANodeThatTakesThem) {
  FakeFrontNode node;
  const auto client = OpenAt({node.address()});
  constexpr int kEach = 3000;
  EXPECT_EQ(CountChanges(*client->OpenStream({.max_outstanding = 64}), kEach), 3 * kEach);
  EXPECT_GT(node.largest_frame(), 1);
  // Those of the time before the node had said so are calls.
  EXPECT_LT(node.unary_calls(), kEach);
}

TEST(ClientStreamTest, CartsAndChangesAreCallsToANodeFromBeforeFrames) {
  FakeFrontNode node;
  node.frame_items = "";
  const auto client = OpenAt({node.address()});
  EXPECT_EQ(CountChanges(*client->OpenStream({.max_outstanding = 64}), 100), 300);
  EXPECT_EQ(node.unary_calls(), 300);
  EXPECT_EQ(node.stream_messages(), 0);
}

TEST(ClientStreamTest, KindsThatANodeDoesNotNameAreCalls) {
  FakeFrontNode node;
  node.frame_kinds = "create,cancel,later";
  const auto client = OpenAt({node.address()});
  constexpr int kEach = 3000;
  EXPECT_EQ(CountChanges(*client->OpenStream({.max_outstanding = 64}), kEach), 3 * kEach);
  EXPECT_GE(node.unary_calls(), 2 * kEach);
  EXPECT_LT(node.unary_calls(), 3 * kEach) << "cancellations travel in frames";
}

TEST(ClientStreamTest, ANodeThatNamesNoKindsTakesClaims) {
  FakeFrontNode node;
  node.frame_kinds = "";
  const auto client = OpenAt({node.address()});
  EXPECT_EQ(CountChanges(*client->OpenStream(), 100), 300);
  EXPECT_EQ(node.unary_calls(), 300);
  StreamRun run;
  run.Run(*client->OpenStream(), 20'000);
  EXPECT_EQ(run.granted, 20'000);
  EXPECT_GT(node.largest_frame(), 1);
  EXPECT_EQ(node.unary_calls(), 300);
}

TEST(ClientStreamTest, ARequestThatIsTooLongForTheNodesMessagesIsACall) {
  FakeFrontNode node;
  node.frame_bytes = "5000";
  const auto client = OpenAt({node.address()});
  const auto stream = client->OpenStream();
  std::atomic<int> granted = 0;
  for (const size_t length : {6000, 10, 100'000}) {
    stream->Create({.sku = "tv", .user = std::string(length, 'u')},
                   [&](absl::StatusOr<Reservation> answer) { granted += answer.ok(); });
  }
  stream->Close();
  EXPECT_EQ(granted, 3);
  EXPECT_EQ(node.unary_calls(), 2);
  EXPECT_EQ(node.stream_messages(), 1);
  EXPECT_EQ(node.streams(), 1);
}

TEST(ClientStreamTest, CartsAndPaymentsTakeAsMuchOfTheWindowAsTheirAnswersMayTell) {
  absl::Notification release;
  FakeFrontNode node;
  node.frame_items = "";  // they are calls, which the test can hold up
  node.on_change = [&] { release.WaitForNotification(); };
  const auto client = OpenAt({node.address()}, absl::Seconds(30));
  const auto carts = client->OpenStream({.max_outstanding = 3});
  const auto payments = client->OpenStream({.max_outstanding = 2});
  const auto tries = [](ReservationStream& stream) {
    CreateReservation request{.sku = "tv", .user = "alice"};
    ReservationStream::Callback callback = [](absl::StatusOr<Reservation>) {};
    return stream.TryCreate(request, callback);
  };
  std::atomic<int> answered = 0;
  carts->CreateCart({.user = "alice", .lines = {{.sku = "tv"}, {.sku = "tv"}, {.sku = "tv"}}},
                    [&](absl::StatusOr<Cart> cart) { answered += cart.ok() && tries(*carts); });
  payments->Confirm({.reservation_id = "id", .payment_reference = "p", .currency = "EUR"},
                    [&](absl::StatusOr<Confirmation> paid) { answered += paid.ok() && tries(*payments); });
  EXPECT_FALSE(tries(*carts));
  EXPECT_FALSE(tries(*payments));
  release.Notify();
  carts->Close();
  payments->Close();
  EXPECT_EQ(answered, 2) << "and what they took is free before their callbacks run";
}

TEST(ClientStreamTest, ACartWithoutLinesIsRefusedAtOnce) {
  FakeFrontNode node;
  const auto client = OpenAt({node.address()});
  const auto stream = client->OpenStream();
  absl::Status refused;
  stream->CreateCart({.user = "alice"}, [&](absl::StatusOr<Cart> cart) { refused = cart.status(); });
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
}

TEST(ClientStreamTest, ChangesOfABrokenStreamContinueAsCalls) {
  // Answers single requests, and ends the stream at the first frame.
  FakeFrontNode node([](auto* stream) {
    tranche::v1::StreamReservationsRequest request;
    while (stream->Read(&request) && request.items().empty()) {
      tranche::v1::StreamReservationsResponse response;
      response.set_sequence(request.sequence());
      Grant(request.create(), response.mutable_created());
      stream->Write(response);
    }
  });
  node.handler_takes_frames = true;
  const auto client = OpenAt({node.address()});
  const auto stream = client->OpenStream();
  absl::Notification known;  // the node has said that it takes frames, before this answer
  stream->Create({.sku = "tv", .user = "alice"}, [&](absl::StatusOr<Reservation>) { known.Notify(); });
  known.WaitForNotification();
  EXPECT_EQ(CountChanges(*stream, 10), 30);
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

tranche::v1::WatchReservationResponse State(int32_t revision, tranche::v1::ReservationState state) {
  tranche::v1::WatchReservationResponse response;
  response.mutable_reservation()->set_revision(revision);
  response.mutable_reservation()->set_state(state);
  return response;
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
