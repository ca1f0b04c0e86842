// The ledger is older than what was announced, or ZooKeeper says what the ledger never said: all units are sold, nobody
// restarts anything, and none is sold twice by what the ledger says now.
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/sessions.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::testing {
namespace {

// How long it takes on an idle machine is a goal of scripts/chaos.
constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

class OlderLedgerTest : public SaleTest {
 protected:
  void StartCluster() {
    MiniClusterOptions options;
    options.nodes = 3;
    options.zookeeper_session_timeout = absl::Seconds(2);
    SaleTest::StartCluster(options);
    quota::ZookeeperOptions zookeeper;
    zookeeper.servers = cluster_->zookeeper().connect_string();
    zookeeper.root = cluster_->zookeeper_root();
    tree_ = quota::ZookeeperConnector(zookeeper).Connect(&observer_).value();
  }

  // Which incarnations hold units of the SKU, by the ledger.
  std::set<int64_t> Holders(const std::string& sku) {
    std::set<int64_t> holders;
    const v1::Quota quota = QuotaOf(sku);
    for (const v1::Slice& slice : quota.slices()) {
      if (slice.incarnation() != 0) holders.insert(slice.incarnation());
    }
    return holders;
  }
  // Until a balancer has compared the ledger with what it remembered, at least once from now on.
  void AwaitLooks() {
    const std::string path = quota::LedgerMarkPath();
    const absl::Time give_up = absl::Now() + kPatience;
    int32_t before = -1;
    while (absl::Now() < give_up) {
      const auto znode = tree_->Get(path, quota::Watch::kNo);
      if (znode.ok() && before < 0) before = znode->version;
      // The one that was under way may have begun earlier.
      if (znode.ok() && znode->version >= before + 2) return;
      RestBetweenLooks();
    }
    FAIL() << "no balancer looks at the ledger";
  }
  void Close(const std::string& sku) {
    v1::CloseSkuRequest request;
    request.set_sku_id(sku);
    v1::CloseSkuResponse response;
    const grpc::Status status = Admin()->CloseSku(Context().get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  void WriteSlice(int64_t incarnation, const std::string& sku, int64_t allotted, int64_t version) {
    internal::v1::SliceAnnouncement announcement;
    announcement.set_allotted(allotted);
    announcement.set_version(version);
    const absl::Status written =
        tree_->Set(quota::SlicePath(incarnation, sku), announcement.SerializeAsString(), quota::kAnyVersion);
    ASSERT_TRUE(written.ok()) << written;
  }

  // Buyers come; `units` must be sold, and then all are.
  void SellAll(const std::string& sku, int64_t units, int64_t stock) {
    // They rest, or the refusals take the processor from those who find the units again.
    Shoppers shoppers(client_.get(), {sku}, 8, absl::Milliseconds(5));
    EXPECT_TRUE(shoppers.WaitForTotal(static_cast<int>(units), kPatience))
        << shoppers.acknowledged().size() << " of " << units << ": " << QuotaOf(sku).ShortDebugString();
    shoppers.Stop();
    EXPECT_EQ(static_cast<int64_t>(RowsOf(sku).size()), stock) << "units of " << sku << " are stranded, or sold twice";
    const std::set<std::string> rows = RowsOf(sku);
    for (const std::string& id : shoppers.acknowledged()) EXPECT_TRUE(rows.contains(id)) << id << " is lost";
  }

  DeafObserver observer_;
  std::unique_ptr<quota::Coordination> tree_;
};

// Field: "after a restore, units are never sold again" (patroni/patroni#1411, etcd-io/etcd#16028).
TEST_F(OlderLedgerTest, AfterARestoreAllUnitsAreSoldAndNobodyRestartsAnything) {
  StartCluster();
  // All of one is sold, some of another, and one is closed.
  for (const char* sku : {"all", "some", "closed"}) OpenSale(sku, 60);
  ASSERT_TRUE(cluster_->postgres().Stop().ok());
  ASSERT_TRUE(cluster_->postgres().SaveData().ok());
  ASSERT_TRUE(cluster_->postgres().Start().ok());
  AwaitLooks();
  {
    Shoppers shoppers(client_.get(), {"all"}, 8);
    ASSERT_TRUE(shoppers.WaitForReason(Reason::kSoldOut, 20, kPatience));
  }
  {
    Shoppers shoppers(client_.get(), {"some"}, 2);
    ASSERT_TRUE(shoppers.WaitForTotal(45, kPatience));
  }
  Close("closed");
  const std::set<int64_t> before = Holders("all");

  ASSERT_TRUE(cluster_->postgres().Stop().ok());
  ASSERT_TRUE(cluster_->postgres().RestoreData().ok());
  ASSERT_TRUE(cluster_->postgres().Start().ok());
  for (const char* sku : {"all", "some", "closed"}) SellAll(sku, 60, 60);
  for (const int64_t holder : Holders("all")) EXPECT_FALSE(before.contains(holder)) << holder;
  CheckLedger();
}

// A failover in mid-sale, as far as the data shows it: nothing is lost here, but a balancer cannot know that.
TEST_F(OlderLedgerTest, AfterAPromotionInMidSaleNothingIsStrandedOrSoldTwice) {
  StartCluster();
  OpenSale("tv", 6000);
  Shoppers shoppers(client_.get(), {"tv"}, 8);
  ASSERT_TRUE(shoppers.WaitForMore(300, kPatience));
  AwaitLooks();
  const std::set<int64_t> before = Holders("tv");
  ASSERT_TRUE(cluster_->postgres().RestartPromoted().ok());
  EXPECT_TRUE(shoppers.WaitForMore(300, kPatience)) << QuotaOf("tv").ShortDebugString();
  EXPECT_TRUE(shoppers.WaitForReason(Reason::kSoldOut, 20, kPatience)) << QuotaOf("tv").ShortDebugString();
  shoppers.Stop();
  for (const int64_t holder : Holders("tv")) EXPECT_FALSE(before.contains(holder)) << holder;
  CheckBooks(shoppers, {"tv"});
  EXPECT_EQ(RowsOf("tv").size(), 6000u);
}

TEST_F(OlderLedgerTest, WhatSomebodyWroteIntoZookeeperIsOverruled) {
  StartCluster();
  for (const char* sku : {"slices", "terms"}) {
    OpenSale(sku, 60);
    WaitUntilShared(sku, 60);
  }
  int64_t version = kHighest;
  for (const int64_t holder : Holders("slices")) {
    WriteSlice(holder, "slices", 0, version);
    version = version == kHighest ? 1000 : version + 1000;  // no ledger can have said it, or it might have
  }
  internal::v1::SkuAnnouncement closed;
  closed.set_sku_id("terms");
  closed.set_state(internal::v1::SkuAnnouncement::STATE_CLOSED);
  closed.set_per_user_limit(1);
  closed.set_version(1000000);
  ASSERT_TRUE(tree_->Set(quota::SkuPath("terms"), closed.SerializeAsString(), quota::kAnyVersion).ok());
  // A repair begins every 10 s.
  SellAll("slices", 60, 60);
  SellAll("terms", 60, 60);
  CheckLedger();
}

TEST_F(OlderLedgerTest, AnOperatorLetsAllNodesBeginAnewInMidSale) {
  StartCluster();
  OpenSale("tv", 3000);
  Shoppers shoppers(client_.get(), {"tv"}, 4);
  ASSERT_TRUE(shoppers.WaitForMore(100, kPatience));
  AwaitLooks();
  const std::set<int64_t> before = Holders("tv");
  v1::RebuildCoordinationRequest request;
  request.set_new_history(true);
  v1::RebuildCoordinationResponse response;
  const grpc::Status status = Admin()->RebuildCoordination(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(response.new_history_requested());
  EXPECT_TRUE(shoppers.WaitForReason(Reason::kSoldOut, 20, kPatience)) << QuotaOf("tv").ShortDebugString();
  AwaitLooks();
  shoppers.Stop();
  for (const int64_t holder : Holders("tv")) EXPECT_FALSE(before.contains(holder)) << holder;
  CheckBooks(shoppers, {"tv"});
  EXPECT_EQ(RowsOf("tv").size(), 3000u);
}

}  // namespace
}  // namespace tranche::testing
