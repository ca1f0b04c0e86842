// A consumer whose ledger is away, and how refusals are noted in batches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/server/queue/consumer_fixture.h"

namespace tranche::server {
namespace {

using storage::Refusal;
using storage::RefuseOutcome;

TEST_F(ConsumerTest, WhileTheLedgerIsAwayOneClaimAsksForAll) {
  for (int i = 0; i < 5; ++i) Deliver(absl::StrCat("buyer-", i));
  ASSERT_EQ(tries_.size(), 5u);
  while (!tries_.empty()) Refuse(Refusal::kLedgerUnavailable);
  const uint64_t later = Deliver("late");
  EXPECT_TRUE(tries_.empty()) << "nor is a new one tried";
  for (int i = 0; i < 3; ++i) {
    Wait();
    ASSERT_EQ(tries_.size(), 1u) << "one asks";
    Wait();
    ASSERT_EQ(tries_.size(), 1u) << "and no other meanwhile";
    Refuse(Refusal::kLedgerUnavailable);
  }
  Wait();
  ASSERT_EQ(tries_.size(), 1u);
  Sell();
  Wait();
  EXPECT_EQ(tries_.size(), 5u) << "all others, and the late one";
  while (!tries_.empty()) Sell();
  EXPECT_EQ(source_.Of(later), Settlement::kDone);
  EXPECT_EQ(source_.settled.size(), 6u);
}

TEST_F(ConsumerTest, TheOldestAsksFirstAndThenTheOthersInTurn) {
  for (const char* user : {"ann", "bob", "cid"}) Deliver(user);
  while (!tries_.empty()) Refuse(Refusal::kLedgerUnavailable);
  std::string asked;
  for (int i = 0; i < 4; ++i) {
    Wait();
    ASSERT_EQ(tries_.size(), 1u);
    asked += tries_[0].user() + " ";
    Refuse(Refusal::kLedgerUnavailable);
  }
  EXPECT_EQ(asked, "ann bob cid ann ");
}

TEST_F(ConsumerTest, AClaimThatAsksForAllAndIsRefusedReleasesThem) {
  Deliver("ann");
  Deliver("bob");
  while (!tries_.empty()) Refuse(Refusal::kLedgerUnavailable);
  Wait();
  Refuse(Refusal::kExhaustedHere);
  Wait();
  EXPECT_EQ(tries_.size(), 2u);
}

TEST_F(ConsumerTest, TheOutageOfAShardToWhichASkuHasMovedIsNotThisOnes) {
  radio_is_at_ = "s1";
  Deliver("ann", "radio");
  Refuse(Refusal::kLedgerUnavailable);
  Deliver("bob");
  EXPECT_EQ(tries_.size(), 1u) << "this shard's ledger was not asked";
}

TEST_F(ConsumerTest, OneThatFailsWhileOthersAreAnsweredHoldsUpNobody) {
  Deliver("ann");
  Deliver("bob");
  Try locked = Take();
  clock_.AdvanceBy(absl::Seconds(1));
  Sell();
  locked.done(quota::Refused{.refusal = Refusal::kLedgerUnavailable});
  Deliver("cid");
  EXPECT_EQ(tries_.size(), 1u) << "the ledger has answered bob after ann began";
}

TEST_F(ConsumerTest, ALostProbeIsReplaced) {
  Deliver("ann", "tv", 0, "tranche.claims.home.0");
  Deliver("bob", "tv", 0, "tranche.claims.home.1");
  while (!tries_.empty()) Refuse(Refusal::kLedgerUnavailable);
  Wait();
  ASSERT_EQ(tries_.size(), 1u);
  ASSERT_EQ(tries_[0].user(), "ann");
  tries_.clear();
  consumer_.OnLost("tranche.claims.home.0");
  Wait();
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_EQ(tries_[0].user(), "bob");
}

TEST_F(ConsumerTest, RefusalsGatherWhileACallIsUnderWay) {
  for (int i = 0; i < 4; ++i) Deliver(absl::StrCat("buyer-", i));
  while (!tries_.empty()) Refuse(Refusal::kSoldOut);
  ASSERT_EQ(books_.calls.size(), 1u) << "one call of a shard at a time";
  EXPECT_EQ(books_.calls[0].batch.size(), 1u);
  books_.Answer(RefuseOutcome::kRefused);
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.size(), 3u) << "what has gathered";
  books_.Answer(RefuseOutcome::kReplayed);
  EXPECT_EQ(source_.settled.size(), 4u);
}

TEST_F(ConsumerTest, ABatchIsBounded) {
  const int all = storage::kMaxBatch + 10;
  for (int i = 0; i < all + 1; ++i) Deliver(absl::StrCat("buyer-", i));
  while (!tries_.empty()) Refuse(Refusal::kSoldOut);
  books_.Answer(RefuseOutcome::kRefused);
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.size(), static_cast<size_t>(storage::kMaxBatch));
  books_.Answer(RefuseOutcome::kRefused);
  books_.Answer(RefuseOutcome::kRefused);
  EXPECT_EQ(source_.settled.size(), static_cast<size_t>(all + 1));
}

TEST_F(ConsumerTest, ABatchHasEachIdOnce) {
  Deliver("first");
  const storage::ReservationClaim line = Line("ann", "tv");
  storage::ReservationClaim other = line;
  other.user_id = "bob";  // whose id is ann's
  DeliverLines({line}, /*cart=*/false);
  DeliverLines({other}, /*cart=*/false);
  while (!tries_.empty()) Refuse(Refusal::kSoldOut);
  books_.Answer(RefuseOutcome::kRefused);
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.size(), 1u);
  books_.Answer(RefuseOutcome::kRefused);
  books_.Answer(RefuseOutcome::kConflict);
  EXPECT_EQ(source_.settled.size(), 3u);
}

TEST_F(ConsumerTest, ARefusalThatCannotBeNotedIsNotTriedAgainButNoted) {
  const uint64_t tag = Deliver("ann");
  Refuse(Refusal::kSoldOut);
  books_.Fail(storage::NotReachedError("no connection"));
  EXPECT_EQ(source_.Of(tag), std::nullopt);
  Deliver("bob");
  EXPECT_TRUE(tries_.empty()) << "the ledger is away for all";
  Wait();
  EXPECT_TRUE(tries_.empty());
  ASSERT_EQ(books_.calls.size(), 1u);
  books_.Answer(RefuseOutcome::kRefused);
  EXPECT_EQ(source_.Of(tag), Settlement::kDone);
  Wait();
  EXPECT_EQ(tries_.size(), 1u) << "the note has shown that the ledger answers";
}

TEST_F(ConsumerTest, ABatchThatFailsIsMadeSmaller) {
  for (int i = 0; i < 9; ++i) Deliver(absl::StrCat("buyer-", i));
  while (!tries_.empty()) Refuse(Refusal::kSoldOut);
  books_.Answer(RefuseOutcome::kRefused);
  ASSERT_EQ(books_.calls.front().batch.size(), 8u);
  books_.Fail(absl::InternalError("something in it"));
  Wait();
  ASSERT_FALSE(books_.calls.empty());
  EXPECT_LE(books_.calls.front().batch.size(), 4u);
}

TEST_F(ConsumerTest, NotesThatFailAtOnceAreNotSentInsideEachOther) {
  for (int i = 0; i < 300; ++i) Deliver(absl::StrCat("buyer-", i));
  while (!tries_.empty()) Refuse(Refusal::kSoldOut);
  books_.at_once = absl::ResourceExhaustedError("too many calls wait for the ledger");
  books_.Fail(books_.at_once);
  EXPECT_EQ(books_.failed_at_once, 0) << "only the next tick tries";
  Wait();
  EXPECT_EQ(books_.failed_at_once, 1);
  books_.at_once = absl::OkStatus();
  for (int i = 0; i < 100 && source_.settled.size() < 300; ++i) {
    Wait();
    while (!books_.calls.empty()) books_.Answer(RefuseOutcome::kRefused);
  }
  EXPECT_EQ(source_.settled.size(), 300u);
}

TEST_F(ConsumerTest, AClaimThatAsksForAllAndIsNotAnsweredReleasesNobody) {
  Deliver("ann", "tv", /*deliveries=*/1);
  Deliver("bob");
  while (!tries_.empty()) Refuse(Refusal::kLedgerUnavailable);
  Wait();
  ASSERT_EQ(tries_.size(), 1u);
  Refuse(Refusal::kCommitUnknown);
  Wait();
  ASSERT_EQ(tries_.size(), 1u) << "the next one asks, alone";
  EXPECT_EQ(tries_[0].user(), "bob");
}

TEST_F(ConsumerTest, AClaimThatIsNotAnsweredTwiceMeansThatTheLedgerIsAway) {
  Deliver("ann", "tv", /*deliveries=*/1);
  Refuse(Refusal::kCommitUnknown);
  Deliver("bob");
  ASSERT_EQ(tries_.size(), 1u) << "one lost answer says little";
  tries_.clear();
  Wait();
  ASSERT_EQ(tries_.size(), 1u);
  Refuse(Refusal::kCommitUnknown);
  Deliver("cid");
  EXPECT_TRUE(tries_.empty());
}

TEST_F(ConsumerTest, AnotherShardsSilenceDoesNotMeanThatThisOneAnswers) {
  Deliver("ann");
  Refuse(Refusal::kSoldOut);
  books_.Answer(RefuseOutcome::kSkuMoving);
  clock_.AdvanceBy(absl::Milliseconds(1));
  Deliver("bob");
  Refuse(Refusal::kLedgerUnavailable);
  Wait();
  ASSERT_EQ(books_.calls.size(), 1u) << "the oldest one asks for all";
  ASSERT_EQ(books_.calls[0].shard, "s1");
  books_.Fail(storage::NotReachedError("no connection"));
  Deliver("cid");
  EXPECT_TRUE(tries_.empty());
  Wait();
  ASSERT_EQ(tries_.size(), 1u) << "the next one asks";
  EXPECT_EQ(tries_[0].user(), "bob");
}

TEST_F(ConsumerTest, AClaimThatCannotBeNotedForItselfGoesBackInTheEnd) {
  const uint64_t tag = Deliver("ann");
  Refuse(Refusal::kSoldOut);
  for (int i = 0; i < kMostInternalErrors; ++i) {
    ASSERT_EQ(books_.calls.size(), 1u) << i;
    books_.Fail(absl::InternalError("it cannot be written"));
    Wait();
  }
  EXPECT_EQ(source_.Of(tag), Settlement::kRequeue);
}

TEST_F(ConsumerTest, ARefusalFollowsItsSkuToAnotherShard) {
  const uint64_t tag = Deliver("ann");
  Refuse(Refusal::kSoldOut);
  books_.Answer(RefuseOutcome::kSkuMoving);
  EXPECT_EQ(source_.Of(tag), std::nullopt);
  Wait();
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].shard, "s1");
  EXPECT_EQ(books_.calls[0].batch.at(0).refusal, Refusal::kSoldOut);
  books_.Answer(RefuseOutcome::kRefused);
  EXPECT_EQ(source_.Of(tag), Settlement::kDone);
}

}  // namespace
}  // namespace tranche::server
