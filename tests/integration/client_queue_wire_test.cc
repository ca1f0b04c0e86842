// Queued claims over real gRPC: watches, nodes that die, streams.

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "tests/integration/fake_front_node.h"
#include "tests/integration/open_client.h"
#include "tranche/client.h"

namespace tranche {
namespace {

// A claim that is queued and waits.
struct WaitingClaim {
  absl::Notification queued;
  absl::Notification answered;
  absl::StatusOr<Reservation> answer;

  CreateReservation Request() {
    CreateReservation request{.sku = "tv", .user = "alice"};
    request.accept_queued = true;
    request.on_queued = [this](const QueuedClaim&) { queued.Notify(); };
    return request;
  }
  Client::Callback Callback() {
    return [this](absl::StatusOr<Reservation> result) {
      answer = std::move(result);
      answered.Notify();
    };
  }
};

TEST(ClientQueueWireTest, AQueuedClaimIsWatchedUntilItIsDecided) {
  FakeFrontNode node;
  node.queues = true;
  node.decides = false;
  const auto client = OpenAt({node.address()});
  WaitingClaim claim;
  client->CreateAsync(claim.Request(), claim.Callback());
  claim.queued.WaitForNotification();
  EXPECT_FALSE(claim.answered.HasBeenNotified());
  node.decides = true;
  claim.answered.WaitForNotification();
  ASSERT_TRUE(claim.answer.ok()) << claim.answer.status();
  EXPECT_EQ(claim.answer->sku_id, "tv");
  EXPECT_EQ(node.claim_watches(), 1);
  EXPECT_EQ(node.claim_reads(), 0);
}

TEST(ClientQueueWireTest, ANodeWithoutWatchesIsAskedAgain) {
  FakeFrontNode node;
  node.queues = true;
  node.decides = false;
  node.knows_claim_watches = false;
  const auto client = OpenAt({node.address()});
  WaitingClaim claim;
  client->CreateAsync(claim.Request(), claim.Callback());
  claim.queued.WaitForNotification();
  node.decides = true;
  claim.answered.WaitForNotification();
  EXPECT_TRUE(claim.answer.ok()) << claim.answer.status();
  EXPECT_GT(node.claim_reads(), 0);
}

TEST(ClientQueueWireTest, WhenANodeDiesAnotherTellsTheDecision) {
  FakeFrontNode alive;
  auto dead = std::make_unique<FakeFrontNode>();
  for (FakeFrontNode* node : {&alive, dead.get()}) {
    node->queues = true;
    node->decides = false;
  }
  const auto client = OpenAt({dead->address(), alive.address()});
  WaitingClaim claim;
  client->CreateAsync(claim.Request(), claim.Callback());
  claim.queued.WaitForNotification();
  dead.reset();
  alive.decides = true;
  claim.answered.WaitForNotification();
  EXPECT_TRUE(claim.answer.ok()) << claim.answer.status();
}

TEST(ClientQueueWireTest, DestroyingTheClientEndsTheWait) {
  FakeFrontNode node;
  node.queues = true;
  node.decides = false;
  auto client = OpenAt({node.address()});
  WaitingClaim claim;
  client->CreateAsync(claim.Request(), claim.Callback());
  claim.queued.WaitForNotification();
  client.reset();
  ASSERT_TRUE(claim.answered.HasBeenNotified());
  const std::optional<std::string> ticket = ClaimTicketOf(claim.answer.status());
  ASSERT_TRUE(ticket.has_value()) << claim.answer.status();
  // Another process asks with the ticket.
  node.decides = true;
  const auto outcome = OpenAt({node.address()})->GetClaim(*ticket);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  ASSERT_TRUE(outcome->created.has_value());
  EXPECT_EQ(outcome->created->reservation_id, ErrorMetadata(claim.answer.status(), "reservation_id"));
}

TEST(ClientQueueWireTest, ACartIsDecidedAsAWhole) {
  FakeFrontNode node;
  node.queues = true;
  CreateCart cart{.user = "alice", .lines = {{.sku = "tv"}, {.sku = "cable", .quantity = 2}}};
  cart.accept_queued = true;
  const auto client = OpenAt({node.address()});
  const auto made = client->CreateCart(cart);
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_EQ(made->reservations.size(), 2u);
  EXPECT_EQ(made->reservations[1].quantity, 2);
}

// Otherwise the queue could never have more claims of a stream than its window.
TEST(ClientQueueWireTest, WhatIsQueuedOnAStreamLeavesTheWindow) {
  FakeFrontNode node;
  node.queues = true;
  node.decides = false;
  const auto client = OpenAt({node.address()});
  const auto stream = client->OpenStream({.max_outstanding = 1});
  WaitingClaim first, second;
  stream->Create(first.Request(), first.Callback());
  stream->Create(second.Request(), second.Callback());  // waits for room
  first.queued.WaitForNotification();
  second.queued.WaitForNotification();
  EXPECT_FALSE(first.answered.HasBeenNotified());
  absl::Notification cart_made;
  CreateCart cart{.user = "alice", .lines = {{.sku = "tv"}, {.sku = "cable"}}};
  cart.accept_queued = true;
  absl::StatusOr<Cart> made;
  stream->CreateCart(cart, [&](absl::StatusOr<Cart> answer) {
    made = std::move(answer);
    cart_made.Notify();
  });
  node.decides = true;
  stream->Close();
  ASSERT_TRUE(first.answered.HasBeenNotified() && second.answered.HasBeenNotified() && cart_made.HasBeenNotified())
      << "the stream's end waits for the decisions";
  EXPECT_TRUE(first.answer.ok()) << first.answer.status();
  EXPECT_TRUE(second.answer.ok()) << second.answer.status();
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->reservations.size(), 2u);
}

// What the stream does not take goes as a call, and leaves the window in the same way.
TEST(ClientQueueWireTest, SoDoesWhatAStreamSendsAsACall) {
  FakeFrontNode node;
  node.queues = true;
  node.decides = false;
  const auto client = OpenAt({node.address()});
  const auto stream = client->OpenStream({.max_outstanding = 1});
  WaitingClaim first, second;
  for (WaitingClaim* claim : {&first, &second}) {
    CreateReservation request = claim->Request();
    request.retry_of_unknown = true;
    stream->Create(std::move(request), claim->Callback());
  }
  first.queued.WaitForNotification();
  second.queued.WaitForNotification();
  node.decides = true;
  stream->Close();
  EXPECT_TRUE(first.answer.ok()) << first.answer.status();
  EXPECT_TRUE(second.answer.ok()) << second.answer.status();
}

}  // namespace
}  // namespace tranche
