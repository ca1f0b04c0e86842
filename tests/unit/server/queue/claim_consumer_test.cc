// What becomes of a queued claim, and when its message is settled.
#include "server/queue/claim_consumer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>

#include "tests/unit/server/queue/consumer_fixture.h"

namespace tranche::server {
namespace {

using storage::Refusal;
using storage::RefuseOutcome;
using ::testing::ElementsAre;
using ::testing::Pair;

TEST_F(ConsumerTest, ASoldClaimIsDone) {
  const uint64_t tag = Deliver("ann");
  EXPECT_EQ(source_.Of(tag), std::nullopt) << "before the decision is in the ledger";
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_EQ(tries_[0].deadline, clock_.Now() + kTryQueuedClaim);
  EXPECT_FALSE(tries_[0].may_exist);
  Sell();
  EXPECT_EQ(source_.Of(tag), Settlement::kDone);
  EXPECT_EQ(consumer_.held(), 0u);
  EXPECT_THAT(Outcomes(), ElementsAre(Pair("sold", 1)));
}

TEST_F(ConsumerTest, AClaimThatWasDeliveredBeforeMayExist) {
  Deliver("ann", "tv", /*deliveries=*/1);
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_TRUE(tries_[0].may_exist);
  Take().done(quota::Sold{.reservation = {}, .replayed = true});
  EXPECT_THAT(Outcomes(), ElementsAre(Pair("replayed", 1)));
}

TEST_F(ConsumerTest, WhatCannotBeReadIsDead) {
  const uint64_t tag = DeliverText("\xff\xff");
  EXPECT_EQ(source_.Of(tag), Settlement::kDead);
  EXPECT_TRUE(tries_.empty());
  EXPECT_THAT(Outcomes(), ElementsAre(Pair("dead", 1)));
}

TEST_F(ConsumerTest, ARefusalForGoodIsNotedAndThenDone) {
  for (const Refusal refusal : {Refusal::kSoldOut, Refusal::kInsufficientUnits, Refusal::kUserLimitReached,
                                Refusal::kQuantityAboveUserLimit, Refusal::kSaleClosed, Refusal::kDrawDecides}) {
    const uint64_t tag = Deliver("ann");
    Refuse(refusal);
    EXPECT_EQ(source_.Of(tag), std::nullopt) << "the ledger does not know it yet";
    ASSERT_EQ(books_.calls.size(), 1u);
    EXPECT_EQ(books_.calls[0].shard, "home");
    EXPECT_EQ(books_.calls[0].batch.at(0).refusal, refusal);
    EXPECT_EQ(books_.calls[0].batch.at(0).claim.user_id, "ann");
    books_.Answer(RefuseOutcome::kRefused);
    EXPECT_EQ(source_.Of(tag), Settlement::kDone);
  }
  EXPECT_EQ(Outcomes()["SOLD_OUT"], 1);
  EXPECT_EQ(Outcomes().size(), 6u);
}

TEST_F(ConsumerTest, AClaimForAPausedSkuWaitsUntilItIsResumed) {
  const uint64_t tag = Deliver("ann");
  for (int i = 0; i < 50; ++i) {
    Refuse(Refusal::kSalePaused);
    Wait();
  }
  EXPECT_EQ(source_.Of(tag), std::nullopt);
  EXPECT_TRUE(books_.calls.empty());
  Sell();
  EXPECT_EQ(source_.Of(tag), Settlement::kDone);
}

TEST_F(ConsumerTest, AClaimThatWaitsForAResumeOrAnOpeningIsRefusedAtItsDeadline) {
  for (const Refusal refusal : {Refusal::kSalePaused, Refusal::kSaleNotOpen}) {
    claims_last_ = absl::Seconds(10);
    const uint64_t tag = Deliver("ann");
    Refuse(refusal);
    Wait(absl::Seconds(10));
    EXPECT_TRUE(tries_.empty());
    ASSERT_EQ(books_.calls.size(), 1u);
    EXPECT_EQ(books_.calls[0].batch.at(0).refusal, Refusal::kDeadlinePassed);
    books_.Answer(RefuseOutcome::kRefused);
    EXPECT_EQ(source_.Of(tag), Settlement::kDone);
  }
}

// A quarter of 8 waits for as long as it takes.
TEST_F(ConsumerTest, OfAPausedSkuTheFirstClaimsWaitAndTheOthersMakeRoom) {
  std::vector<uint64_t> tags;
  for (const char* const user : {"ann", "bob", "cid", "dan"}) tags.push_back(Deliver(user));
  for (size_t i = 0; i < tags.size(); ++i) Refuse(Refusal::kSalePaused);
  EXPECT_TRUE(books_.calls.empty())
      << "the others may be here because it was resumed, and this process hears of it late";
  Wait(kHearsOfResume);
  for (size_t i = 0; i < tags.size(); ++i) Refuse(Refusal::kSalePaused);
  size_t noted = 0;
  while (!books_.calls.empty()) {
    for (const storage::ClaimRefusal& refused : books_.calls[0].batch) {
      EXPECT_EQ(refused.refusal, Refusal::kSalePaused);
      EXPECT_THAT(refused.claim.user_id, ::testing::AnyOf("cid", "dan"));
      ++noted;
    }
    books_.Answer(RefuseOutcome::kRefused);
  }
  EXPECT_EQ(noted, 2u);
  EXPECT_EQ(source_.Of(tags[0]), std::nullopt);
  EXPECT_EQ(source_.Of(tags[1]), std::nullopt);

  Wait();
  Sell();
  Refuse(Refusal::kSalePaused);
  const uint64_t later = Deliver("eve");
  Refuse(Refusal::kSalePaused);
  Wait(kHearsOfResume);
  Refuse(Refusal::kSalePaused);
  Refuse(Refusal::kSalePaused);
  EXPECT_EQ(source_.Of(later), std::nullopt) << "a place had become free";
  EXPECT_TRUE(books_.calls.empty());
}

TEST_F(ConsumerTest, WhatWasQueuedBeforeItsSkuWasPausedMakesRoomAtOnce) {
  Deliver("ann");
  Deliver("bob");
  Refuse(Refusal::kSalePaused);
  Refuse(Refusal::kSalePaused);
  const QueuedClaim before{.lines = {Line("cid", "tv")},
                           .cart = false,
                           .enqueued_at = clock_.Now() - absl::Seconds(1),
                           .deadline = clock_.Now() + absl::Minutes(10)};
  clock_.AdvanceBy(kHearsOfResume);
  DeliverText(ToMessage(before));
  Deliver("dan");
  Refuse(Refusal::kSalePaused);
  Refuse(Refusal::kSalePaused);
  ASSERT_EQ(books_.calls.size(), 1u);
  ASSERT_EQ(books_.calls[0].batch.size(), 1u) << "a node queued dan's meanwhile: it knows of a resume";
  EXPECT_EQ(books_.calls[0].batch[0].claim.user_id, "cid");
}

TEST_F(ConsumerTest, APausedSkuIsInNobodyElsesWay) {
  for (const char* const user : {"ann", "bob", "cid"}) {
    Deliver(user);
    Refuse(Refusal::kSalePaused);
  }
  const uint64_t other = Deliver("dan", "radio");
  Sell();
  EXPECT_EQ(source_.Of(other), Settlement::kDone);
  Deliver("eve", "radio");
  Refuse(Refusal::kSalePaused);
  Wait(kHearsOfResume);
  for (int i = 0; i < 4; ++i) Refuse(Refusal::kSalePaused);
  ASSERT_EQ(books_.calls.size(), 1u);
  ASSERT_EQ(books_.calls[0].batch.size(), 1u) << "each SKU has its own bound";
  EXPECT_EQ(books_.calls[0].batch[0].claim.user_id, "cid");
}

// A half of 8.
TEST_F(ConsumerTest, PausedSkusTogetherLeaveRoomInTheirQueue) {
  for (const char* const user : {"ann", "bob"}) {
    for (const char* const sku : {"tv", "radio"}) {
      Deliver(user, sku);
      Refuse(Refusal::kSalePaused);
    }
  }
  Deliver("cid", "phone");
  Refuse(Refusal::kSalePaused);
  Deliver("dan", "lamp", 0, "tranche.claims.home.1");
  Refuse(Refusal::kSalePaused);
  Wait(kHearsOfResume);
  ASSERT_EQ(tries_.size(), 6u);
  while (!tries_.empty()) Refuse(Refusal::kSalePaused);
  ASSERT_EQ(books_.calls.size(), 1u);
  ASSERT_EQ(books_.calls[0].batch.size(), 1u) << "another queue has room of its own";
  EXPECT_EQ(books_.calls[0].batch[0].claim.user_id, "cid");
}

TEST_F(ConsumerTest, OneThatTurnsOutToBeSoldIsDone) {
  const uint64_t tag = Deliver("ann");
  Refuse(Refusal::kSoldOut);
  books_.Answer(RefuseOutcome::kSold);
  EXPECT_EQ(source_.Of(tag), Settlement::kDone);
  EXPECT_THAT(Outcomes(), ElementsAre(Pair("replayed", 1)));
}

TEST_F(ConsumerTest, WhatTheLedgerCanKeepNoRowOfIsDone) {
  const uint64_t tag = Deliver("ann");
  Refuse(Refusal::kReservationIdReused);
  EXPECT_EQ(source_.Of(tag), Settlement::kDone);
  EXPECT_TRUE(books_.calls.empty());
  EXPECT_THAT(Outcomes(), ElementsAre(Pair("RESERVATION_ID_REUSED", 1)));
}

// Another cluster's, whose queues are at the same broker: it must not vanish.
TEST_F(ConsumerTest, AClaimForASkuThatDoesNotExistIsDead) {
  const uint64_t tag = Deliver("ann");
  Refuse(Refusal::kSkuNotFound);
  EXPECT_EQ(source_.Of(tag), Settlement::kDead);
  const uint64_t cart = DeliverLines({Line("bob", "tv"), Line("bob", "radio")}, /*cart=*/true);
  Refuse(Refusal::kSkuNotFound);
  EXPECT_EQ(source_.Of(cart), Settlement::kDead);
  EXPECT_TRUE(books_.calls.empty()) << "nor is any line refused";
  claims_last_ = absl::Seconds(-1);
  const uint64_t late = Deliver("cid");
  books_.Answer(RefuseOutcome::kSkuNotFound);
  EXPECT_EQ(source_.Of(late), Settlement::kDead);
  EXPECT_THAT(Outcomes(), ElementsAre(Pair("dead", 3)));
}

TEST_F(ConsumerTest, AClaimAfterItsDeadlineIsRefusedUntried) {
  claims_last_ = absl::Seconds(-1);
  const uint64_t tag = Deliver("ann");
  EXPECT_TRUE(tries_.empty());
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.at(0).refusal, Refusal::kDeadlinePassed);
  books_.Answer(RefuseOutcome::kRefused);
  EXPECT_EQ(source_.Of(tag), Settlement::kDone);
}

TEST_F(ConsumerTest, NoTryLastsLongerThanItsClaim) {
  claims_last_ = absl::Seconds(1);
  Deliver("ann");
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_EQ(tries_[0].deadline, clock_.Now() + absl::Seconds(1));
}

TEST_F(ConsumerTest, WhatTimeMendsIsTriedAgainInItsPlace) {
  for (const Refusal refusal : {Refusal::kExhaustedHere, Refusal::kOverloaded, Refusal::kSkuMoving,
                                Refusal::kServiceLimited, Refusal::kDraining, Refusal::kDeadlinePassed,
                                Refusal::kQueueUnavailable, Refusal::kRateLimited, Refusal::kSaleNotOpen}) {
    const uint64_t tag = Deliver("ann");
    Refuse(refusal);
    EXPECT_TRUE(tries_.empty()) << "not at once";
    EXPECT_EQ(source_.Of(tag), std::nullopt);
    Wait();
    Sell();
    EXPECT_EQ(source_.Of(tag), Settlement::kDone);
  }
  EXPECT_TRUE(books_.calls.empty());
  EXPECT_EQ(consumer_.counts().retried.value(), 9);
}

TEST_F(ConsumerTest, PausesGrowAndAreBounded) {
  Deliver("ann");
  absl::Duration last;
  for (int i = 0; i < 10; ++i) {
    Refuse(Refusal::kExhaustedHere);
    last = absl::ZeroDuration();
    while (tries_.empty() && last < absl::Seconds(5)) {
      Wait(absl::Milliseconds(5));
      last += absl::Milliseconds(5);
    }
    if (i == 0) {
      EXPECT_LE(last, kShortestPause);
    }
  }
  EXPECT_GE(last, kLongestPause / 2);
  EXPECT_LE(last, kLongestPause + absl::Milliseconds(5));
}

TEST_F(ConsumerTest, AfterALostAnswerTheNextTryLooks) {
  Deliver("ann");
  Refuse(Refusal::kCommitUnknown);
  Wait();
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_TRUE(tries_[0].may_exist);
}

TEST_F(ConsumerTest, AClaimThatMeetsFaultsOnlyGoesBack) {
  const uint64_t tag = Deliver("ann");
  for (int i = 0; i < kMostInternalErrors; ++i) {
    EXPECT_EQ(source_.Of(tag), std::nullopt) << i;
    Refuse(Refusal::kInternal);
    Wait();
  }
  EXPECT_EQ(source_.Of(tag), Settlement::kRequeue);
  EXPECT_THAT(Outcomes(), ElementsAre(Pair("requeued", 1)));
}

TEST_F(ConsumerTest, WhatIsHeldForLongGoesBackBeforeTheBrokerMinds) {
  claims_last_ = absl::Hours(1);
  const uint64_t tag = Deliver("ann");
  Refuse(Refusal::kExhaustedHere);
  Wait(kHoldDelivery - absl::Seconds(1));
  EXPECT_EQ(source_.Of(tag), std::nullopt);
  Refuse(Refusal::kExhaustedHere);
  Wait(absl::Seconds(1));
  EXPECT_EQ(source_.Of(tag), Settlement::kRequeue);
}

TEST_F(ConsumerTest, ABuyersOwnClaimsComeOneAfterTheOther) {
  const uint64_t first = Deliver("ann");
  const uint64_t second = Deliver("ann");
  Deliver("ann", "radio");
  Deliver("bob");
  EXPECT_EQ(tries_.size(), 3u) << "another SKU and another buyer wait for nobody";
  Refuse(Refusal::kExhaustedHere);
  EXPECT_EQ(tries_.size(), 2u) << "the second one does not overtake the first";
  tries_.clear();
  Wait();
  Sell();
  EXPECT_EQ(source_.Of(first), Settlement::kDone);
  ASSERT_EQ(tries_.size(), 1u);
  Sell();
  EXPECT_EQ(source_.Of(second), Settlement::kDone);
}

TEST_F(ConsumerTest, ARefusedOneIsNotedBeforeTheBuyersNext) {
  Deliver("ann");
  Deliver("ann");
  Refuse(Refusal::kSoldOut);
  EXPECT_TRUE(tries_.empty());
  books_.Answer(RefuseOutcome::kRefused);
  EXPECT_EQ(tries_.size(), 1u);
}

TEST_F(ConsumerTest, ACartTakesTurnsWithClaimsForEachOfItsSkus) {
  Deliver("ann", "radio");
  const uint64_t cart = DeliverLines({Line("ann", "tv"), Line("ann", "radio"), Line("ann", "tv")}, /*cart=*/true);
  Deliver("ann", "tv");
  ASSERT_EQ(tries_.size(), 1u);
  Sell();
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_EQ(tries_[0].lines.size(), 3u);
  Sell();
  EXPECT_EQ(source_.Of(cart), Settlement::kDone);
  EXPECT_EQ(tries_.size(), 1u) << "the last one's turn";
}

TEST_F(ConsumerTest, AllLinesOfACartAreNoted) {
  const uint64_t tag = DeliverLines({Line("ann", "tv"), Line("ann", "radio")}, /*cart=*/true);
  Refuse(Refusal::kReservationIdReused);
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.size(), 2u);
  books_.Answer(RefuseOutcome::kConflict);
  EXPECT_EQ(source_.Of(tag), Settlement::kDone);
}

TEST_F(ConsumerTest, WhatIsLostIsForgotten) {
  const uint64_t lost = Deliver("ann");
  const uint64_t refused = Deliver("bob");
  const uint64_t other = Deliver("cid", "tv", 0, "tranche.claims.home.1");
  Try late = Take();
  Refuse(Refusal::kSoldOut);
  consumer_.OnLost("tranche.claims.home.0");
  EXPECT_EQ(consumer_.held(), 1u);
  EXPECT_EQ(Outcomes()["lost"], 2);
  late.done(quota::Sold{});
  books_.Answer(RefuseOutcome::kRefused);
  EXPECT_EQ(source_.Of(lost), std::nullopt) << "its tag may be another's by now";
  EXPECT_EQ(source_.Of(refused), std::nullopt);
  Sell();
  EXPECT_EQ(source_.Of(other), Settlement::kDone);
}

TEST_F(ConsumerTest, ADrainDecidesWhatIsUnderWayAndGivesTheRestBack) {
  const uint64_t under_way = Deliver("ann");
  const uint64_t waits = Deliver("bob");
  Try one = Take();
  Refuse(Refusal::kExhaustedHere);
  std::thread drain([this] { consumer_.Drain(absl::InfiniteDuration()); });
  // It goes back at once; the other one is waited for.
  while (consumer_.held() > 1) std::this_thread::yield();
  one.done(quota::Sold{});
  drain.join();
  EXPECT_TRUE(source_.paused);
  EXPECT_EQ(source_.Of(under_way), Settlement::kDone);
  EXPECT_EQ(source_.Of(waits), Settlement::kRequeue);
  EXPECT_EQ(consumer_.held(), 0u);
}

TEST_F(ConsumerTest, ADrainGivesBackWhatIsNotDecidedInTime) {
  const uint64_t tag = Deliver("ann");
  Try one = Take();
  consumer_.Drain(absl::ZeroDuration());
  EXPECT_EQ(source_.Of(tag), Settlement::kRequeue);
  one.done(quota::Sold{});
  EXPECT_EQ(source_.order.size(), 1u);
  EXPECT_EQ(source_.Of(Deliver("bob")), Settlement::kRequeue) << "one that was on its way";
}

TEST_F(ConsumerTest, PauseAndDrainTogetherStopTheSource) {
  consumer_.SetPaused(true);
  EXPECT_TRUE(source_.paused);
  consumer_.SetDraining(true);
  consumer_.SetPaused(false);
  EXPECT_TRUE(source_.paused);
  consumer_.SetDraining(false);
  EXPECT_FALSE(source_.paused);
  Deliver("bob");
  EXPECT_EQ(tries_.size(), 1u);
}

TEST_F(ConsumerTest, WhilePausedNoSaleBegins) {
  const uint64_t under_way = Deliver("ann");
  const uint64_t waits = Deliver("bob");
  Try one = Take();
  Refuse(Refusal::kExhaustedHere);
  consumer_.SetPaused(true);
  EXPECT_NE(consumer_.oldest_held_since(), std::nullopt);
  const uint64_t late = Deliver("cid");
  Wait();
  EXPECT_TRUE(tries_.empty());
  one.done(quota::Sold{});
  EXPECT_EQ(consumer_.oldest_held_since(), std::nullopt) << "who waits for a resume is no fault";
  EXPECT_EQ(source_.Of(under_way), Settlement::kDone) << "what had begun ends";
  consumer_.SetPaused(false);
  ASSERT_EQ(tries_.size(), 2u) << "they need not wait for the next tick";
  Sell();
  Sell();
  EXPECT_EQ(source_.Of(waits), Settlement::kDone);
  EXPECT_EQ(source_.Of(late), Settlement::kDone);
}

TEST_F(ConsumerTest, WhilePausedRefusalsAndDeadlinesAreNoted) {
  const uint64_t refused = Deliver("ann");
  Refuse(Refusal::kSoldOut);
  consumer_.SetPaused(true);
  books_.Fail(absl::ResourceExhaustedError("too many calls wait for the ledger"));
  Wait();
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.at(0).refusal, Refusal::kSoldOut);
  books_.Answer(RefuseOutcome::kRefused);
  EXPECT_EQ(source_.Of(refused), Settlement::kDone);

  claims_last_ = absl::Seconds(10);
  const uint64_t expires = Deliver("bob");
  Wait(absl::Seconds(10));
  EXPECT_TRUE(tries_.empty());
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.at(0).refusal, Refusal::kDeadlinePassed);
  books_.Answer(RefuseOutcome::kRefused);
  EXPECT_EQ(source_.Of(expires), Settlement::kDone);
}

TEST_F(ConsumerTest, TellsSinceWhenTheOldestIsHeld) {
  EXPECT_EQ(consumer_.oldest_held_since(), std::nullopt);
  const absl::Time began = clock_.Now();
  Deliver("ann");
  clock_.AdvanceBy(absl::Seconds(3));
  Deliver("bob");
  EXPECT_EQ(consumer_.oldest_held_since(), began);
  Refuse(Refusal::kSalePaused);
  EXPECT_EQ(consumer_.oldest_held_since(), clock_.Now()) << "who waits for a resume is no fault";
  Refuse(Refusal::kSalePaused);
  EXPECT_EQ(consumer_.oldest_held_since(), std::nullopt);
}

}  // namespace
}  // namespace tranche::server
