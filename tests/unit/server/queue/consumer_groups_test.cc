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
  uint64_t Open(const std::string& user, uint8_t group = 1) { return DeliverJoin(user, group, "trio"); }
  uint64_t Join(const std::string& user, uint8_t group = 1) { return DeliverJoin(user, group, ""); }

 private:
  uint64_t DeliverJoin(const std::string& user, uint8_t group, const std::string& offer_id) {
    storage::ReservationClaim claim = Line(user, "tv");
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

// A quarter of 8. Otherwise those who join groups that do not exist would keep everybody else waiting.
TEST_F(ConsumerGroupsTest, OnlySoManyWaitForTheirGroup) {
  Join("ann");
  Join("bob");
  Join("cid");
  for (int i = 0; i < 3; ++i) Refuse(Refusal::kGroupNotFound);
  ASSERT_EQ(books_.calls.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.at(0).claim.user_id, "cid");
  books_.Answer(RefuseOutcome::kRefused);
  Wait(kAwaitOpening);
  Sell();
  Join("dan");
  Refuse(Refusal::kGroupNotFound);  // bob's
  Refuse(Refusal::kGroupNotFound);  // dan's
  ASSERT_EQ(books_.calls.size(), 1u) << "ann's place has become free";
  EXPECT_EQ(books_.calls[0].batch.size(), 1u);
  EXPECT_EQ(books_.calls[0].batch.at(0).claim.user_id, "bob");
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
