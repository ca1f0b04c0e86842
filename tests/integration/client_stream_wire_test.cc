// The client's streams over real gRPC: frames, nodes of other versions, streams that break or hang.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "tests/integration/fake_front_node.h"
#include "tests/integration/open_client.h"
#include "tranche/client.h"

namespace tranche {
namespace {

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

// Grants each claim of a message.
tranche::v1::StreamReservationsResponse AnswersTo(const tranche::v1::StreamReservationsRequest& request) {
  tranche::v1::StreamReservationsResponse answers;
  if (request.items().empty()) {
    answers.set_sequence(request.sequence());
    Grant(request.create(), answers.mutable_created());
  }
  for (const tranche::v1::StreamReservationsItem& item : request.items()) {
    tranche::v1::StreamReservationsResult* const result = answers.add_results();
    result->set_sequence(item.sequence());
    Grant(item.create(), result->mutable_created());
  }
  return answers;
}

// Otherwise one request would leave the frame with each answer, and soon each would be a message of its own.
TEST(ClientStreamTest, WhatTheAnswersOfAFrameLeadToIsAFrameAgain) {
  constexpr int kRequests = 8;
  constexpr int kRounds = 50;
  std::atomic<bool> sends_frames = false;
  int whole_rounds = 0;  // whose requests came in one message
  FakeFrontNode node([&](auto* stream) -> void {
    tranche::v1::StreamReservationsRequest request;
    while (!sends_frames && stream->Read(&request)) {
      sends_frames = !request.items().empty();
      stream->Write(AnswersTo(request));
    }
    while (true) {
      tranche::v1::StreamReservationsResponse frame;
      while (frame.results_size() < kRequests) {
        if (!stream->Read(&request)) return;
        frame.MergeFrom(AnswersTo(request));
      }
      whole_rounds += request.items_size() == kRequests ? 1 : 0;
      stream->Write(frame);
    }
  });
  node.handler_takes_frames = true;
  const auto client = OpenAt({node.address()});
  const auto stream = client->OpenStream();
  // What the node says at the beginning may be read after an answer.
  while (!sends_frames) {
    absl::Notification answered;
    stream->Create({.sku = "tv", .user = "alice"}, [&](absl::StatusOr<Reservation>) { answered.Notify(); });
    answered.WaitForNotification();
  }
  absl::BlockingCounter ended(kRequests);
  std::function<void(int)> send = [&](int round) {
    CreateReservation request{.sku = "tv", .user = "alice"};
    ReservationStream::Callback callback = [&, round](absl::StatusOr<Reservation>) {
      if (round < kRounds) {
        send(round + 1);
      } else {
        ended.DecrementCount();
      }
    };
    EXPECT_TRUE(stream->TryCreate(request, callback));
  };
  for (int i = 0; i < kRequests; ++i) send(0);
  ended.Wait();
  stream->Close();
  // A write that ends late may send a part of a round.
  EXPECT_GT(whole_rounds, kRounds / 2);
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
  absl::Notification known;  // about when the node has said that it takes frames
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

}  // namespace
}  // namespace tranche
