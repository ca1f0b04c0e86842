// tranchectl against a fake admin service: where units are, and the nodes that hold them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/integration/tranchectl_fixture.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(TranchectlTest, QuotaShowSaysWhyUnitsStay) {
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_EQ(err_, "") << "nothing is wrong that would explain it";
  admin_.AddProblem("NO_BALANCER", "No balancer leads since 14:03:21.");
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_THAT(err_, AllOf(HasSubstr("note: No balancer leads since 14:03:21."), HasSubstr("next: mend it")));
}

TEST_F(TranchectlTest, QuotaIsChangedOnlyAsPreviewed) {
  ASSERT_EQ(Ctl({"quota", "set", "tv", "node-1", "50"}), 0);
  EXPECT_THAT(out_, HasSubstr("100 -> 50"));
  EXPECT_THAT(out_, HasSubstr("20 -> 70"));
  EXPECT_THAT(err_, HasSubstr("--yes --expect-version 7"));
  ASSERT_EQ(admin_.set_quota_requests.size(), 1u);
  EXPECT_TRUE(admin_.set_quota_requests[0].preview());

  ASSERT_EQ(Ctl({"quota", "set", "tv", "node-1", "50", "--yes", "--expect-version", "7"}), 0);
  ASSERT_EQ(admin_.set_quota_requests.size(), 3u);
  EXPECT_FALSE(admin_.set_quota_requests[2].preview());
  EXPECT_EQ(admin_.set_quota_requests[2].expected_quota_version(), 7);

  EXPECT_EQ(Ctl({"quota", "set", "tv", "node-1", "60", "--yes", "--expect-version", "7"}), 2);
  EXPECT_THAT(err_, HasSubstr("QUOTA_VERSION_CHANGED"));
  EXPECT_THAT(err_, HasSubstr("preview again"));
}

TEST_F(TranchectlTest, AChangeOfQuotaIsPreviewedAnewWhenTheBalancerWasQuicker) {
  admin_.balancer_moves = 2;
  EXPECT_EQ(Ctl({"quota", "set", "tv", "node-1", "50", "--yes"}), 0) << err_;
  EXPECT_EQ(admin_.set_quota_requests.size(), 6U) << "twice in vain";
  EXPECT_EQ(admin_.set_quota_requests.back().expected_quota_version(), 9);
  admin_.balancer_moves = 1;
  EXPECT_EQ(Ctl({"quota", "set", "tv", "node-1", "60", "--yes", "--expect-version", "8"}), 2) << "as previewed, or not";
  EXPECT_THAT(err_, HasSubstr("QUOTA_VERSION_CHANGED"));
  admin_.balancer_moves = 1000;
  EXPECT_EQ(Ctl({"quota", "set", "tv", "node-1", "60", "--yes"}), 2) << "not for ever";
}

TEST_F(TranchectlTest, QuotaShowsPoolAndNodes) {
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_THAT(out_, HasSubstr("(pool)"));
  EXPECT_THAT(out_, HasSubstr("120 unsold"));
  ASSERT_EQ(Ctl({"quota", "show", "tv", "-o", "wide"}), 0);
  EXPECT_THAT(out_, HasSubstr("880"));  // spent by node-1
}

TEST_F(TranchectlTest, TwoNodesOfOneNameAreToldApart) {
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_THAT(out_, Not(HasSubstr("#")));
  admin_.RenameNode(2, "node-1");
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_THAT(out_, HasSubstr("node-1#3"));
  EXPECT_THAT(out_, HasSubstr("node-1#4"));
}

TEST_F(TranchectlTest, TablesFitATerminalOf80Characters) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"sku", "list"}, {"sku", "show", "tv"}, {"quota", "show", "tv"}}) {
    ASSERT_EQ(Ctl(command), 0) << err_;
    std::istringstream lines(out_);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
    std::vector<std::string> wide = command;
    wide.insert(wide.end(), {"-o", "wide"});
    EXPECT_EQ(Ctl(wide), 0) << err_;
  }
  ASSERT_EQ(Ctl({"sku", "list", "-o", "wide"}), 0);
  EXPECT_THAT(out_, HasSubstr("TITLE"));
}

TEST_F(TranchectlTest, QuotaShowMarksWhoLagsAndWhatIsNotReported) {
  ASSERT_EQ(Ctl({"quota", "show", "tv"}), 0);
  EXPECT_THAT(out_, HasSubstr("0.4s LAGS"));
  EXPECT_THAT(out_, HasSubstr("12.2"));
  EXPECT_THAT(out_, HasSubstr("31.5")) << "asked for after sell-out";
  EXPECT_THAT(out_, ::testing::ContainsRegex("node-2 +0 +- +- +- +- +-\n"));
  ASSERT_EQ(Ctl({"quota", "show", "tv", "-o", "wide"}), 0);
  EXPECT_THAT(out_, HasSubstr("6 LAGS"));
  EXPECT_THAT(out_, ::testing::ContainsRegex("node-2 +4 +0 +0 +0 +- +- +- +- +- +- +0 +0 +-\n"));
}

TEST_F(TranchectlTest, MoveSendsBothEndsAndPrintsWarnings) {
  ASSERT_EQ(Ctl({"quota", "move", "tv", "--from", "node-1", "--to", "pool", "25"}), 0) << err_;
  ASSERT_EQ(admin_.move_requests.size(), 1u);
  EXPECT_TRUE(admin_.move_requests[0].preview());
  EXPECT_EQ(admin_.move_requests[0].from(), "node-1");
  EXPECT_EQ(admin_.move_requests[0].to(), "pool");
  EXPECT_EQ(admin_.move_requests[0].units(), 25);
  EXPECT_THAT(err_, HasSubstr("warning: mind the pool"));
  ASSERT_EQ(Ctl({"quota", "move", "tv", "25", "--from", "node-1", "--to", "pool", "--yes", "-o", "json"}), 0);
  EXPECT_EQ(admin_.move_requests.back().expected_quota_version(), 7);
  EXPECT_EQ(nlohmann::json::parse(out_)["units_moved"], "25");
  EXPECT_EQ(nlohmann::json::parse(out_)["warnings"][0], "mind the pool");
}

TEST_F(TranchectlTest, RebalanceSendsPolicyAndWeights) {
  ASSERT_EQ(Ctl({"quota", "rebalance", "--policy", "weights", "--weight", "node-1=3", "--weight", "node-2=1", "tv"}), 0)
      << err_;
  const tranche::v1::RebalanceQuotaRequest& request = admin_.rebalance_requests[0];
  EXPECT_EQ(request.sku_id(), "tv");
  EXPECT_EQ(request.policy(), tranche::v1::REBALANCE_POLICY_WEIGHTS);
  ASSERT_EQ(request.weights_size(), 2);
  EXPECT_EQ(request.weights(1).node(), "node-2");
  EXPECT_EQ(request.weights(1).weight(), 1);
  ASSERT_EQ(Ctl({"quota", "rebalance", "tv"}), 0);
  EXPECT_EQ(admin_.rebalance_requests[1].policy(), tranche::v1::REBALANCE_POLICY_EQUAL);
  EXPECT_EQ(Ctl({"quota", "rebalance", "tv", "--weight", "node-1=3"}), 1) << "weights without their policy";
  EXPECT_EQ(Ctl({"quota", "rebalance", "tv", "--policy", "weights"}), 1);
  EXPECT_EQ(Ctl({"quota", "rebalance", "tv", "--policy", "weights", "--weight", "node-1"}), 1);
  EXPECT_EQ(Ctl({"quota", "rebalance", "tv", "--policy", "even"}), 1);
}

TEST_F(TranchectlTest, DrainNeedsYesAndWaitsUnlessToldToExit) {
  ASSERT_EQ(Ctl({"node", "drain", "node-1"}), 0);
  EXPECT_FALSE(admin_.drained);
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "-y"}), 0);
  EXPECT_TRUE(admin_.drained);
  EXPECT_TRUE(admin_.stays);
  EXPECT_THAT(out_, HasSubstr("SERVING -> DRAINING"));
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "-y", "--exit"}), 0);
  EXPECT_FALSE(admin_.stays);
}

TEST_F(TranchectlTest, APreviewOfADrainTellsWhatItCosts) {
  ASSERT_EQ(Ctl({"node", "drain", "node-1"}), 0);
  EXPECT_THAT(out_, HasSubstr("17"));
  EXPECT_THAT(err_, HasSubstr("warning: it is the last"));
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "-o", "json"}), 0);
  const auto preview = nlohmann::json::parse(out_);
  EXPECT_EQ(preview["warnings"][0], "it is the last");
  EXPECT_EQ(preview["before"]["units_held"], "17");
  EXPECT_FALSE(preview["after"].contains("units_held")) << "it was not counted";
}

// The cluster counts the units of nodes that drain; of the others it says 0, whatever they hold.
TEST_F(TranchectlTest, NodeListTellsUnitsOnlyWhereTheyWereCounted) {
  using tranche::v1::NodeState;
  const auto list = [this](const std::string& name, NodeState state, int64_t units) {
    tranche::v1::Node* node = admin_.listed_nodes.add_nodes();
    node->set_name(name);
    node->set_state(state);
    node->set_draining(state != NodeState::NODE_STATE_SERVING);
    node->set_units_held(units);
  };
  list("serving", NodeState::NODE_STATE_SERVING, 0);
  list("draining", NodeState::NODE_STATE_DRAINING, 17);
  list("untold", NodeState::NODE_STATE_DRAINING, 0);
  list("drained", NodeState::NODE_STATE_DRAINED, 0);
  ASSERT_EQ(Ctl({"node", "list", "-o", "json"}), 0) << err_;
  const auto nodes = nlohmann::json::parse(out_)["nodes"];
  ASSERT_EQ(nodes.size(), 4u);
  EXPECT_FALSE(nodes[0].contains("units_held"));
  EXPECT_EQ(nodes[0]["state"], "NODE_STATE_SERVING");
  EXPECT_EQ(nodes[1]["units_held"], "17");
  EXPECT_FALSE(nodes[2].contains("units_held")) << "the ledger did not tell";
  EXPECT_EQ(nodes[3]["units_held"], "0");
  ASSERT_EQ(Ctl({"node", "list"}), 0) << err_;
  for (const char* row : {"SERVING +- +node\n", "DRAINING +17 +node\n", "DRAINING +- +node\n", "DRAINED +0 +node\n"}) {
    EXPECT_THAT(out_, ::testing::ContainsRegex(row));
  }
}

TEST_F(TranchectlTest, DrainWaitsUntilItIsDoneIfAsked) {
  EXPECT_EQ(Ctl({"node", "drain", "node-1", "--wait"}), 1) << "for what?";
  EXPECT_EQ(admin_.node_looks, 0);
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "--wait", "--yes"}), 0) << err_;
  EXPECT_EQ(admin_.node_looks, 4);
  EXPECT_THAT(err_, HasSubstr("still holds 17 units"));
  EXPECT_THAT(err_, HasSubstr("asking again: COORDINATION_UNAVAILABLE")) << "it did not answer once";
  EXPECT_THAT(err_, HasSubstr("node-1 is drained"));
  admin_.node_looks = 0;
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "--wait", "--yes", "--exit"}), 0) << err_;
  EXPECT_EQ(admin_.node_looks, 5);
  EXPECT_THAT(err_, HasSubstr("node-1 has left"));
  admin_.node_looks = 4;
  EXPECT_EQ(Ctl({"node", "drain", "node-1", "--wait", "--yes"}), 2) << "a frozen node comes back, and serves";
  EXPECT_THAT(err_, HasSubstr("lost before it was drained"));
}

TEST_F(TranchectlTest, APreviewSaysWhenThereIsNothingToDo) {
  admin_.SetSku(tranche::v1::SKU_STATE_OPEN, /*frozen=*/true);
  ASSERT_EQ(Ctl({"quota", "freeze", "tv"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  EXPECT_THAT(err_, Not(HasSubstr("--yes")));
  ASSERT_EQ(Ctl({"quota", "thaw", "tv"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("--yes"));
  ASSERT_EQ(Ctl({"node", "undrain", "node-1"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  ASSERT_EQ(Ctl({"quota", "rebalance", "tv"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  admin_.drains = true;
  ASSERT_EQ(Ctl({"node", "undrain", "node-1"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("--yes"));
  ASSERT_EQ(Ctl({"node", "drain", "node-1", "--exit"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("drains already: nothing would change, except that its process would end"));
}

}  // namespace
}  // namespace tranche::ctl
