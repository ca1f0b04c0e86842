// One front node as a process: how signals end it, and what it says of itself.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/raw_call.h"

namespace tranche::testing {
namespace {

using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kBuyers[] = "tranche.v1.ReservationService";
constexpr char kVisitors[] = "tranche.v1.CatalogService";
constexpr char kGroups[] = "tranche.v1.GroupService";
constexpr char kOperators[] = "tranche.v1.AdminService";
constexpr absl::Duration kPatience = absl::Seconds(30);

class NodeProcessTest : public SaleTest {
 protected:
  void Start(std::vector<std::string> node_args = {}) {
    MiniClusterOptions options;
    options.nodes = 1;
    options.workers = 0;
    options.node_args = std::move(node_args);
    StartCluster(options);
    channel_ = grpc::CreateChannel(cluster_->endpoint(0), grpc::InsecureChannelCredentials());
  }

  // Which no node holds.
  int64_t UnitsInPool(const std::string& sku) {
    pqxx::connection connection(cluster_->postgres().dsn());
    pqxx::nontransaction work(connection);
    return work.exec_params1("SELECT remaining FROM tranche.stock_slot WHERE sku_id = $1 AND slot_no = 0", sku)[0]
        .as<int64_t>();
  }

  grpc::Status CheckHealth(const std::string& service, HealthCheckResponse* response) {
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    return grpc::health::v1::Health::NewStub(channel_)->Check(Context().get(), request, response);
  }
  bool Serves(const std::string& service) {
    HealthCheckResponse response;
    const grpc::Status status = CheckHealth(service, &response);
    EXPECT_TRUE(status.ok()) << service << ": " << status.error_message();
    return response.status() == HealthCheckResponse::SERVING;
  }

  // What reflection says of the file that defines `symbol`, as bytes. Of its stream this is one turn, which on the wire
  // is a unary call; the messages have no stubs here.
  std::string Reflected(const std::string& symbol) {
    const std::string request = std::string("\x22") + static_cast<char>(symbol.size()) + symbol;  // field 4
    std::string response;
    const grpc::Status status =
        RawCall(channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  std::shared_ptr<grpc::Channel> channel_;
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

TEST_F(NodeProcessTest, ADrainedNodeServesItsOperatorsAndSaysSo) {
  Start();
  for (const char* service : {"", kBuyers, kVisitors, kGroups, kOperators}) EXPECT_TRUE(Serves(service)) << service;
  v1::DrainNodeRequest drain;
  drain.set_node("node-1");
  drain.set_stay(true);
  v1::DrainNodeResponse drained;
  const grpc::Status status = Admin()->DrainNode(Context().get(), drain, &drained);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const absl::Time give_up = absl::Now() + kPatience;
  while (Serves("") && absl::Now() < give_up) RestBetweenLooks();
  EXPECT_FALSE(Serves(""));
  EXPECT_FALSE(Serves(kBuyers));
  EXPECT_FALSE(Serves(kVisitors));
  EXPECT_FALSE(Serves(kGroups));
  EXPECT_TRUE(Serves(kOperators));
  v1::UndrainNodeRequest undrain;
  undrain.set_node("node-1");
  v1::UndrainNodeResponse undrained;
  EXPECT_TRUE(Admin()->UndrainNode(Context().get(), undrain, &undrained).ok()) << "it does what it says";
}

TEST_F(NodeProcessTest, WhatIsNotServedHasNoHealth) {
  Start({"--admin", "off"});
  HealthCheckResponse response;
  EXPECT_EQ(CheckHealth(kOperators, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(Serves(kBuyers));
}

// Asked of the process: this test has the descriptor itself.
TEST_F(NodeProcessTest, ReflectionDescribesHealthAndTheCatalogue) {
  Start();
  EXPECT_THAT(Reflected("tranche.v1.CatalogService"), HasSubstr("tranche/v1/catalog_service.proto"));
  EXPECT_THAT(Reflected("tranche.v1.GroupService"), HasSubstr("tranche/v1/group_service.proto"));
  EXPECT_THAT(Reflected("grpc.health.v1.Health"), HasSubstr("grpc/health/v1/health.proto"));
  EXPECT_THAT(Reflected("grpc.health.v1.Sickness"), Not(HasSubstr("health.proto")));
}

}  // namespace
}  // namespace tranche::testing
