// How the balancer brings units to where the buyers are.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/unit/quota/balancer_fixture.h"

namespace tranche::quota {
namespace {

using storage::kPool;
using Units = std::vector<int64_t>;

using BalancerDemandTest = BalancerTest;

TEST_F(BalancerDemandTest, ADryNodesDemandMovesUnitsFromAnIdleOne) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  Buy(a, 5);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_EQ((Units{Left(a.id), Left(b.id)}), (Units{0, 5}));  // without a demand nothing moves
  ReportDemand(a, /*wanted=*/1);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{5, 0, 0})) << "where the buyers are";
  for (const Node* node : {&a, &b}) ExpectAnnounced(*node);
  // The report is still there, but what it asked for is on its way.
  const int64_t version = QuotaVersion();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(QuotaVersion(), version);
}

TEST_F(BalancerDemandTest, AConsumersDemandBringsItUnits) {
  CreateSku(100);
  const Node a = AddNode(), consumer = AddConsumer(), idle = AddConsumer();
  Round();
  ASSERT_EQ((Units{Left(a.id), Left(consumer.id)}), (Units{100, 0}));
  ReportDemand(consumer, /*wanted=*/1, /*grants_per_s=*/50);
  Round();
  EXPECT_GT(Left(consumer.id), 50) << "where the claims are";
  EXPECT_EQ(Left(idle.id), 0);
  ExpectAnnounced(consumer);
  EXPECT_TRUE(ledger_.Verify("")->violations.empty());
}

TEST_F(BalancerDemandTest, WhatAnIdleConsumerHasLeftIsTakenFirst) {
  CreateSku(20, "tv", /*presplit=*/false);
  const Node a = AddNode(), idle = AddNode(), consumer = AddConsumer();
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{idle.id, 10}, {consumer.id, 10}}, std::nullopt, "test").ok());
  Round();
  ReportDemand(a, /*wanted=*/1);
  Round();
  EXPECT_EQ((Units{Left(a.id), Left(idle.id), Left(consumer.id)}), (Units{8, 10, 2}));
}

TEST_F(BalancerDemandTest, BuyersOfTwoAreServedByGatheringLots) {
  CreateSku(4);
  const Node a = AddNode(), b = AddNode(), c = AddNode(), d = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_EQ((Units{Left(a.id), Left(b.id), Left(c.id), Left(d.id)}), (Units{1, 1, 1, 1}));
  ReportDemand(c, /*wanted=*/2);
  ReportDemand(d, /*wanted=*/2);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(c.id), Left(d.id)}), (Units{0, 0, 2, 2}));
  const int64_t version = QuotaVersion();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(QuotaVersion(), version);
}

TEST_F(BalancerDemandTest, WhenNobodyHasAUnitEverybodyIsTold) {
  CreateSku(2);
  const Node a = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_EQ(AnnouncedSku().unsold(), 2);
  Buy(a, 2);
  ReportDemand(a, /*wanted=*/1);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(AnnouncedSku().unsold(), 0);
  EXPECT_TRUE(AnnouncedSku().holds_may_lapse());
}

TEST_F(BalancerDemandTest, ThePoolComesBeforeOtherSlices) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  Buy(a, 5);
  ASSERT_TRUE(ledger_.AddStock("tv", 5, std::nullopt, "test").ok());
  ReportDemand(b, /*wanted=*/0, /*grants_per_s=*/2, /*free=*/5);
  ReportDemand(a, /*wanted=*/1, /*grants_per_s=*/2);
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{5, 5, 0}));
}

TEST_F(BalancerDemandTest, ABalancedSaleMovesNothing) {
  CreateSku(1000);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  Buy(a, 60);
  const int64_t version = QuotaVersion();
  for (int round = 0; round < 20; ++round) {
    clock_.AdvanceBy(absl::Seconds(1));
    ReportDemand(a, /*wanted=*/0, 100 + round % 3, Left(a.id), Held(a.id).version);
    ReportDemand(b, /*wanted=*/0, 90 + round % 5, Left(b.id), Held(b.id).version);
    Rounds();
  }
  EXPECT_EQ(QuotaVersion(), version);
}

// Two nodes sell, one much faster; both report all the time. Units travel a few times, and only in one direction.
TEST_F(BalancerDemandTest, UnitsDoNotTravelBackAndForth) {
  CreateSku(1000);
  const Node fast = AddNode(), slow = AddNode();
  Rounds();
  const int64_t version = QuotaVersion();
  int64_t to_slow = 0;
  int rounds = 0;
  for (; Unsold() > 0 && rounds < 500; ++rounds) {
    clock_.AdvanceBy(options_.poll_interval);
    for (const auto& [node, buyers] : {std::pair<const Node*, int64_t>{&fast, 18}, {&slow, 2}}) {
      const int64_t sold = std::min<int64_t>(buyers, Left(node->id));
      if (sold > 0) Buy(*node, static_cast<int32_t>(sold));
      const double rate = static_cast<double>(buyers) * 10;
      ReportDemand(*node, sold < buyers ? 1 : 0, rate, Left(node->id), Held(node->id).version);
    }
    const int64_t slow_before = Left(slow.id);
    Rounds();
    to_slow += std::max<int64_t>(0, Left(slow.id) - slow_before);
  }
  EXPECT_EQ(Unsold(), 0);
  EXPECT_LE(rounds, 60) << "20 buyers a round, and 1,000 units";
  EXPECT_LE(QuotaVersion() - version, 12) << "moves";
  EXPECT_LE(to_slow, 20);
}

TEST_F(BalancerDemandTest, TheLastUnitFindsTheOneBuyer) {
  std::vector<Node> nodes;
  for (int i = 0; i < 40; ++i) nodes.push_back(AddNode());
  Rounds();
  CreateSku(1);
  Rounds();
  const Node* holder = nullptr;
  for (const Node& node : nodes) {
    if (Left(node.id) == 1) holder = &node;
  }
  ASSERT_NE(holder, nullptr);
  const Node& buyer = holder == &nodes[17] ? nodes[18] : nodes[17];
  ReportDemand(buyer, /*wanted=*/1);
  Rounds();
  EXPECT_EQ(Left(buyer.id), 1);
  ExpectAnnounced(buyer);
  ExpectAnnounced(*holder);
}

// By the ledger, a node has units that its counter has given away already: their commits are under way.
TEST_F(BalancerDemandTest, UnitsInFlightDoNotServeTheNextBuyer) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  ASSERT_EQ(Left(a.id), 5);
  ReportDemand(a, /*wanted=*/1, 0, /*free=*/0, Held(a.id).version);
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id)}), (Units{10, 0}));
  // The same report: it has not heard of the move yet.
  const int64_t version = QuotaVersion();
  clock_.AdvanceBy(options_.demand_retry);
  Rounds();
  EXPECT_EQ(QuotaVersion(), version);
}

TEST_F(BalancerDemandTest, AnAnnouncementThatWasLostIsRepeatedWhileTheNodeAsks) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  const int64_t version = Held(a.id).version;
  Buy(a, 5);
  ReportDemand(a, /*wanted=*/1, 0, 0, version);
  Rounds();
  ASSERT_GE(Left(a.id), 1);
  internal::v1::SliceAnnouncement old;
  old.set_allotted(5);
  old.set_version(version);
  ASSERT_TRUE(operator_.tree().Set(SlicePath(a.id, "tv"), old.SerializeAsString(), kAnyVersion).ok());
  clock_.AdvanceBy(options_.demand_retry);
  ASSERT_LT(options_.demand_retry, options_.repair_interval);
  Rounds();
  ExpectAnnounced(a);
}

// It has applied an announcement that the ledger never made, and would not hear of a move.
TEST_F(BalancerDemandTest, ANodeThatGoesByAVersionAboveTheLedgersHearsOfItsUnits) {
  CreateSku(10);
  const Node a = AddNode();
  AddNode();
  Rounds();
  ReportDemand(a, /*wanted=*/1, 0, /*free=*/0, /*slice_version=*/1000);
  Rounds();
  EXPECT_GT(Held(a.id).version, 1000);
  ExpectAnnounced(a);
  const int64_t version = QuotaVersion();
  ReportDemand(a, /*wanted=*/0, 0, Left(a.id), Held(a.id).version);
  Rounds();
  EXPECT_EQ(QuotaVersion(), version);
}

TEST_F(BalancerDemandTest, WhatIsNotPresplitWaitsInThePoolUntilANodeAsks) {
  CreateSku(100, "tv", /*presplit=*/false);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{0, 0, 100}));
  EXPECT_FALSE(Exists(SlicePath(a.id, "tv"))) << "a long tail costs no znodes";
  ReportDemand(b, /*wanted=*/2);
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{0, 16, 84})) << "some lots, not everything";
  ExpectAnnounced(b);
  ReportDemand(a, /*wanted=*/1);
  ReportDemand(b, /*wanted=*/0, 1, Left(b.id), Held(b.id).version);
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{8, 16, 76}));
  const Node c = AddNode();
  Rounds();
  EXPECT_EQ(Left(c.id), 0) << "nor does a newcomer get a share";
}

TEST_F(BalancerDemandTest, SoldOutIsToldOnceAndTakenBackWhenStockIsAdded) {
  CreateSku(2);
  const Node a = AddNode();
  Rounds();
  Buy(a, 2);
  ReportDemand(a, /*wanted=*/1, 0, 0, Held(a.id).version);
  Rounds();
  ASSERT_EQ(AnnouncedSku().unsold(), 0);
  const int32_t written = operator_.tree().Get(SkuPath("tv"), Watch::kNo)->version;
  for (int round = 0; round < 5; ++round) {
    clock_.AdvanceBy(options_.repair_interval);
    Rounds();
  }
  EXPECT_EQ(operator_.tree().Get(SkuPath("tv"), Watch::kNo)->version, written);

  // Another process has read "sold out", too, and is slow.
  const storage::Sku late = *ledger_.GetSku("tv");
  ASSERT_TRUE(ledger_.AddStock("tv", 3, std::nullopt, "test").ok());
  Rounds();
  EXPECT_EQ(AnnouncedSku().unsold(), 3);
  EXPECT_EQ(Left(a.id), 3);
  ASSERT_TRUE(Announcer(&operator_).AnnounceSkus({late}).ok());
  EXPECT_EQ(AnnouncedSku().unsold(), 3) << "what is older does not replace what is newer";
}

TEST_F(BalancerDemandTest, TooFewUnitsForABuyersWishAreAnnounced) {
  CreateSku(20);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  Buy(a, 10);
  Buy(b, 9);
  EXPECT_FALSE(AnnouncedSku().has_at_most()) << "nobody has missed any";
  ReportDemand(a, /*wanted=*/2, 0, 0, Held(a.id).version);
  Rounds();
  EXPECT_EQ(AnnouncedSku().at_most(), 1);
  ASSERT_TRUE(ledger_.AddStock("tv", 30, std::nullopt, "test").ok());
  Rounds();
  EXPECT_FALSE(AnnouncedSku().has_at_most());
}

TEST_F(BalancerDemandTest, AClosedSkuMovesNoMore) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  Buy(a, 5);
  ASSERT_TRUE(ledger_.CloseSku("tv", "test").ok());
  const int64_t version = QuotaVersion();
  ReportDemand(a, /*wanted=*/1);
  const Node c = AddNode();
  Rounds();
  EXPECT_EQ(QuotaVersion(), version);
}

// There is demand for all of many SKUs at once.
TEST_F(BalancerDemandTest, ManyDrySkusAreServedBatchByBatch) {
  const Node a = AddNode(), b = AddNode();
  internal::v1::DemandReport report;
  for (int i = 0; i < 300; ++i) {
    const std::string sku_id = absl::StrCat("sku-", 1000 + i);
    CreateSku(10, sku_id, /*presplit=*/false);
    auto* demand = report.add_skus();
    demand->set_sku_id(sku_id);
    demand->set_wanted(1);
  }
  Report(a, report);
  Rounds();
  EXPECT_EQ(ledger_.ListSlices(a.id)->size(), 300u);
  EXPECT_EQ(operator_.tree().List(SlicesPath(a.id), Watch::kNo)->size(), 300u);
}

}  // namespace
}  // namespace tranche::quota
