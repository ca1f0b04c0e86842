// Faults in the middle of a sale, on real servers and real processes. Each test ends with a check of the books: every
// acknowledged reservation has its row, and no unit is sold twice or stranded.
#include <algorithm>
#include <pqxx/pqxx>
#include <string>

#include "gtest/gtest.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"

namespace tranche::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

class FaultTest : public SaleTest {
 protected:
  void StartCluster(int nodes, int balancers = 1) {
    MiniClusterOptions options;
    options.nodes = nodes;
    options.balancers = balancers;
    options.zookeeper_session_timeout = absl::Seconds(2);
    SaleTest::StartCluster(options);
  }

  // Sessions outlive what is tested. Node 0 stands still from now on, and node 1 is killed afterwards: when node 1's
  // units are at node 2, its session has not ended, since that of node 0, which was silent before, has not either.
  void StandStillAndKill(const std::string& sku) {
    const int64_t stopped = IncarnationOf(sku, "node-1");
    const int64_t killed = IncarnationOf(sku, "node-2");
    ASSERT_TRUE(stopped != 0 && killed != 0 && stopped != killed);
    ASSERT_TRUE(cluster_->SuspendNode(0).ok());
    ASSERT_TRUE(cluster_->KillNode(1).ok());
    const absl::Time give_up = absl::Now() + kPatience;
    while (Holds(sku, killed) && absl::Now() < give_up) RestBetweenLooks();
    EXPECT_FALSE(Holds(sku, killed));
    EXPECT_TRUE(Holds(sku, stopped)) << "the sessions have ended: nobody has seen that a process died";
    while (SeenDead() == 0 && absl::Now() < give_up) RestBetweenLooks();
    EXPECT_EQ(SeenDead(), 1) << cluster_->balancer(0).LogTail();
    ASSERT_TRUE(cluster_->ResumeNode(0).ok());
  }
  // As the balancer's log says.
  int SeenDead() { return cluster_->balancer(0).LogLinesWith("nothing listens there any more"); }
  bool Holds(const std::string& sku, int64_t incarnation) {
    const v1::Quota quota = QuotaOf(sku);
    return std::any_of(quota.slices().begin(), quota.slices().end(),
                       [&](const v1::Slice& slice) { return slice.incarnation() == incarnation; });
  }
  // 0: that node has no slice.
  int64_t IncarnationOf(const std::string& sku, const std::string& node) {
    const v1::Quota quota = QuotaOf(sku);
    for (const v1::Slice& slice : quota.slices()) {
      if (slice.node_name() == node) return slice.incarnation();
    }
    return 0;
  }

  // Buyers come until the SKU is sold out; then exactly its stock must be booked.
  void SellOut(Shoppers& shoppers, const std::string& sku, int64_t stock) {
    EXPECT_TRUE(shoppers.WaitForReason(Reason::kSoldOut, 20, kPatience))
        << "never sold out: " << QuotaOf(sku).ShortDebugString();
    shoppers.Stop();
    CheckBooks(shoppers, {sku});
    EXPECT_EQ(static_cast<int64_t>(RowsOf(sku).size()), stock) << "units are stranded, or sold twice";
  }
};

TEST_F(FaultTest, SellsExactlyTheStockOverAllNodes) {
  StartCluster(3);
  OpenSale("tv", 500);
  OpenSale("phone", 7);  // fewer units than some nodes will see buyers
  Shoppers shoppers(client_.get(), {"tv", "phone"}, 8);
  EXPECT_TRUE(shoppers.WaitForTotal(507, kPatience));
  EXPECT_TRUE(shoppers.WaitForReason(Reason::kSoldOut, 50, kPatience));
  shoppers.Stop();
  CheckBooks(shoppers, {"tv", "phone"});
  EXPECT_EQ(RowsOf("tv").size(), 500u);
  EXPECT_EQ(RowsOf("phone").size(), 7u);
}

// Field: "the node holding stock dies and its units are gone" (spikeSystem#6).
TEST_F(FaultTest, AKilledNodesUnitsAreSoldByTheOthers) {
  StartCluster(3);
  OpenSale("tv", 3000);
  Shoppers shoppers(client_.get(), {"tv"}, 8);
  ASSERT_TRUE(shoppers.WaitForMore(300, kPatience));
  ASSERT_TRUE(cluster_->KillNode(0).ok());
  SellOut(shoppers, "tv", 3000);
}

// The machine of a killed process says so; one that stands still says nothing, and keeps what it holds.
TEST_F(FaultTest, AKilledNodesUnitsAreElsewhereBeforeItsSessionEndsAndAStoppedOneKeepsItsOwn) {
  MiniClusterOptions options;
  options.nodes = 3;
  options.zookeeper_session_timeout = absl::Seconds(30);
  SaleTest::StartCluster(options);
  OpenSale("tv", 3000);
  WaitUntilShared("tv", 3000);
  const int64_t stopped = IncarnationOf("tv", "node-1");
  const auto others = ClientOf({cluster_->endpoint(1), cluster_->endpoint(2)});
  Shoppers shoppers(others.get(), {"tv"}, 8);
  ASSERT_TRUE(shoppers.WaitForMore(100, kPatience));
  StandStillAndKill("tv");
  SellOut(shoppers, "tv", 3000);
  EXPECT_EQ(IncarnationOf("tv", "node-1"), stopped);
}

// Home's balancer ends the incarnation; the other shard's sees that the registration has gone.
TEST_F(FaultTest, AKilledNodesUnitsOfEveryShardAreElsewhereBeforeItsSessionEnds) {
  MiniClusterOptions options;
  options.nodes = 3;
  options.shards = 1;
  options.zookeeper_session_timeout = absl::Seconds(30);
  SaleTest::StartCluster(options);
  OpenSale("tv", 300, absl::Minutes(15), "s1");
  WaitUntilShared("tv", 300);
  StandStillAndKill("tv");
  WaitUntilShared("tv", 300);
  CheckLedger();
}

// Field: "a node without a slice turns its users away" (spikeSystem#9).
TEST_F(FaultTest, ANodeThatJoinsInMidSaleSellsToo) {
  StartCluster(2);
  OpenSale("tv", 100000);
  Shoppers shoppers(client_.get(), {"tv"}, 4);
  ASSERT_TRUE(shoppers.WaitForMore(100, kPatience));
  const auto joined = cluster_->StartNode();
  ASSERT_TRUE(joined.ok()) << joined.status();
  const auto newcomer = ClientOf({cluster_->endpoint(*joined)});
  Shoppers its_buyers(newcomer.get(), {"tv"}, 2);
  // Other names than the first crowd's: the SKU's limit is one per buyer.
  EXPECT_TRUE(its_buyers.WaitForReason(Reason::kUserLimitReached, 1, kPatience) ||
              its_buyers.WaitForMore(1, kPatience));
  EXPECT_TRUE(shoppers.WaitForMore(1000, kPatience));
  shoppers.Stop();
  its_buyers.Stop();
  CheckLedger();
}

TEST_F(FaultTest, WithoutZookeeperNodesSellWhatTheyHold) {
  StartCluster(2);
  OpenSale("tv", 3000);
  Shoppers shoppers(client_.get(), {"tv"}, 8);
  ASSERT_TRUE(shoppers.WaitForMore(100, kPatience));
  ASSERT_TRUE(cluster_->zookeeper().Kill().ok());
  EXPECT_TRUE(shoppers.WaitForMore(1000, kPatience)) << "selling stopped with ZooKeeper";
  ASSERT_TRUE(cluster_->zookeeper().Start().ok());
  SellOut(shoppers, "tv", 3000);
}

// Field: "acknowledgement times out, the user is told 'failed', the order exists" (jseckill#19).
TEST_F(FaultTest, PostgresKilledAndRestartedLosesAndDoublesNothing) {
  StartCluster(2);
  OpenSale("tv", 20000);
  Shoppers shoppers(client_.get(), {"tv"}, 8);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(shoppers.WaitForMore(300, kPatience)) << "selling did not come back, round " << round;
    ASSERT_TRUE(cluster_->postgres().KillAndRestart().ok());
  }
  EXPECT_TRUE(shoppers.WaitForMore(300, kPatience));
  shoppers.Stop();
  CheckBooks(shoppers, {"tv"});
  for (const auto& [reason, count] : shoppers.refused()) {
    EXPECT_TRUE(reason == "LEDGER_UNAVAILABLE" || reason == "COMMIT_UNKNOWN" || reason == "EXHAUSTED_HERE")
        << count << " times " << reason;
  }
}

// A process that hangs for longer than its session: when it continues, its slice belongs to another node.
TEST_F(FaultTest, ASuspendedNodeComesBackAsANewIncarnation) {
  StartCluster(2);
  OpenSale("tv", 4000);
  Shoppers shoppers(client_.get(), {"tv"}, 8);
  ASSERT_TRUE(shoppers.WaitForMore(100, kPatience));
  const int64_t before = QuotaOf("tv").quota_version();
  ASSERT_TRUE(cluster_->SuspendNode(0).ok());
  // Until it is reclaimed, units move between the pool and the other node.
  const absl::Time give_up = absl::Now() + kPatience;
  while (QuotaOf("tv").slices_size() != 2 && absl::Now() < give_up) RestBetweenLooks();
  EXPECT_GT(QuotaOf("tv").quota_version(), before);
  ASSERT_TRUE(cluster_->ResumeNode(0).ok());
  while (QuotaOf("tv").slices_size() != 3 && absl::Now() < give_up) RestBetweenLooks();
  EXPECT_EQ(QuotaOf("tv").slices_size(), 3) << "the node has no slice again";
  SellOut(shoppers, "tv", 4000);
}

TEST_F(FaultTest, ADrainedNodeFailsNoRequestAndHandsItsUnitsBack) {
  StartCluster(3);
  OpenSale("tv", 6000);
  Shoppers shoppers(client_.get(), {"tv"}, 8);
  ASSERT_TRUE(shoppers.WaitForMore(100, kPatience));
  const auto status = cluster_->StopNode(0);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(*status, 0);
  SellOut(shoppers, "tv", 6000);
  for (const auto& [reason, count] : shoppers.refused()) EXPECT_EQ(reason, "SOLD_OUT") << count << " times";
  for (const auto& [id, status] : shoppers.unknown()) ADD_FAILURE() << id << ": " << status;
}

TEST_F(FaultTest, AnotherBalancerTakesOver) {
  StartCluster(2, /*balancers=*/2);
  OpenSale("tv", 10);
  ASSERT_TRUE(cluster_->balancer(0).Kill().ok());
  // Only a balancer splits this one.
  OpenSale("phone", 100);
  Shoppers shoppers(client_.get(), {"phone"}, 4);
  SellOut(shoppers, "phone", 100);
}

TEST_F(FaultTest, QuotaChangesLiveWhileRequestsRun) {
  StartCluster(2);
  OpenSale("tv", 100000);
  Shoppers shoppers(client_.get(), {"tv"}, 8);
  ASSERT_TRUE(shoppers.WaitForMore(100, kPatience));
  const auto admin = Admin();
  for (int round = 0; round < 20; ++round) {
    v1::SetQuotaRequest request;
    request.set_sku_id("tv");
    request.set_node(std::to_string(QuotaOf("tv").slices(1 + round % 2).incarnation()));
    request.set_remaining(round % 3 * 500);
    v1::SetQuotaResponse response;
    const grpc::Status status = admin->SetQuota(Context().get(), request, &response);
    ASSERT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) << status.error_message();
  }
  v1::AddStockRequest more;
  more.set_sku_id("tv");
  more.set_units(50);
  v1::AddStockResponse added;
  ASSERT_TRUE(admin->AddStock(Context().get(), more, &added).ok());
  EXPECT_TRUE(shoppers.WaitForMore(500, kPatience));
  shoppers.Stop();
  CheckBooks(shoppers, {"tv"});
  EXPECT_TRUE(shoppers.refused().empty());
}

// Field: "one failure marks a SKU sold out for everybody" (springboot-seckill#22), and stock found in mid-sale.
TEST_F(FaultTest, ASoldOutSkuComesBackWhenStockIsAdded) {
  StartCluster(2);
  OpenSale("tv", 20);
  Shoppers shoppers(client_.get(), {"tv"}, 4);
  ASSERT_TRUE(shoppers.WaitForReason(Reason::kSoldOut, 20, kPatience));
  v1::AddStockRequest more;
  more.set_sku_id("tv");
  more.set_units(30);
  v1::AddStockResponse added;
  ASSERT_TRUE(Admin()->AddStock(Context().get(), more, &added).ok());
  EXPECT_TRUE(shoppers.WaitForTotal(50, kPatience));
  SellOut(shoppers, "tv", 50);
}

}  // namespace
}  // namespace tranche::testing
