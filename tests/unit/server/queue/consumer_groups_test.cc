// Queued claims that open and join groups: which of them wait for each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/unit/server/queue/consumer_fixture.h"

namespace tranche::server {
namespace {

using storage::Refusal;
using storage::RefuseOutcome;

class ConsumerGroupsTest : public ConsumerTest {
 protected:
  uint64_t Open(const std::string& user, uint8_t group = 1) { return DeliverJoin(user, group, "trio", "tv"); }
  uint64_t Join(const std::string& user, uint8_t group = 1, const std::string& sku = "tv") {
    return DeliverJoin(user, group, "", sku);
  }

 private:
  uint64_t DeliverJoin(const std::string& user, uint8_t group, const std::string& offer_id, const std::string& sku) {
    storage::ReservationClaim claim = Line(user, sku);
    storage::GroupJoin join{.group_id = {}, .offer_id = offer_id};
    join.group_id.bytes[15] = group;
    claim.group = std::make_shared<const storage::GroupJoin>(join);
    return DeliverLines({claim}, /*cart=*/false);
  }
};

TEST_F(ConsumerGroupsTest, AJoinIsSoldAsTheJoinThatItIs) {
  const uint64_t tag = Open("ann");
  ASSERT_EQ(tries_.size(), 1u);
  const storage::ReservationClaim& claim = tries_[0].lines.at(0);
  EXPECT_EQ(claim.user_id, "ann");
  ASSERT_NE(claim.group, nullptr);
  EXPECT_EQ(claim.group->group_id.bytes[15], 1);
  EXPECT_EQ(claim.group->offer_id, "trio");
  Sell();
  EXPECT_EQ(source_.Of(tag), Settlement::kDone);
}

// Tried at the same time, they would find no group, and be refused for good.
TEST_F(ConsumerGroupsTest, JoinsAreTriedWhenTheOpeningBeforeThemIsDecided) {
  Open("ann");
  Join("bob");
  Join("cid");
  Join("dan", /*group=*/2);
  Deliver("eve");
  ASSERT_EQ(tries_.size(), 3u) << "another group and who joins none wait for nobody";
  EXPECT_EQ(tries_[1].user(), "dan");
  EXPECT_EQ(tries_[2].user(), "eve");
  Sell();
  ASSERT_EQ(tries_.size(), 4u) << "both at once";
  EXPECT_EQ(tries_[2].user(), "bob");
  EXPECT_EQ(tries_[3].user(), "cid");
}

TEST_F(ConsumerGroupsTest, AnOpeningThatIsTriedAgainKeepsTheJoinsBehindItWaiting) {
  Open("ann");
  Join("bob");
  Refuse(Refusal::kExhaustedHere);
  EXPECT_TRUE(tries_.empty());
  Wait();
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_EQ(tries_[0].user(), "ann");
  Refuse(Refusal::kOfferClosed);
  EXPECT_TRUE(tries_.empty()) << "the ledger does not know it yet";
  books_.Answer(RefuseOutcome::kRefused);
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_EQ(tries_[0].user(), "bob");
}

TEST_F(ConsumerGroupsTest, AnOpeningWaitsForNobodyElsesJoin) {
  Join("bob");
  Open("ann");
  Open("cid");
  EXPECT_EQ(tries_.size(), 3u) << "friends may open their group together";
  Sell();
  Join("dan");
  ASSERT_EQ(tries_.size(), 2u);
  Sell();
  EXPECT_EQ(tries_.size(), 1u) << "there is another opening before it";
  Sell();
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_EQ(tries_[0].user(), "dan");
}

TEST_F(ConsumerGroupsTest, WhatIsLostIsWaitedForByNobody) {
  Open("ann");
  consumer_.OnLost("tranche.claims.home.0");
  Take().done(quota::Sold{});
  Join("bob");
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_EQ(tries_[0].user(), "bob");
}

// Another consumer may have its opening.
TEST_F(ConsumerGroupsTest, WhoFindsNoGroupIsTriedAgainForAMoment) {
  const uint64_t tag = Join("bob");
  Refuse(Refusal::kGroupNotFound);
  EXPECT_TRUE(books_.calls.empty());
  Wait(kAwaitOpening - absl::Milliseconds(1));
  Sell();
  EXPECT_EQ(source_.Of(tag), Settlement::kDone);

  const uint64_t nowhere = Join("cid", /*group=*/2);
  Refuse(Refusal::kGroupNotFound);
  Wait(kAwaitOpening);
  Refuse(Refusal::kGroupNotFound);
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.at(0).refusal, Refusal::kGroupNotFound);
  books_.Answer(RefuseOutcome::kRefused);
  EXPECT_EQ(source_.Of(nowhere), Settlement::kDone);
  EXPECT_EQ(Outcomes()["GROUP_NOT_FOUND"], 1);
}

// Less would not outlast one try of another consumer's.
TEST_F(ConsumerGroupsTest, AnOpeningAtAnotherConsumerHasTimeForOneTryInVain) {
  EXPECT_EQ(kAwaitOpening, kHearsOfResume + kTryQueuedClaim + kLongestPause);
}

// An eighth of 8 for a SKU, a quarter for all of a queue. Otherwise those who join groups that do not exist would keep
// everybody else waiting.
TEST_F(ConsumerGroupsTest, OnlySoManyWaitForTheirGroup) {
  Join("ann");
  Join("bob");
  Join("cid", /*group=*/1, "radio");
  Join("dan", /*group=*/1, "phone");
  ASSERT_EQ(tries_.size(), 4u);
  for (int i = 0; i < 4; ++i) Refuse(Refusal::kGroupNotFound);
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.at(0).claim.user_id, "bob") << "another SKU has room of its own";
  books_.Answer(RefuseOutcome::kRefused);
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.at(0).claim.user_id, "dan") << "the queue has no more";
  books_.Answer(RefuseOutcome::kRefused);
  EXPECT_EQ(consumer_.held(), 2u);
  Wait();
  ASSERT_EQ(tries_.size(), 2u);
  Sell();                           // ann's
  Refuse(Refusal::kGroupNotFound);  // cid's
  Join("eve");
  Refuse(Refusal::kGroupNotFound);
  EXPECT_TRUE(books_.calls.empty()) << "ann's place has become free";
}

TEST_F(ConsumerGroupsTest, WhoIsToldSomethingElseGivesTheirPlaceToOthers) {
  Join("bob");
  Refuse(Refusal::kGroupNotFound);
  Wait();
  Refuse(Refusal::kSalePaused);
  Join("cid", /*group=*/2);
  Refuse(Refusal::kGroupNotFound);
  EXPECT_TRUE(books_.calls.empty()) << "bob waits for a resume, and takes a place of those who do";
  Wait();
  ASSERT_EQ(tries_.size(), 2u);
  Refuse(Refusal::kGroupNotFound);
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.at(0).claim.user_id, "bob");
}

TEST_F(ConsumerGroupsTest, WhoIsToldSomethingElseLooksForTheirGroupAnew) {
  for (const Refusal other : {Refusal::kSalePaused, Refusal::kExhaustedHere, Refusal::kLedgerUnavailable,
                              Refusal::kCommitUnknown, Refusal::kSkuMoving, Refusal::kInternal}) {
    const uint64_t tag = Join("bob");
    Refuse(Refusal::kGroupNotFound);
    Wait(kAwaitOpening - absl::Milliseconds(1));
    Refuse(other);
    Wait();
    Refuse(Refusal::kGroupNotFound);
    EXPECT_TRUE(books_.calls.empty()) << "nobody could open it meanwhile: " << static_cast<int>(other);
    Wait();
    Sell();
    EXPECT_EQ(source_.Of(tag), Settlement::kDone) << static_cast<int>(other);
  }
}

TEST_F(ConsumerGroupsTest, NobodyWaitsForTheirGroupWhileSalesRest) {
  Join("bob");
  Refuse(Refusal::kGroupNotFound);
  consumer_.SetPaused(true);
  Wait(kAwaitOpening);
  EXPECT_TRUE(tries_.empty());
  consumer_.SetPaused(false);
  Refuse(Refusal::kGroupNotFound);
  EXPECT_TRUE(books_.calls.empty()) << "who has its opening goes on just now, too";
  Wait(kAwaitOpening);
  Refuse(Refusal::kGroupNotFound);
  EXPECT_EQ(books_.calls.size(), 1u);
}

TEST_F(ConsumerGroupsTest, NobodyWaitsForTheirGroupWhileTheLedgerIsAway) {
  Deliver("ann");
  Join("bob");
  Try first = Take();
  Refuse(Refusal::kGroupNotFound);
  first.done(quota::Refused{.refusal = Refusal::kLedgerUnavailable});
  Wait(kAwaitOpening);
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_EQ(tries_[0].user(), "ann") << "one claim asks for all";
  Sell();
  Wait(absl::Milliseconds(1));
  Refuse(Refusal::kGroupNotFound);
  EXPECT_TRUE(books_.calls.empty()) << "no other consumer has reached it, either";
}

TEST_F(ConsumerGroupsTest, WithoutAPlaceAJoinWaitsForAnOpeningThatIsHere) {
  Join("ann", /*group=*/2);
  Refuse(Refusal::kGroupNotFound);  // it has the SKU's place
  const uint64_t tag = Join("bob");
  Open("cid");
  ASSERT_EQ(tries_.size(), 2u);
  Refuse(Refusal::kGroupNotFound);
  EXPECT_TRUE(books_.calls.empty());
  Sell();  // cid's
  Wait();
  ASSERT_EQ(tries_.size(), 2u);
  Refuse(Refusal::kGroupNotFound);  // ann's
  Sell();
  EXPECT_EQ(source_.Of(tag), Settlement::kDone);
  Join("dan");
  Refuse(Refusal::kGroupNotFound);
  ASSERT_EQ(books_.calls.size(), 1u) << "nobody opens it here any more";
  EXPECT_EQ(books_.calls[0].batch.at(0).claim.user_id, "dan");
}

// Their opening has its turn after their join: each would wait for the other.
TEST_F(ConsumerGroupsTest, WithoutAPlaceNobodyWaitsForTheirOwnOpening) {
  Join("ann", /*group=*/2);
  Refuse(Refusal::kGroupNotFound);
  Join("bob");
  Open("bob");
  ASSERT_EQ(tries_.size(), 1u);
  Refuse(Refusal::kGroupNotFound);
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.at(0).claim.user_id, "bob");
  books_.Answer(RefuseOutcome::kRefused);
  ASSERT_EQ(tries_.size(), 1u);
  EXPECT_EQ(tries_[0].lines.at(0).group->offer_id, "trio");
}

// A quarter of 8. What is not tried is not refused, either: joins of a paused SKU could keep all others out.
TEST_F(ConsumerGroupsTest, OnlySoManyWaitForAnOpening) {
  Open("ann");
  Join("bob");
  Join("cid");
  Join("dan");
  ASSERT_EQ(tries_.size(), 2u);
  EXPECT_EQ(tries_[1].user(), "dan");
  Refuse(Refusal::kSalePaused);
  Refuse(Refusal::kSalePaused);
  Join("eve");
  Refuse(Refusal::kSalePaused);
  Wait(kHearsOfResume);
  ASSERT_EQ(tries_.size(), 3u);
  for (int i = 0; i < 3; ++i) Refuse(Refusal::kSalePaused);
  ASSERT_EQ(books_.calls.size(), 1u);
  ASSERT_EQ(books_.calls[0].batch.size(), 1u) << "a quarter waits for the resume, too";
  EXPECT_EQ(books_.calls[0].batch[0].claim.user_id, "eve");

  Wait();
  ASSERT_EQ(tries_.size(), 2u);
  Sell();  // ann's
  ASSERT_EQ(tries_.size(), 3u);
  EXPECT_EQ(tries_[1].user(), "bob");
  EXPECT_EQ(tries_[2].user(), "cid");
  Open("fay", /*group=*/2);
  Join("gus", /*group=*/2);
  EXPECT_EQ(tries_.size(), 4u) << "there is room again to wait for an opening";
}

TEST_F(ConsumerGroupsTest, EveryOtherRefusalOfAJoinIsItsDecision) {
  for (const Refusal refusal : {Refusal::kGroupOver, Refusal::kGroupFull, Refusal::kAlreadyInGroup}) {
    Join("ann");
    Refuse(refusal);
    ASSERT_EQ(books_.calls.size(), 1u);
    EXPECT_EQ(books_.calls[0].batch.at(0).refusal, refusal);
    books_.Answer(RefuseOutcome::kRefused);
  }
  for (const Refusal refusal :
       {Refusal::kOfferNotFound, Refusal::kOfferClosed, Refusal::kTooManyGroups, Refusal::kGroupNotFound}) {
    Open("ann");
    Refuse(refusal);
    ASSERT_EQ(books_.calls.size(), 1u) << "also of who opens a group whose id is another's";
    EXPECT_EQ(books_.calls[0].batch.at(0).refusal, refusal);
    books_.Answer(RefuseOutcome::kRefused);
  }
  EXPECT_EQ(consumer_.held(), 0u);
}

}  // namespace
}  // namespace tranche::server
