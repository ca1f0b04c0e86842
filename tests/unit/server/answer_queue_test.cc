#include "server/services/answer_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

v1::StreamReservationsResult Created(uint64_t sequence, const std::string& user = "u") {
  v1::StreamReservationsResult result;
  result.set_sequence(sequence);
  result.mutable_created()->mutable_reservation()->set_user_id(user);
  return result;
}

absl::Status SoldOut(const std::string& sku_id = "tv") {
  return RefusalError({.refusal = storage::Refusal::kSoldOut}, sku_id);
}

v1::StreamReservationsResponse Parsed(const AnswerMessage& message) {
  v1::StreamReservationsResponse response;
  EXPECT_TRUE(response.ParseFromString(message.bytes));
  return response;
}

std::vector<uint64_t> SequencesOf(const v1::StreamReservationsResponse& frame) {
  std::vector<uint64_t> sequences;
  for (const auto& result : frame.results()) sequences.push_back(result.sequence());
  for (const auto& refusal : frame.refusals()) {
    sequences.insert(sequences.end(), refusal.sequences().begin(), refusal.sequences().end());
  }
  std::sort(sequences.begin(), sequences.end());
  return sequences;
}

TEST(AnswerQueueTest, WithoutFramesEachAnswerIsAMessage) {
  AnswerQueue queue;
  EXPECT_TRUE(queue.empty());
  queue.Add(Created(1, "alice"), /*room=*/1);
  queue.AddRefusal(300, SoldOut(), /*room=*/1);
  const v1::StreamReservationsResponse created = Parsed(queue.Take());
  EXPECT_EQ(created.sequence(), 1u);
  EXPECT_EQ(created.created().reservation().user_id(), "alice");
  const AnswerMessage second = queue.Take();
  EXPECT_EQ(second.count.answers, 1);
  EXPECT_EQ(second.count.room, 1);
  EXPECT_EQ(Parsed(second).sequence(), 300u);
  EXPECT_EQ(Parsed(second).error().SerializeAsString(), SerializedDetails(SoldOut()));
  EXPECT_TRUE(queue.empty());
}

TEST(AnswerQueueTest, WhatComesWhileAMessageIsWrittenIsOneFrame) {
  AnswerQueue queue;
  queue.UseFrames();
  queue.Add(Created(1), 1);
  EXPECT_EQ(SequencesOf(Parsed(queue.Take())), (std::vector<uint64_t>{1})) << "nobody waits for more";
  queue.AddRefusal(2, SoldOut(), 1);
  queue.Add(Created(3, "bob"), 12);
  queue.AddRefusal(uint64_t{1} << 63, SoldOut(), 1);
  const AnswerMessage message = queue.Take();
  EXPECT_EQ(message.count.answers, 3);
  EXPECT_EQ(message.count.room, 14);
  const v1::StreamReservationsResponse frame = Parsed(message);
  EXPECT_EQ(frame.results(0).created().reservation().user_id(), "bob");
  EXPECT_EQ(SequencesOf(frame), (std::vector<uint64_t>{2, 3, uint64_t{1} << 63}));
  ASSERT_EQ(frame.refusals_size(), 1) << "the reason is told once";
  EXPECT_EQ(frame.refusals(0).error().SerializeAsString(), SerializedDetails(SoldOut()));
  EXPECT_TRUE(queue.empty());
}

TEST(AnswerQueueTest, ARepeatedRefusalTakesTheBytesOfItsSequence) {
  AnswerQueue queue;
  queue.UseFrames();
  queue.AddRefusal(1, SoldOut(), 1);
  const size_t alone = queue.Take().bytes.size();
  for (uint64_t i = 1; i <= 1000; ++i) queue.AddRefusal(i, SoldOut(), 1);
  // Two bytes each, and longer lengths in front of them.
  EXPECT_LE(queue.Take().bytes.size(), alone + 2 * 1000 + 10);
}

TEST(AnswerQueueTest, AnswersOfBeforeTheFirstFrameStayMessages) {
  AnswerQueue queue;
  queue.Add(Created(1), 1);
  queue.UseFrames();
  queue.Add(Created(2), 1);
  EXPECT_EQ(Parsed(queue.Take()).sequence(), 1u);
  EXPECT_EQ(SequencesOf(Parsed(queue.Take())), (std::vector<uint64_t>{2}));
}

TEST(AnswerQueueTest, EachReasonHasItsRequests) {
  AnswerQueue queue;
  queue.UseFrames();
  for (uint64_t i = 0; i < 10; ++i) queue.AddRefusal(i, SoldOut(i % 2 == 0 ? "tv" : "book"), 1);
  const v1::StreamReservationsResponse frame = Parsed(queue.Take());
  ASSERT_EQ(frame.refusals_size(), 2);
  for (const auto& refusal : frame.refusals()) {
    EXPECT_EQ(refusal.sequences_size(), 5);
    const bool odd = refusal.error().SerializeAsString() == SerializedDetails(SoldOut("book"));
    for (const uint64_t sequence : refusal.sequences()) EXPECT_EQ(sequence % 2 == 1, odd);
  }
}

TEST(AnswerQueueTest, ManyReasonsAreAllToldAndFramesStayBounded) {
  AnswerQueue queue;
  queue.UseFrames();
  constexpr uint64_t kAnswers = 2000;
  for (uint64_t i = 1; i <= kAnswers; ++i) {
    queue.AddRefusal(i, SoldOut(absl::StrCat("sku-", i % 100)), 1);
  }
  std::vector<uint64_t> all;
  while (!queue.empty()) {
    const AnswerMessage message = queue.Take();
    EXPECT_LE(message.bytes.size(), AnswerQueue::kMaxFrameBytes);
    const std::vector<uint64_t> some = SequencesOf(Parsed(message));
    EXPECT_EQ(message.count.answers, static_cast<int>(some.size()));
    all.insert(all.end(), some.begin(), some.end());
  }
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), kAnswers);
  EXPECT_EQ(all.front(), 1u);
  EXPECT_EQ(all.back(), kAnswers);
}

TEST(AnswerQueueTest, AFrameIsBoundedInAnswers) {
  AnswerQueue queue;
  queue.UseFrames();
  for (int i = 0; i < AnswerQueue::kMaxFrameAnswers; ++i) queue.AddRefusal(static_cast<uint64_t>(i), SoldOut(), 1);
  EXPECT_FALSE(queue.has_ready());
  queue.AddRefusal(1, SoldOut(), 1);
  EXPECT_TRUE(queue.has_ready());
  EXPECT_EQ(queue.Take().count.answers, AnswerQueue::kMaxFrameAnswers);
  EXPECT_EQ(queue.Take().count.answers, 1);
}

TEST(AnswerQueueTest, AFrameIsBoundedInBytesButNoAnswerIsTooLarge) {
  AnswerQueue queue;
  queue.UseFrames();
  queue.Add(Created(1, std::string(40'000, 'a')), 1);
  queue.Add(Created(2, std::string(40'000, 'b')), 1);
  queue.Add(Created(3, std::string(100'000, 'c')), 1);
  for (uint64_t sequence = 1; sequence <= 3; ++sequence) {
    EXPECT_EQ(SequencesOf(Parsed(queue.Take())), (std::vector<uint64_t>{sequence}));
  }
  EXPECT_TRUE(queue.empty());
}

TEST(AnswerQueueTest, WhatIsDroppedIsCounted) {
  AnswerQueue queue;
  queue.Add(Created(1), 1);
  queue.UseFrames();
  queue.Add(Created(2), 12);
  queue.AddRefusal(3, SoldOut(), 1);
  const AnswerCount dropped = queue.Clear();
  EXPECT_EQ(dropped.answers, 3);
  EXPECT_EQ(dropped.room, 14);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.Clear().answers, 0);
}

TEST(AnswerQueueTest, AnErrorWithoutDetailsIsToldAsAnInternalOne) {
  AnswerQueue queue;
  queue.UseFrames();
  queue.AddRefusal(1, absl::UnknownError("a bug"), 1);
  EXPECT_EQ(Parsed(queue.Take()).refusals(0).error().code(), static_cast<int>(absl::StatusCode::kInternal));
}

}  // namespace
}  // namespace tranche::server
