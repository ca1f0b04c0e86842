// Carts wait for units as claims do: each is answered at its first call, by one node, without help of the client.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/integration/sale_fixture.h"

namespace tranche::testing {
namespace {

class CartWaitTest : public SaleTest {
 protected:
  void StartCluster(int nodes) {
    MiniClusterOptions options;
    options.nodes = nodes;
    // The default suits production; here a busy machine must not decide about the result.
    options.node_args = {"--exhausted-wait-ms", "5000"};
    SaleTest::StartCluster(options);
    for (int node = 0; node < nodes; ++node) {
      ClientOptions one_call;
      one_call.endpoints = {cluster_->endpoint(node)};
      one_call.request_timeout = one_call.attempt_timeout = absl::Seconds(8);
      one_call.retry.max_attempts = 1;
      one_call.failover = false;
      auto client = Client::Open(one_call);
      ASSERT_TRUE(client.ok()) << client.status();
      nodes_.push_back(*std::move(client));
    }
  }

  // Its units wait in the pool.
  void OpenOnDemand(const std::string& sku, int64_t stock) {
    v1::CreateSkuRequest request;
    request.mutable_sku()->set_sku_id(sku);
    request.mutable_sku()->set_title(sku);
    request.mutable_sku()->set_price_minor(1999);
    request.mutable_sku()->set_currency("EUR");
    request.mutable_sku()->set_stock(stock);
    request.mutable_sku()->set_per_user_limit(4);
    request.mutable_sku()->mutable_hold()->set_seconds(900);
    request.mutable_sku()->set_on_demand(true);
    v1::CreateSkuResponse response;
    const grpc::Status status = Admin()->CreateSku(Context().get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  absl::Status Buy(int node, const std::string& user, const std::vector<CartLine>& lines) {
    return nodes_.at(static_cast<size_t>(node))->CreateCart({.user = user, .lines = lines}).status();
  }

  // As a client does: tries again while the node says that units are elsewhere, or were on their way to somebody else.
  absl::Status BuyUntilDecided(int node, const std::string& user, const std::vector<CartLine>& lines) {
    const absl::Time give_up = absl::Now() + absl::Seconds(60);
    absl::Status decided = Buy(node, user, lines);
    while (ReasonOf(decided) == Reason::kExhaustedHere && absl::Now() < give_up) {
      absl::SleepFor(RetryDelayOf(decided).value_or(absl::ZeroDuration()));  // as it is told to
      decided = Buy(node, user, lines);
    }
    return decided;
  }

  std::vector<std::unique_ptr<Client>> nodes_;
};

// Field: EXHAUSTED_HERE for ten of ten SKUs that nobody had asked for yet, while single claims succeeded.
TEST_F(CartWaitTest, ACartOfAFreshSkuSucceedsAtTheFirstCall) {
  StartCluster(2);
  for (int i = 0; i < 6; ++i) {
    const std::string sku = absl::StrCat("fresh-", i);
    OpenOnDemand(sku, 100);
    EXPECT_TRUE(Buy(i % 2, "bob", {{.sku = sku}}).ok()) << sku << ": " << QuotaOf(sku).ShortDebugString();
  }
  OpenOnDemand("tv", 100);
  OpenOnDemand("cable", 100);
  const absl::Status both = Buy(0, "bob", {{.sku = "tv"}, {.sku = "cable", .quantity = 2}, {.sku = "tv"}});
  EXPECT_TRUE(both.ok()) << both;
  EXPECT_EQ(RowsOf("tv").size(), 2u);
  CheckLedger();
}

// Field: up to 40 tries failed with four units unsold, since each node that was asked wanted them.
TEST_F(CartWaitTest, ACartOfTheLastUnitsThatLieOnThreeNodesSucceedsAtTheFirstCall) {
  StartCluster(3);
  for (int node = 0; node < 3; ++node) {
    const std::string sku = absl::StrCat("s-", node);
    OpenSale(sku, 4, absl::Minutes(15), "", /*per_user_limit=*/4);
    const absl::Status all = Buy(node, "bob", {{.sku = sku, .quantity = 3}, {.sku = sku}});
    EXPECT_TRUE(all.ok()) << all << " " << QuotaOf(sku).ShortDebugString();
    const absl::Status late = Buy((node + 1) % 3, "carol", {{.sku = sku, .quantity = 4}});
    EXPECT_TRUE(ReasonOf(late) == Reason::kSoldOut || ReasonOf(late) == Reason::kInsufficientUnits) << late;
  }
  CheckLedger();
}

// Each of two carts, at two nodes, finds one SKU at its node and the other at the other node, and there is one of each.
// Either may first be told to try again: its units were moved away between their announcement and its commit.
TEST_F(CartWaitTest, OfTwoCartsThatCrossOneIsSoldAndTheOtherIsToldSo) {
  StartCluster(2);
  for (int round = 0; round < 4; ++round) {
    const std::string x = absl::StrCat("x-", round), y = absl::StrCat("y-", round);
    OpenOnDemand(x, 2);
    OpenOnDemand(y, 2);
    ASSERT_TRUE(Buy(0, "first", {{.sku = x}}).ok());
    ASSERT_TRUE(Buy(1, "first", {{.sku = y}}).ok());
    absl::Status a, b;
    std::thread at_one([&] { a = BuyUntilDecided(0, "a", {{.sku = x}, {.sku = y}}); });
    std::thread at_other([&] { b = BuyUntilDecided(1, "b", {{.sku = x}, {.sku = y}}); });
    at_one.join();
    at_other.join();
    EXPECT_NE(a.ok(), b.ok()) << "a: " << a << ", b: " << b;
    EXPECT_EQ(ReasonOf(a.ok() ? b : a), Reason::kSoldOut) << "a: " << a << ", b: " << b;
  }
  CheckLedger();
}

}  // namespace
}  // namespace tranche::testing
