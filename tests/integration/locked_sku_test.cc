// Somebody's transaction locks one SKU for long, on real servers: expiry and the distribution of units stop for that
// SKU only.
#include <gtest/gtest.h>

#include <memory>
#include <pqxx/pqxx>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/integration/sale_fixture.h"

namespace tranche::testing {
namespace {

class LockedSkuTest : public SaleTest {
 protected:
  // While it lives, the SKU's row and all its slots are locked.
  class Lock {
   public:
    Lock(const MiniPostgres& postgres, const std::string& sku)
        : connection_(postgres.dsn()), transaction_(connection_) {
      transaction_.exec(absl::StrCat("SELECT FROM tranche.sku JOIN tranche.stock_slot USING (sku_id) WHERE sku_id = '",
                                     sku, "' FOR UPDATE"));
    }

   private:
    pqxx::connection connection_;
    pqxx::work transaction_;
  };

  // Until one is sold, or it takes too long.
  bool BuyOne(const std::string& sku, const std::string& user, absl::Duration patience) {
    const absl::Time give_up = absl::Now() + patience;
    while (absl::Now() < give_up) {
      if (client_->Create({.sku = sku, .user = user}).ok()) return true;
      absl::SleepFor(absl::Milliseconds(50));
    }
    return false;
  }
};

TEST_F(LockedSkuTest, OtherHoldsExpireInTime) {
  MiniClusterOptions options;
  options.nodes = 1;
  StartCluster(options);
  for (const std::string sku : {"a", "b"}) {
    OpenSale(sku, 1, absl::Seconds(3));
    ASSERT_TRUE(BuyOne(sku, "early", absl::Seconds(10)));
  }
  {
    const Lock lock(cluster_->postgres(), "a");
    EXPECT_TRUE(BuyOne("b", "late", absl::Seconds(15))) << "its unit does not come back";
  }
  EXPECT_TRUE(BuyOne("a", "late", absl::Seconds(15)));
  CheckLedger();
}

TEST_F(LockedSkuTest, OtherUnitsMoveInTime) {
  MiniClusterOptions options;
  options.zookeeper_session_timeout = absl::Seconds(2);
  StartCluster(options);
  for (const std::string sku : {"a", "b"}) {
    OpenSale(sku, 100);
    WaitUntilShared(sku, 100);
  }
  {
    const Lock lock(cluster_->postgres(), "a");
    v1::AddStockRequest request;
    request.set_sku_id("b");
    request.set_units(100);
    v1::AddStockResponse response;
    const grpc::Status added = Admin()->AddStock(Context().get(), request, &response);
    ASSERT_TRUE(added.ok()) << added.error_message();
    WaitUntilShared("b", 200);
    // What it holds of "b" goes to the other one.
    ASSERT_TRUE(cluster_->KillNode(1).ok());
    const auto survivor = ClientOf({cluster_->endpoint(0)});
    Shoppers shoppers(survivor.get(), {"b"}, 4);
    EXPECT_TRUE(shoppers.WaitForTotal(190, absl::Seconds(30))) << "units of b are stranded";
  }
  WaitUntilShared("a", 100);
  CheckLedger();
}

}  // namespace
}  // namespace tranche::testing
