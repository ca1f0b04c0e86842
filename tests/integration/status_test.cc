// `tranchectl status` on real servers: what is stopped is named within a minute, and the status clears by itself.
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/tranchectl_runner.h"

namespace tranche::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr absl::Duration kNamedWithin = absl::Seconds(60);

class StatusFixture : public SaleTest, protected TranchectlRunner {
 protected:
  void StartHealthy() {
    MiniClusterOptions options;
    options.nodes = 2;
    options.zookeeper_session_timeout = absl::Seconds(2);
    StartCluster(options);
    OpenSale("tv", 100, /*hold=*/absl::Minutes(15));
    AwaitHealthy();
    // A process that ended before its first heartbeat was never heard of.
    Await("a balancer that says that it leads", [](const json& status) {
      return std::any_of(status["shards"][0]["balancers"].begin(), status["shards"][0]["balancers"].end(),
                         [](const json& balancer) { return balancer["leads"] == true; });
    });
  }

  // The first node answers throughout. Whatever is down, the call is bounded, and no error.
  json Status() {
    const absl::Time begin = absl::Now();
    const int exit_status = RunCtlAt(cluster_->endpoint(0), {"status", "-o", "json"});
    EXPECT_LT(absl::Now() - begin, absl::Seconds(8)) << out_ << err_;
    json status = json::parse(out_, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(status.is_object()) << out_ << err_;
    const bool healthy = std::all_of(status["problems"].begin(), status["problems"].end(), [](const json& problem) {
      return problem["severity"] == "PROBLEM_SEVERITY_NOTICE";
    });
    EXPECT_EQ(exit_status, healthy ? 0 : 3);
    return status;
  }
  // By code.
  static std::map<std::string, json> ProblemsIn(const json& status) {
    std::map<std::string, json> problems;
    for (const json& problem : status["problems"]) problems[problem["code"]] = problem;
    return problems;
  }
  std::string TextOf(const std::string& code) { return ProblemsIn(Status())[code].value("text", ""); }

  void Await(const std::string& what, const std::function<bool(const json& status)>& is_so) {
    const absl::Time give_up = absl::Now() + kNamedWithin;
    while (!is_so(Status())) {
      ASSERT_LT(absl::Now(), give_up) << "never: " << what << "; the last answer: " << out_ << err_;
      RestBetweenLooks();
    }
  }
  void AwaitNamed(const std::string& code) {
    Await(code, [&](const json& status) { return ProblemsIn(status).contains(code); });
  }
  void AwaitCleared(const std::string& code) {
    Await(absl::StrCat(code, " cleared"), [&](const json& status) { return !ProblemsIn(status).contains(code); });
  }
  void AwaitHealthy() {
    ASSERT_EQ(
        RunCtlAt(cluster_->endpoint(0), {"status", "--exit-when-healthy", "--interval", "100ms", "--timeout", "60s"}),
        0)
        << out_ << err_;
  }
};

// Each case ends with a healthy cluster and leaves it to the next one: starting one, and hearing of all its processes,
// takes as long as most cases.
class StatusTest : public StatusFixture {
 protected:
  static void TearDownTestSuite() { healthy_.reset(); }
  void SetUp() override {
    if (healthy_ == nullptr) {
      StartHealthy();
      return;
    }
    cluster_ = std::move(healthy_);
    client_ = ClientOf(cluster_->endpoints());
    AwaitHealthy();
  }
  void TearDown() override {
    client_.reset();
    if (!HasFailure()) healthy_ = std::move(cluster_);
  }

  ServerProcess& LastWorker() { return cluster_->worker(cluster_->workers() - 1); }
  ServerProcess& LastBalancer() { return cluster_->balancer(cluster_->balancers() - 1); }

 private:
  static std::unique_ptr<MiniCluster> healthy_;
};
std::unique_ptr<MiniCluster> StatusTest::healthy_;

// Loses a node for good.
class StatusOfALossTest : public StatusFixture {
 protected:
  void SetUp() override { StartHealthy(); }
};

TEST_F(StatusTest, TopShowsWhatIsBought) {
  const absl::Time give_up = absl::Now() + kNamedWithin;
  int buyers = 0;
  bool shown = false;
  do {
    ASSERT_LT(absl::Now(), give_up) << "never reported: " << out_;
    client_->Create({.sku = "tv", .user = absl::StrCat("u", ++buyers)}).status().IgnoreError();
    json traffic = JsonAt(cluster_->endpoint(0), {"top", "--once"});
    // Others may be shown, too. The units are absent when the ledger takes longer than the question may.
    const json& skus = traffic["skus"];
    shown = std::any_of(skus.begin(), skus.end(),
                        [](const json& sku) { return sku.value("sku_id", "") == "tv" && sku.contains("unsold"); });
  } while (!shown);
}

TEST_F(StatusTest, ABalancerThatIsStoppedIsMissedUntilAnotherLeads) {
  ASSERT_TRUE(LastBalancer().Terminate(absl::Seconds(20)).ok());
  AwaitNamed("NO_BALANCER");
  EXPECT_THAT(TextOf("NO_BALANCER"), ContainsRegex("none leads since [0-9:]+"));
  ASSERT_TRUE(cluster_->StartBalancer().ok());
  AwaitHealthy();
}

TEST_F(StatusOfALossTest, ANodeThatDiesIsNamedUntilItsUnitsAreBack) {
  WaitUntilShared("tv", 100);
  ASSERT_TRUE(cluster_->balancer(0).Kill().ok());
  ASSERT_TRUE(cluster_->KillNode(1).ok());
  AwaitNamed("NODE_GONE");
  EXPECT_THAT(TextOf("NODE_GONE"), HasSubstr("50 units"));
  AwaitNamed("NO_BALANCER");
  ASSERT_TRUE(cluster_->StartBalancer().ok());
  AwaitHealthy();
  const json status = Status();
  ASSERT_EQ(status["gone_nodes"].size(), 1U) << "it is still told for an hour";
  EXPECT_EQ(status["gone_nodes"][0]["units"], "0");
  EXPECT_TRUE(status["gone_nodes"][0].contains("end_time"));
  EXPECT_EQ(status["nodes"].size(), 1U);
}

TEST_F(StatusTest, ZookeeperThatIsDownIsNamed) {
  ASSERT_TRUE(cluster_->zookeeper().Stop().ok());
  AwaitNamed("ZOOKEEPER_SILENT");
  EXPECT_EQ(Status()["shards"][0]["answers"], true);
  ASSERT_TRUE(cluster_->zookeeper().Start().ok());
  AwaitHealthy();
}

TEST_F(StatusTest, PostgresThatIsDownOrHangsIsNamed) {
  ASSERT_TRUE(cluster_->postgres().Stop().ok());
  AwaitNamed("LEDGER_DOWN");
  EXPECT_EQ(Status()["nodes"].size(), 2U) << "ZooKeeper knows them";
  ASSERT_TRUE(cluster_->postgres().Start().ok());
  AwaitHealthy();
  ASSERT_TRUE(cluster_->postgres().Suspend().ok());
  AwaitNamed("LEDGER_DOWN");
  ASSERT_TRUE(cluster_->postgres().Resume().ok());
  AwaitHealthy();
}

TEST_F(StatusTest, AWorkerThatDiesIsMissedAndHoldsThatNobodyExpiresAreNamedWhereTheyHurt) {
  OpenSale("cam", 1, /*hold=*/absl::Seconds(1));
  ASSERT_TRUE(LastWorker().Kill().ok());
  ASSERT_TRUE(client_->Create({.sku = "cam", .user = "alice"}).ok());
  AwaitNamed("HOLDS_OVERDUE");
  AwaitNamed("NO_WORKER");
  EXPECT_THAT(TextOf("NO_WORKER"), ContainsRegex("since [0-9:]+"));
  const json cam = JsonAt(cluster_->endpoint(0), {"sku", "show", "cam"});
  EXPECT_EQ(cam["pending"], "1");
  EXPECT_EQ(cam["overdue"], "1");
  EXPECT_EQ(cam["confirmed"], "0");
  EXPECT_THAT(TableAt(cluster_->endpoint(0), {"sku", "close", "cam"}), HasSubstr("1 (1 pending, 1 overdue)"));
  EXPECT_EQ(RunCtlAt(cluster_->endpoint(0), {"reservation", "create", "--user", "bob", "cam"}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("SOLD_OUT"), HasSubstr("cause: 1 unpaid hold"),
                          HasSubstr("No worker of shard home"), HasSubstr("next: start tranche-worker")));
  ASSERT_TRUE(cluster_->StartWorker().ok());
  AwaitCleared("HOLDS_OVERDUE");
  AwaitCleared("NO_WORKER");
  // A shard that is slow to answer names no problem either.
  const absl::Time give_up = absl::Now() + kNamedWithin;
  while (JsonAt(cluster_->endpoint(0), {"sku", "show", "cam"})["pending"] != "0") {
    ASSERT_LT(absl::Now(), give_up) << "never expired: " << out_;
    RestBetweenLooks();
  }
  AwaitHealthy();
}

}  // namespace
}  // namespace tranche::testing
