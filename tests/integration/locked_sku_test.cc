// Somebody's transaction locks one SKU for long, on real servers: expiry and the distribution of units stop for that
// SKU only.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <pqxx/pqxx>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/integration/sale_fixture.h"
#include "tranche/uuid.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

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

// An answer at the deadline is not heard: the caller would have to take "nothing was done" for an unknown outcome.
TEST_F(LockedSkuTest, ClaimsAndCartsAreRefusedInTimeToBeHeard) {
  MiniClusterOptions options;
  options.nodes = 1;
  StartCluster(options);
  OpenSale("a", 100);
  WaitUntilShared("a", 100);
  const auto stub =
      v1::ReservationService::NewStub(grpc::CreateChannel(cluster_->endpoint(0), grpc::InsecureChannelCredentials()));
  const auto within = [](absl::Duration time) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(absl::ToChronoTime(absl::Now() + time));
    return context;
  };
  const Lock lock(cluster_->postgres(), "a");
  for (int i = 0; i < 5; ++i) {
    v1::CreateReservationRequest claim;
    claim.set_reservation_id(MakeUuidV7());
    claim.set_sku_id("a");
    claim.set_user_id(absl::StrCat("buyer-", i));
    claim.set_quantity(1);
    v1::CreateReservationResponse no_claim;
    const grpc::Status claimed = stub->CreateReservation(within(absl::Seconds(2)).get(), claim, &no_claim);
    EXPECT_THAT(claimed.error_details(), ::testing::HasSubstr("LEDGER_UNAVAILABLE")) << claimed.error_message();
    v1::CreateReservationsRequest cart;
    cart.set_user_id(absl::StrCat("family-", i));
    v1::CartLine* const line = cart.add_lines();
    line->set_reservation_id(MakeUuidV7());
    line->set_sku_id("a");
    line->set_quantity(1);
    v1::CreateReservationsResponse no_cart;
    const grpc::Status carted = stub->CreateReservations(within(absl::Seconds(2)).get(), cart, &no_cart);
    EXPECT_THAT(carted.error_details(), ::testing::HasSubstr("LEDGER_UNAVAILABLE")) << carted.error_message();
  }
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
    EXPECT_TRUE(shoppers.WaitForMore(190, absl::Seconds(30))) << "units of b are stranded";
  }
  WaitUntilShared("a", 100);
  CheckLedger();
}

}  // namespace
}  // namespace tranche::testing
