// The front door when something else ends: it neither opens by itself nor keeps out whom it let in before.
#include <iostream>
#include <string>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/integration/front_door_fixture.h"
#include "tests/support/mini_postgres.h"

namespace tranche::testing {
namespace {

using ::testing::PrintToString;

constexpr char kPolicyOfTheFuture[] = R"(UPDATE tranche.front_policy SET document = '{"aPartOfTheFuture":{}}')";

class FrontDoorFaultTest : public FrontDoorFixture {
 protected:
  // Its data goes back to what SaveDoor has kept, whatever was changed since.
  void SaveDoor() {
    ASSERT_TRUE(cluster_->postgres().Stop().ok());
    ASSERT_TRUE(cluster_->postgres().SaveData().ok());
    ASSERT_TRUE(cluster_->postgres().Start().ok());
  }
  void RestoreDoor() {
    ASSERT_TRUE(cluster_->postgres().Stop().ok());
    ASSERT_TRUE(cluster_->postgres().RestoreData().ok());
    ASSERT_TRUE(cluster_->postgres().Start().ok());
  }
  void AwaitDenied(const std::string& user) {
    AwaitEverywhere("the list is known", [&](int node) { return Claim(node, {.user = user}).reason == "DENIED"; });
  }
};

TEST_F(FrontDoorFaultTest, ANodeThatRestartsKnowsThePolicyBeforeItsFirstAnswer) {
  Deny("mallory");
  SetPolicy(TokenPolicy());
  AwaitDenied("mallory");
  const std::string token = TokenFor("alice", 1);
  const absl::Status restarted = cluster_->RestartNode(0);
  ASSERT_TRUE(restarted.ok()) << restarted;
  EXPECT_EQ(Claim(0, {.user = "bob"}).reason, "PURCHASE_TOKEN_REQUIRED");
  EXPECT_EQ(Claim(0, {.user = "mallory"}).reason, "DENIED");
  AwaitEverywhere("a token of before is good",
                  [&](int node) { return Claim(node, {.user = "alice", .token = token}).ok(); });
}

TEST_F(FrontDoorFaultTest, WithoutTheLedgerTheDoorStaysAsItIs) {
  Deny("mallory");
  SetPolicy(TokenPolicy());
  AwaitDenied("mallory");
  ASSERT_TRUE(cluster_->postgres().Stop().ok());
  for (int node = 0; node < kDoorNodes; ++node) {
    EXPECT_EQ(Claim(node, {.user = "bob"}).reason, "PURCHASE_TOKEN_REQUIRED");
    EXPECT_EQ(Claim(node, {.user = "mallory"}).reason, "DENIED");
    EXPECT_NE(TokenFor("alice", node), "");
  }
  const std::string token = TokenFor("alice");
  const DoorAnswer let_in = Claim(1, {.user = "alice", .token = token});
  EXPECT_EQ(let_in.code, grpc::StatusCode::UNAVAILABLE)
      << "she passes the door, and the ledger is down: " << PrintToString(let_in);
  ASSERT_TRUE(cluster_->postgres().Start().ok());
  AwaitEverywhere("it sells again", [&](int node) { return Claim(node, {.user = "alice", .token = token}).ok(); });
  EXPECT_EQ(Claim(0, {.user = "bob"}).reason, "PURCHASE_TOKEN_REQUIRED");
}

TEST_F(FrontDoorFaultTest, WithoutZookeeperAChangeIsFoundByTheNodesThemselves) {
  ASSERT_TRUE(cluster_->zookeeper().Kill().ok());
  StorePolicy(TokenPolicy());
  const absl::Duration took = AwaitClaims("PURCHASE_TOKEN_REQUIRED");
  std::cout << "without ZooKeeper a policy was effective after " << took << std::endl;
  EXPECT_LT(took, absl::Seconds(15)) << "the nodes look every five seconds";
  ASSERT_TRUE(cluster_->zookeeper().Start().ok());
  RemovePolicy();
  AwaitClaims("");
}

// As after a roll back: a newer version has stored it. To let everybody in would be wrong, and to let nobody in, too.
TEST_F(FrontDoorFaultTest, ANodeThatCannotReadAPolicySendsBuyersElsewhere) {
  SetPolicy(TokenPolicy());
  const absl::Status changed = ExecuteSql(cluster_->postgres().dsn(), kPolicyOfTheFuture);
  ASSERT_TRUE(changed.ok()) << changed;
  const absl::Status restarted = cluster_->RestartNode(0);
  ASSERT_TRUE(restarted.ok()) << restarted;
  const DoorAnswer elsewhere = Claim(0, {.user = "alice"});
  EXPECT_EQ(elsewhere.code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(elsewhere.reason, "EXHAUSTED_HERE");
  EXPECT_EQ(Enter(0, "alice").reason, "EXHAUSTED_HERE") << "who enters, too";
  EXPECT_EQ(Claim(1, {.user = "alice"}).reason, "PURCHASE_TOKEN_REQUIRED");

  v1::ListFrontPoliciesRequest request;
  v1::ListFrontPoliciesResponse response;
  const grpc::Status listed = nodes_[0].admin->ListFrontPolicies(Context().get(), request, &response);
  ASSERT_TRUE(listed.ok()) << listed.error_message();
  ASSERT_EQ(response.policies_size(), 1);
  EXPECT_FALSE(response.policies(0).has_policy());
  EXPECT_NE(response.policies(0).unreadable(), "");
}

// A node that looks between the restore and the next change finds a smaller number than it knows; one that does not
// look finds the number that it knows, with another stamp. Either way it reads everything anew.
TEST_F(FrontDoorFaultTest, AfterARestoreTheDoorIsWhatTheLedgerSays) {
  SaveDoor();
  StorePolicy(TokenPolicy());
  AwaitClaims("PURCHASE_TOKEN_REQUIRED");
  RestoreDoor();
  Deny("mallory");
  AwaitDenied("mallory");
  AwaitClaims("");
}

}  // namespace
}  // namespace tranche::testing
