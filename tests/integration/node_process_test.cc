// One front node as a process: how signals end it.
#include <signal.h>

#include <pqxx/pqxx>
#include <string>

#include "gtest/gtest.h"
#include "tests/integration/sale_fixture.h"

namespace tranche::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

class NodeProcessTest : public SaleTest {
 protected:
  void Start() {
    MiniClusterOptions options;
    options.nodes = 1;
    options.workers = 0;
    StartCluster(options);
  }

  // Which no node holds.
  int64_t UnitsInPool(const std::string& sku) {
    pqxx::connection connection(cluster_->postgres().dsn());
    pqxx::nontransaction work(connection);
    return work.exec_params1("SELECT remaining FROM tranche.stock_slot WHERE sku_id = $1 AND slot_no = 0", sku)[0]
        .as<int64_t>();
  }
};

// As when somebody presses Ctrl-C in a terminal whose supervisor hands it on: of two kinds, so that both arrive.
TEST_F(NodeProcessTest, TwoSignalsForOneWishDoNotSkipTheDrain) {
  Start();
  OpenSale("tv", 100);
  ASSERT_EQ(UnitsInPool("tv"), 0);
  ServerProcess& node = cluster_->node(0);
  ASSERT_TRUE(node.process().Signal(SIGINT).ok());
  ASSERT_TRUE(node.process().Signal(SIGTERM).ok());
  const absl::StatusOr<int> status = node.process().Wait(kPatience);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(*status, 0) << node.LogTail();
  EXPECT_EQ(UnitsInPool("tv"), 100);
}

TEST_F(NodeProcessTest, ASignalOfASecondLaterEndsItAtOnce) {
  Start();
  OpenSale("tv", 100);
  pqxx::connection connection(cluster_->postgres().dsn());
  pqxx::work lock(connection);
  lock.exec("LOCK TABLE tranche.stock_slot IN EXCLUSIVE MODE");  // the drain waits for it
  ServerProcess& node = cluster_->node(0);
  const absl::Time begun = absl::Now();
  absl::StatusOr<int> status;
  do {
    ASSERT_TRUE(node.process().Signal(SIGTERM).ok());
    status = node.process().Wait(absl::Milliseconds(50));
  } while (!status.ok() && absl::Now() < begun + kPatience);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(*status, 128 + SIGTERM) << node.LogTail();
  EXPECT_GE(absl::Now() - begun, absl::Seconds(1));
}

}  // namespace
}  // namespace tranche::testing
