// Units find their buyers on real servers, wherever the demand is and whatever operators do meanwhile. Each test ends
// with a check of the books.
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/sessions.h"

namespace tranche::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

class QuotaTest : public SaleTest {
 protected:
  void StartCluster(int nodes, int balancers = 1) {
    MiniClusterOptions options;
    options.nodes = nodes;
    options.balancers = balancers;
    options.zookeeper_session_timeout = absl::Seconds(3);
    SaleTest::StartCluster(options);
  }

  std::unique_ptr<Client> ClientOfNode(int node) { return ClientOf({cluster_->endpoint(node)}); }

  // Buyers of this client come until the SKU is sold out; then exactly its stock is booked, by them or before.
  void SellOutThrough(Client& client, const std::string& sku, int64_t stock) {
    Shoppers shoppers(&client, {sku}, 4);
    EXPECT_TRUE(shoppers.WaitForReason(Reason::kSoldOut, 20, kPatience))
        << "never sold out: " << QuotaOf(sku).ShortDebugString();
    shoppers.Stop();
    CheckLedger();
    EXPECT_EQ(static_cast<int64_t>(RowsOf(sku).size()), stock) << "units are stranded, or sold twice";
  }

  bool Reserve(Client& client, const std::string& sku, const std::string& user) {
    return client.Create({.sku = sku, .user = user, .reservation_id = ""}).ok();
  }

  int64_t Remaining(const std::string& sku, int64_t incarnation) {
    const v1::Quota quota = QuotaOf(sku);
    for (const v1::Slice& slice : quota.slices()) {
      if (slice.incarnation() == incarnation) return slice.remaining();
    }
    return 0;
  }
  // Deletes all of Tranche's znodes, as an operator might by mistake, while everybody goes on writing.
  void DeleteTree() {
    DeafObserver observer;
    quota::ZookeeperConnector connector({.servers = cluster_->zookeeper().connect_string(), .root = "/"});
    const auto session = connector.Connect(&observer);
    ASSERT_TRUE(session.ok()) << session.status();
    DeleteAll(**session, cluster_->zookeeper_root());
  }
  static void DeleteAll(quota::Coordination& session, const std::string& path) {
    const auto children = session.List(path, quota::Watch::kNo);
    if (!children.ok()) return;
    for (const std::string& child : *children) DeleteAll(session, path + "/" + child);
    session.Delete(path, quota::kAnyVersion).IgnoreError();  // another process may have written into it again
  }
  std::vector<int64_t> Holders(const std::string& sku) {
    std::vector<int64_t> holders;
    const v1::Quota quota = QuotaOf(sku);
    for (const v1::Slice& slice : quota.slices()) {
      if (slice.incarnation() != 0) holders.push_back(slice.incarnation());
    }
    return holders;
  }
};

TEST_F(QuotaTest, AllBuyersAtOneNodeOfEightGetAllUnits) {
  StartCluster(8);
  OpenSale("tv", 400);
  SellOutThrough(*ClientOfNode(3), "tv", 400);
}

TEST_F(QuotaTest, TheLastUnitsFindBuyersThatJumpFromNodeToNode) {
  StartCluster(4);
  OpenSale("tv", 12);
  std::vector<std::unique_ptr<Client>> clients;
  for (int node = 0; node < 4; ++node) clients.push_back(ClientOfNode(node));
  // Each buyer comes to another node than the one before; at the end, three in a row come to the same one.
  const std::vector<int> nodes = {0, 1, 2, 3, 3, 2, 1, 0, 0, 2, 2, 2};
  for (size_t buyer = 0; buyer < nodes.size(); ++buyer) {
    EXPECT_TRUE(Reserve(*clients[static_cast<size_t>(nodes[buyer])], "tv", "buyer-" + std::to_string(buyer)))
        << "buyer " << buyer << " at node " << nodes[buyer] << ": " << QuotaOf("tv").ShortDebugString();
  }
  EXPECT_EQ(RowsOf("tv").size(), 12u);
  EXPECT_FALSE(Reserve(*clients[1], "tv", "too-late"));
  CheckLedger();
}

TEST_F(QuotaTest, WhatIsNotPresplitIsSoldFromThePool) {
  StartCluster(2);
  v1::CreateSkuRequest request;
  request.mutable_sku()->set_sku_id("book");
  request.mutable_sku()->set_title("book");
  request.mutable_sku()->set_price_minor(900);
  request.mutable_sku()->set_currency("EUR");
  request.mutable_sku()->set_stock(50);
  request.mutable_sku()->set_per_user_limit(1);
  request.mutable_sku()->mutable_hold()->set_seconds(900);
  request.mutable_sku()->set_on_demand(true);
  v1::CreateSkuResponse response;
  ASSERT_TRUE(Admin()->CreateSku(Context().get(), request, &response).ok());
  EXPECT_EQ(Remaining("book", 0), 50);
  const auto client = ClientOfNode(1);
  EXPECT_TRUE(Reserve(*client, "book", "first"));
  EXPECT_GT(Remaining("book", 0), 0) << "one node's first buyer is no reason to give it everything";
  SellOutThrough(*client_, "book", 50);
}

TEST_F(QuotaTest, WithoutABalancerAllThatIsAddedOrComesBackIsSoldOut) {
  StartCluster(2, /*balancers=*/0);
  CreateSku("tv", 40);
  SellOutThrough(*client_, "tv", 40);

  v1::AddStockRequest request;
  request.set_sku_id("tv");
  request.set_units(10);
  v1::AddStockResponse response;
  ASSERT_TRUE(Admin()->AddStock(Context().get(), request, &response).ok());
  // The nodes hear of it from the node that added it; until then they say that it is sold out.
  absl::StatusOr<Reservation> first = absl::UnknownError("not asked");
  const absl::Time give_up = absl::Now() + kPatience;
  while (!first.ok() && absl::Now() < give_up) {
    first = client_->Create({.sku = "tv", .user = "first", .reservation_id = ""});
  }
  ASSERT_TRUE(first.ok()) << first.status();
  SellOutThrough(*client_, "tv", 50);

  // Nobody announces that units came back. Whoever is refused makes the nodes ask.
  ASSERT_TRUE(client_->Cancel({.reservation_id = first->reservation_id}).ok());
  absl::StatusOr<Reservation> again = absl::UnknownError("not asked");
  while (!again.ok() && absl::Now() < give_up) {
    again = client_->Create({.sku = "tv", .user = "second", .reservation_id = ""});
  }
  EXPECT_TRUE(again.ok()) << again.status();
  CheckLedger();
}

// Field: two are wanted, one is left. The caller used to be sent from node to node until their deadline.
TEST_F(QuotaTest, TooFewUnitsForOneOrderAreAnsweredAtOnceUntilSomeComeBack) {
  StartCluster(3);
  OpenSale("tv", 9, absl::Minutes(15), "", /*per_user_limit=*/4);
  std::vector<Reservation> held;
  for (int buyer = 0; buyer < 8; ++buyer) {
    const auto one = client_->Create({.sku = "tv", .user = "b" + std::to_string(buyer), .reservation_id = ""});
    ASSERT_TRUE(one.ok()) << one.status();
    held.push_back(*one);
  }
  const auto two = client_->Create({.sku = "tv", .user = "carol", .quantity = 2, .reservation_id = ""});
  EXPECT_EQ(ReasonOf(two.status()), Reason::kInsufficientUnits) << two.status();
  EXPECT_EQ(ErrorMetadata(two.status(), "available"), "1");
  // Once it is announced, every node says so by itself.
  for (int node = 0; node < 3; ++node) {
    const auto again = ClientOfNode(node)->Create({.sku = "tv", .user = "carol", .quantity = 3, .reservation_id = ""});
    EXPECT_EQ(ReasonOf(again.status()), Reason::kInsufficientUnits) << again.status();
  }
  ASSERT_TRUE(client_->Cancel({.reservation_id = held[0].reservation_id}).ok());
  const absl::Time give_up = absl::Now() + kPatience;
  absl::StatusOr<Reservation> now = two.status();
  while (!now.ok() && absl::Now() < give_up) {
    now = client_->Create({.sku = "tv", .user = "carol", .quantity = 2, .reservation_id = ""});
  }
  EXPECT_TRUE(now.ok()) << now.status();
  CheckLedger();
}

// Field: twenty were left of a SKU with a high limit, and an order of fifty was sent from node to node.
TEST_F(QuotaTest, TooFewUnitsForALargeOrderAreToldAsWell) {
  StartCluster(2);
  OpenSale("tv", 40, absl::Minutes(15), "", /*per_user_limit=*/100);
  for (int node = 0; node < 2; ++node) {
    const auto fifty = ClientOfNode(node)->Create({.sku = "tv", .user = "carol", .quantity = 50, .reservation_id = ""});
    EXPECT_EQ(ReasonOf(fifty.status()), Reason::kInsufficientUnits) << fifty.status();
    EXPECT_EQ(ErrorMetadata(fifty.status(), "available"), "40");
  }
  // Each node has twenty: all of them come to where somebody wants them.
  const auto all = ClientOfNode(0)->Create({.sku = "tv", .user = "dave", .quantity = 40, .reservation_id = ""});
  EXPECT_TRUE(all.ok()) << all.status();
  CheckLedger();
}

TEST_F(QuotaTest, FrozenUnitsStayUntilTheyAreThawed) {
  StartCluster(2);
  OpenSale("tv", 20);
  WaitUntilShared("tv", 20);
  v1::SetQuotaFrozenRequest freeze;
  freeze.set_sku_id("tv");
  freeze.set_frozen(true);
  v1::SetQuotaFrozenResponse answer;
  ASSERT_TRUE(Admin()->SetQuotaFrozen(Context().get(), freeze, &answer).ok());
  const auto client = ClientOfNode(0);
  for (int buyer = 0; buyer < 10; ++buyer) EXPECT_TRUE(Reserve(*client, "tv", "b" + std::to_string(buyer)));
  EXPECT_FALSE(Reserve(*client, "tv", "b10")) << "the others' ten stay with them";
  freeze.set_frozen(false);
  ASSERT_TRUE(Admin()->SetQuotaFrozen(Context().get(), freeze, &answer).ok());
  SellOutThrough(*client, "tv", 20);
}

TEST_F(QuotaTest, ADrainedNodeHandsItsUnitsBackAndServesAgainWhenUndrained) {
  StartCluster(2);
  OpenSale("tv", 10000);
  Shoppers shoppers(client_.get(), {"tv"}, 4);
  ASSERT_TRUE(shoppers.WaitForMore(50, kPatience));
  const int64_t first = Holders("tv").front();
  v1::DrainNodeRequest drain;
  drain.set_node(std::to_string(first));
  drain.set_stay(true);
  v1::DrainNodeResponse drained;
  ASSERT_TRUE(Admin()->DrainNode(Context().get(), drain, &drained).ok());
  const absl::Time give_up = absl::Now() + kPatience;
  while (Remaining("tv", first) > 0 && absl::Now() < give_up) RestBetweenLooks();
  EXPECT_EQ(Remaining("tv", first), 0);
  ASSERT_TRUE(shoppers.WaitForMore(50, kPatience));
  v1::UndrainNodeRequest undrain;
  undrain.set_node(std::to_string(first));
  v1::UndrainNodeResponse undrained;
  ASSERT_TRUE(Admin()->UndrainNode(Context().get(), undrain, &undrained).ok());
  while (Remaining("tv", first) == 0 && absl::Now() < give_up) RestBetweenLooks();
  EXPECT_GT(Remaining("tv", first), 0) << "it has its share again";
  ASSERT_TRUE(shoppers.WaitForMore(50, kPatience));
  shoppers.Stop();
  EXPECT_TRUE(shoppers.refused().empty()) << shoppers.refused().begin()->first;
  EXPECT_TRUE(shoppers.unknown().empty());
  CheckBooks(shoppers, {"tv"});
}

TEST_F(QuotaTest, ADeletedTreeDoesNotStopTheSaleAndComesBack) {
  StartCluster(2);
  OpenSale("tv", 3000);
  Shoppers shoppers(client_.get(), {"tv"}, 4);
  ASSERT_TRUE(shoppers.WaitForMore(50, kPatience));
  DeleteTree();
  ASSERT_TRUE(shoppers.WaitForMore(50, kPatience));
  // Everything is announced again, to its present holders.
  v1::RebuildCoordinationRequest rebuild;
  v1::RebuildCoordinationResponse rebuilt;
  const grpc::Status status = Admin()->RebuildCoordination(Context().get(), rebuild, &rebuilt);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(shoppers.WaitForReason(Reason::kSoldOut, 20, kPatience)) << QuotaOf("tv").ShortDebugString();
  shoppers.Stop();
  CheckBooks(shoppers, {"tv"});
  EXPECT_EQ(RowsOf("tv").size(), 3000u);
}

TEST_F(QuotaTest, ARollingRestartInMidSaleLosesNothing) {
  StartCluster(3);
  OpenSale("tv", 6000);
  Shoppers shoppers(client_.get(), {"tv"}, 4);
  ASSERT_TRUE(shoppers.WaitForMore(50, kPatience));
  const auto restart = [this](int node) {
    const auto exit_status = cluster_->StopNode(node);
    ASSERT_TRUE(exit_status.ok()) << exit_status.status();
    EXPECT_EQ(*exit_status, 0);
    ASSERT_TRUE(cluster_->StartNode().ok());
  };
  // These buyers know the old addresses; only one of them is still valid.
  restart(0);
  restart(1);
  shoppers.Stop();
  CheckBooks(shoppers, {"tv"});
  for (const auto& [id, told] : shoppers.unknown()) ADD_FAILURE() << id << ": " << told;
  // These know the new ones.
  const auto client = ClientOf(cluster_->endpoints());
  Shoppers latecomers(client.get(), {"tv"}, 4);
  ASSERT_TRUE(latecomers.WaitForMore(50, kPatience));
  restart(2);
  EXPECT_TRUE(latecomers.WaitForReason(Reason::kSoldOut, 20, kPatience)) << QuotaOf("tv").ShortDebugString();
  latecomers.Stop();
  for (const auto& [id, told] : latecomers.unknown()) ADD_FAILURE() << id << ": " << told;
  EXPECT_EQ(RowsOf("tv").size(), 6000u);
  CheckLedger();
}

}  // namespace
}  // namespace tranche::testing
