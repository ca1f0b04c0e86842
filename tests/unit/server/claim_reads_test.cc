#include "server/handlers/claim_reads.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tests/support/stub_books.h"

namespace tranche::server {
namespace {

using storage::Reservation;
using storage::Uuid;

// Keeps reads until the test answers them.
class HeldReads : public tranche::testing::StubBooks {
 public:
  struct Call {
    std::vector<Uuid> ids;
    KnownDone done;
  };

  void ReadKnown(std::vector<Uuid> ids, absl::Time, KnownDone done) override {
    calls.push_back({std::move(ids), std::move(done)});
  }
  // The read that is under way.
  void Answer(absl::StatusOr<storage::PartialRead> read) {
    ASSERT_EQ(calls.size(), 1u);
    Call call = std::move(calls.front());
    calls.clear();
    call.done(std::move(read));
  }

  std::vector<Call> calls;
};

class ClaimReadsTest : public ::testing::Test {
 protected:
  using Rows = absl::StatusOr<std::vector<Reservation>>;
  using Answer = std::shared_ptr<std::optional<Rows>>;

  static Uuid Id(int number) {
    Uuid id;
    id.bytes[14] = static_cast<uint8_t>(number / 256);
    id.bytes[15] = static_cast<uint8_t>(number % 256);
    return id;
  }
  static storage::PartialRead Found(int number) {
    storage::PartialRead read;
    read.found.emplace_back().reservation_id = Id(number);
    return read;
  }
  Answer Read(std::vector<Uuid> ids, absl::Time deadline = absl::InfiniteFuture()) {
    auto answer = std::make_shared<std::optional<Rows>>();
    reads_.Read(std::move(ids), deadline, [answer](Rows rows) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = std::move(rows);
    });
    return answer;
  }

  storage::FakeClock clock_;
  HeldReads books_;
  ClaimReads reads_{&books_, &clock_};
};

TEST_F(ClaimReadsTest, WhoComesDuringAReadSharesTheNext) {
  const Answer first = Read({Id(1)});
  std::vector<Answer> others;
  for (int i = 2; i < 100; ++i) others.push_back(Read({Id(i)}));
  ASSERT_EQ(books_.calls.size(), 1u);
  books_.Answer(Found(1));
  ASSERT_TRUE(first->has_value() && (*first)->ok());
  EXPECT_EQ((**first)->size(), 1u);
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].ids.size(), others.size());
  books_.Answer(Found(2));
  ASSERT_TRUE(others[0]->has_value() && others[1]->has_value());
  EXPECT_EQ((**others[0])->size(), 1u);
  EXPECT_TRUE((**others[1])->empty());
  EXPECT_TRUE(books_.calls.empty());
}

TEST_F(ClaimReadsTest, AReadIsBounded) {
  Read({Id(0)});
  for (int i = 0; i < 600; ++i) Read({Id(2 * i), Id(2 * i + 1)});
  books_.Answer(storage::PartialRead{});
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].ids.size(), static_cast<size_t>(storage::kMaxBatch));
  books_.Answer(storage::PartialRead{});
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].ids.size(), static_cast<size_t>(1200 - storage::kMaxBatch));
  books_.Answer(storage::PartialRead{});
}

// A shard that is silent hides nothing of the others.
TEST_F(ClaimReadsTest, WhatWasFoundIsAnAnswerAlsoIfAShardIsSilent) {
  const Answer blocks = Read({Id(9)});
  const Answer found = Read({Id(1)});
  const Answer missing = Read({Id(2)});
  books_.Answer(absl::ResourceExhaustedError("many"));
  EXPECT_TRUE(absl::IsResourceExhausted((*blocks)->status()));
  storage::PartialRead read = Found(1);
  read.rest = absl::UnavailableError("silent");
  books_.Answer(std::move(read));
  EXPECT_TRUE((*found)->ok());
  EXPECT_TRUE(absl::IsUnavailable((*missing)->status()));
}

TEST_F(ClaimReadsTest, WhoHasGoneIsNotReadFor) {
  Read({Id(1)});
  const Answer late = Read({Id(2)}, clock_.Now() + absl::Seconds(1));
  clock_.AdvanceBy(absl::Seconds(2));
  books_.Answer(storage::PartialRead{});
  ASSERT_TRUE(late->has_value());
  EXPECT_TRUE(absl::IsDeadlineExceeded((*late)->status()));
  EXPECT_TRUE(books_.calls.empty());
  Read({Id(3)});
  EXPECT_EQ(books_.calls.size(), 1u);
  books_.Answer(storage::PartialRead{});
}

TEST_F(ClaimReadsTest, NotMoreWaitThanFit) {
  Read({Id(1)});
  for (size_t i = 0; i < ClaimReads::kMostWaiting; ++i) Read({Id(2)});
  const Answer refused = Read({Id(3)});
  ASSERT_TRUE(refused->has_value());
  EXPECT_TRUE(absl::IsResourceExhausted((*refused)->status()));
  while (!books_.calls.empty()) books_.Answer(storage::PartialRead{});
}

}  // namespace
}  // namespace tranche::server
