#include "client/internal/request_queue.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tranche::internal {
namespace {

using tranche::v1::StreamReservationsItem;
using tranche::v1::StreamReservationsRequest;

StreamReservationsItem Item(uint64_t sequence, const std::string& user = "u") {
  StreamReservationsItem item;
  item.set_sequence(sequence);
  item.mutable_create()->set_user_id(user);
  item.mutable_timeout()->set_seconds(1);
  return item;
}

std::vector<uint64_t> SequencesOf(const StreamReservationsRequest& frame) {
  std::vector<uint64_t> sequences;
  for (const StreamReservationsItem& item : frame.items()) sequences.push_back(item.sequence());
  return sequences;
}

TEST(RequestQueueTest, EachRequestIsAMessageUntilTheNodeTakesFrames) {
  RequestQueue queue;
  queue.Push(Item(1, "alice"));
  queue.Push(Item(2));
  queue.Push(Item(3));
  StreamReservationsRequest message;
  queue.Pop(&message);
  EXPECT_EQ(message.sequence(), 1u);
  EXPECT_EQ(message.create().user_id(), "alice");
  EXPECT_EQ(message.timeout().seconds(), 1);
  EXPECT_EQ(message.items_size(), 0);
  queue.UseFrames(1024, 65536);
  queue.Pop(&message);
  EXPECT_EQ(message.sequence(), 0u) << "what was in the message before";
  EXPECT_FALSE(message.has_create());
  EXPECT_FALSE(message.has_timeout());
  EXPECT_EQ(SequencesOf(message), (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(message.items(0).create().user_id(), "u");
  EXPECT_TRUE(queue.empty());
}

TEST(RequestQueueTest, ChangesComeBeforeClaims) {
  RequestQueue queue;
  queue.UseFrames(3, 65536);
  for (uint64_t i = 1; i <= 3; ++i) queue.Push(Item(i));
  StreamReservationsItem cart;
  cart.set_sequence(4);
  cart.mutable_create_cart();
  queue.Push(cart);
  StreamReservationsItem payment;
  payment.set_sequence(5);
  payment.mutable_confirm();
  queue.Push(payment);
  StreamReservationsItem cancellation;
  cancellation.set_sequence(6);
  cancellation.mutable_cancel();
  queue.Push(cancellation);
  StreamReservationsRequest message;
  queue.Pop(&message);
  EXPECT_EQ(SequencesOf(message), (std::vector<uint64_t>{5, 6, 1}));
  queue.Pop(&message);
  EXPECT_EQ(SequencesOf(message), (std::vector<uint64_t>{2, 3, 4}));
  EXPECT_TRUE(queue.empty());
}

TEST(RequestQueueTest, WhatComesWhileAMessageIsWrittenIsTheNextFrame) {
  RequestQueue queue;
  queue.UseFrames(1024, 65536);
  StreamReservationsRequest message;
  queue.Push(Item(1));
  queue.Pop(&message);
  EXPECT_EQ(SequencesOf(message), (std::vector<uint64_t>{1})) << "nobody waits for more";
  for (uint64_t i = 2; i <= 4; ++i) queue.Push(Item(i));
  queue.Pop(&message);
  EXPECT_EQ(SequencesOf(message), (std::vector<uint64_t>{2, 3, 4}));
  EXPECT_TRUE(queue.empty());
}

TEST(RequestQueueTest, AFrameKeepsToTheNodesLimitsAndToOurs) {
  RequestQueue queue;
  queue.UseFrames(/*items=*/2, /*bytes=*/1 << 30);
  for (uint64_t i = 1; i <= 3; ++i) queue.Push(Item(i));
  StreamReservationsRequest message;
  queue.Pop(&message);
  EXPECT_EQ(message.items_size(), 2);
  queue.UseFrames(/*items=*/1 << 30, /*bytes=*/1 << 30);
  for (int64_t i = 0; i < 2 * RequestQueue::kMaxFrameItems; ++i) queue.Push(Item(static_cast<uint64_t>(i)));
  queue.Pop(&message);
  EXPECT_EQ(message.items_size(), RequestQueue::kMaxFrameItems);
}

TEST(RequestQueueTest, WhatIsLongerThanTheNodesMessagesDoesNotFit) {
  RequestQueue queue;
  const auto fits = [&](int64_t user_bytes) {
    StreamReservationsItem item = Item(0, std::string(static_cast<size_t>(user_bytes), 'u'));
    const bool fits = queue.Fits(static_cast<int64_t>(item.ByteSizeLong()));
    StreamReservationsRequest frame;
    item.set_sequence(~uint64_t{0});
    *frame.add_items() = item;
    EXPECT_TRUE(!fits || frame.ByteSizeLong() <= 10'000u);
    return fits;
  };
  EXPECT_TRUE(fits(4'000)) << "every node takes that";
  EXPECT_FALSE(fits(5'000));
  queue.UseFrames(/*items=*/1024, /*bytes=*/10'000);
  for (int64_t bytes = 9'950; bytes < 10'050; ++bytes) fits(bytes);
  EXPECT_TRUE(fits(9'950));
  EXPECT_FALSE(fits(10'000));
  queue.UseFrames(/*items=*/1024, /*bytes=*/1 << 30);
  EXPECT_FALSE(fits(RequestQueue::kMaxFrameBytes));
}

TEST(RequestQueueTest, AFrameIsBoundedInBytesButNoRequestIsTooLarge) {
  RequestQueue queue;
  queue.UseFrames(/*items=*/1024, /*bytes=*/10'000);
  for (uint64_t i = 1; i <= 100; ++i) queue.Push(Item(i, std::string(300, 'u')));
  queue.Push(Item(101, std::string(20'000, 'u')));
  uint64_t next = 1;
  int frames = 0;
  while (!queue.empty()) {
    StreamReservationsRequest message;
    queue.Pop(&message);
    ++frames;
    EXPECT_TRUE(message.items_size() == 1 || message.ByteSizeLong() <= 10'000u);
    for (const uint64_t sequence : SequencesOf(message)) EXPECT_EQ(sequence, next++);
  }
  EXPECT_EQ(next, 102u);
  EXPECT_EQ(frames, 5);
}

}  // namespace
}  // namespace tranche::internal
