// tranchectl against a real cluster: every command, as a table and as JSON.
#include <gmock/gmock.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl/run.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/sessions.h"
#include "tests/support/tranchectl_runner.h"

namespace tranche::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Duration kPatience = absl::Seconds(30);

class TranchectlClusterTest : public SaleTest, protected TranchectlRunner {
 protected:
  void SetUp() override {
    MiniClusterOptions options;
    options.nodes = 2;
    options.zookeeper_session_timeout = absl::Seconds(3);
    StartCluster(options);
  }

  // The second node answers: the first one is drained here and there.
  int Run(std::vector<std::string> arguments) { return RunCtlAt(cluster_->endpoint(1), std::move(arguments)); }
  std::string Table(const std::vector<std::string>& arguments) { return TableAt(cluster_->endpoint(1), arguments); }
  json Json(std::vector<std::string> arguments) { return JsonAt(cluster_->endpoint(1), std::move(arguments)); }
  // Asks again until it holds: the balancer and the nodes need a moment.
  void AwaitTrue(const char* what, const std::function<bool()>& is_so) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (!is_so()) {
      ASSERT_LT(absl::Now(), give_up) << "never: " << what << "; the last answer: " << out_ << err_;
      RestBetweenLooks();
    }
  }

  void CreateTv() {
    ASSERT_EQ(Run({"sku", "create", "tv", "--stock", "100", "--price", "499.00"}), 0) << err_;
    WaitUntilAnnounced("tv", 100);
  }
  // The quota of a frozen SKU stays as a command left it, so that the test can check it.
  void CreateFrozenTv() {
    CreateTv();
    WaitUntilShared("tv", 100);
    ASSERT_EQ(Run({"quota", "freeze", "tv", "--yes"}), 0) << err_;
  }
  // By its place in the cluster; node names are addresses here.
  std::string NameOf(int node) {
    const json nodes = Json({"node", "list"});
    for (const json& listed : nodes["nodes"]) {
      if (listed["address"] == cluster_->endpoint(node)) return listed["name"];
    }
    ADD_FAILURE() << "node " << node << " is not listed: " << out_;
    return "";
  }
  std::string StateOf(int node) {
    const json nodes = Json({"node", "list"});
    for (const json& listed : nodes["nodes"]) {
      if (listed["address"] == cluster_->endpoint(node)) return listed["state"];
    }
    return "";
  }
  // Units that remain at a node, or in the pool.
  int64_t Remaining(const std::string& name, const std::string& sku = "tv") {
    const json quota = Json({"quota", "show", sku});
    for (const json& slice : quota["slices"]) {
      const bool pool = slice["incarnation"] == "0";
      if (name == (pool ? "pool" : slice["node_name"])) return std::stoll(slice["remaining"].get<std::string>());
    }
    return 0;
  }
  // What `zk rebuild` still finds missing.
  int64_t Missing() {
    int64_t missing = 0;
    const json counts = Json({"zk", "rebuild"});
    for (const auto& [kind, count] : counts.items()) {
      if (count.is_object()) missing += std::stoll(count["missing"].get<std::string>());
    }
    return missing;
  }
};

TEST_F(TranchectlClusterTest, SkusAndStock) {
  CreateTv();
  ASSERT_EQ(Run({"sku", "create", "spare", "--stock", "12", "--price", "8.50", "--no-presplit"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("ON DEMAND"));
  EXPECT_THAT(Table({"sku", "list"}), ContainsRegex("tv +OPEN +100 .*499.00 EUR +home"));
  EXPECT_EQ(Json({"sku", "list"})["skus"].size(), 2u);
  EXPECT_EQ(Json({"sku", "show", "spare"})["on_demand"], true);
  // The balancer has finished a round: it has announced what came before. And this SKU's units are still in the pool.
  OpenSale("phone", 10);
  EXPECT_EQ(Remaining("pool", "spare"), 12);

  EXPECT_THAT(Table({"stock", "add", "tv", "50"}), HasSubstr("100 -> 150"));
  EXPECT_THAT(err_, HasSubstr("--yes --expect-stock 100"));
  EXPECT_EQ(Json({"sku", "show", "tv"})["stock"], "100") << "a preview changes nothing";
  EXPECT_EQ(Json({"stock", "add", "tv", "50", "--yes", "--expect-stock", "100"})["after"]["stock"], "150");
  EXPECT_EQ(Run({"stock", "add", "tv", "50", "--yes", "--expect-stock", "100"}), 2);
  EXPECT_THAT(err_, HasSubstr("STOCK_CHANGED"));
  EXPECT_THAT(err_, ContainsRegex("now 150, last changed by .*@.* at 20.*add_stock"));
  EXPECT_EQ(Json({"stock", "reduce", "tv", "500"})["units_taken"], "150");
  const json reduced = Json({"stock", "reduce", "tv", "30", "-y"});
  EXPECT_EQ(reduced["units_taken"], "30");
  EXPECT_EQ(reduced["before"]["stock"], "150");
  EXPECT_EQ(reduced["after"]["stock"], "120");
  EXPECT_THAT(Table({"stock", "reduce", "tv", "500", "--yes"}), HasSubstr("120 -> 0"));
  EXPECT_THAT(err_, HasSubstr("Only 120 of 500"));

  EXPECT_THAT(Table({"sku", "show", "tv"}), ContainsRegex("state +SOLD_OUT"));
  EXPECT_THAT(Table({"sku", "close", "tv"}), HasSubstr("SOLD_OUT -> CLOSED"));
  EXPECT_THAT(err_, AllOf(HasSubstr("tranchectl sku reopen tv"), HasSubstr("late payments are refunded")));
  EXPECT_THAT(Table({"sku", "close", "tv", "--yes"}), HasSubstr("SOLD_OUT -> CLOSED"));
  Table({"sku", "close", "tv"});
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  EXPECT_THAT(Table({"sku", "reopen", "tv"}), HasSubstr("CLOSED -> SOLD_OUT"));
  EXPECT_EQ(Json({"sku", "reopen", "tv", "--yes"})["after"]["state"], "SKU_STATE_SOLD_OUT");
  EXPECT_EQ(Run({"sku", "create", "late", "--stock", "1", "--price", "1", "--closes-at", "2020-01-01T00:00:00Z"}), 1);
  EXPECT_THAT(err_, HasSubstr("in the future"));
  EXPECT_EQ(Run({"sku", "create", "odd", "--stock", "1", "--price", "1", "--currency", "EUX"}), 1);
  EXPECT_EQ(Run({"sku", "show", "radio"}), 2);
  EXPECT_THAT(err_, HasSubstr("SKU_NOT_FOUND"));
  CheckLedger();
}

TEST_F(TranchectlClusterTest, QuotaIsMovedRebalancedFrozenAndThawed) {
  CreateTv();
  const std::string first = NameOf(0);
  const std::string second = NameOf(1);
  EXPECT_THAT(Table({"quota", "freeze", "tv"}), HasSubstr("PRESPLIT -> PRESPLIT, FROZEN"));
  EXPECT_EQ(Json({"sku", "show", "tv"})["quota_frozen"], false) << "a preview changes nothing";
  EXPECT_EQ(Json({"quota", "freeze", "tv", "--yes"})["after"]["quota_frozen"], true);
  EXPECT_THAT(Table({"sku", "show", "tv"}), HasSubstr("FROZEN"));

  ASSERT_EQ(Run({"quota", "set", "tv", first, "10", "--yes"}), 0) << err_;
  EXPECT_EQ(Remaining(second), 90);
  EXPECT_THAT(Table({"quota", "move", "tv", "--from", second, "--to", first, "20"}), HasSubstr("10 -> 30"));
  EXPECT_EQ(Remaining(first), 10) << "a preview changes nothing";
  const json moved = Json({"quota", "move", "tv", "--from", second, "--to", first, "20", "--yes"});
  EXPECT_EQ(moved["units_moved"], "20");
  EXPECT_EQ(moved["warnings"].size(), 0u);
  EXPECT_EQ(Run({"quota", "move", "tv", "--from", first, "--to", "pool", "31", "--yes"}), 2);
  EXPECT_THAT(err_, HasSubstr("INSUFFICIENT_UNITS"));
  EXPECT_THAT(err_, HasSubstr("Only 30 units remain"));
  ASSERT_EQ(Run({"quota", "move", "tv", "--from", first, "--to", "pool", "30", "--yes"}), 0) << err_;
  OpenSale("phone", 10);  // the balancer does a round
  EXPECT_EQ(Remaining("pool"), 30) << "frozen";

  EXPECT_THAT(Table({"quota", "rebalance", "tv", "--policy", "weights", "--weight", first + "=1"}),
              HasSubstr("70 -> 0"));
  EXPECT_THAT(err_, HasSubstr("left with nothing: " + second));
  ASSERT_EQ(Run({"quota", "rebalance", "tv", "--policy", "weights", "--weight", first + "=3", "--weight", second + "=1",
                 "--yes"}),
            0)
      << err_;
  EXPECT_EQ(Remaining(first), 75);
  ASSERT_EQ(Run({"quota", "rebalance", "tv", "--yes"}), 0) << err_;
  EXPECT_EQ(Remaining(first), 50);
  EXPECT_EQ(Json({"quota", "rebalance", "tv", "--policy", "demand", "--yes"})["warnings"].size(), 1u)
      << "nobody asks for it";
  EXPECT_EQ(Run({"quota", "rebalance", "tv", "--policy", "weights", "--weight", "nobody=1"}), 2);
  EXPECT_THAT(err_, HasSubstr("NODE_NOT_FOUND"));

  ASSERT_EQ(Run({"quota", "move", "tv", "--from", first, "--to", "pool", "30", "--yes"}), 0) << err_;
  EXPECT_EQ(Json({"quota", "thaw", "tv", "--yes"})["after"]["quota_frozen"], false);
  WaitUntilAnnounced("tv", 100);
  EXPECT_THAT(Table({"quota", "move", "tv", "--from", first, "--to", "pool", "1"}), HasSubstr("0 -> 1"));
  EXPECT_THAT(err_, HasSubstr("quota freeze tv")) << "what is thawed does not stay in the pool";
  CheckLedger();
}

TEST_F(TranchectlClusterTest, AnOutdatedVersionIsRefusedWithThePersonWhoWasLast) {
  CreateFrozenTv();
  const std::string first = NameOf(0);
  const std::string seen = Json({"quota", "show", "tv"})["quota_version"];
  ASSERT_EQ(Run({"quota", "set", "tv", first, "10", "--yes", "--expect-version", seen}), 0) << err_;
  EXPECT_EQ(Run({"quota", "set", "tv", first, "20", "--yes", "--expect-version", seen}), 2);
  EXPECT_THAT(err_, HasSubstr("QUOTA_VERSION_CHANGED"));
  EXPECT_THAT(err_, ContainsRegex("a person made was move_units by .*@.* at 20"));
  EXPECT_EQ(Remaining(first), 10);

  const json audit = Json({"audit", "--sku", "tv", "--limit", "2"});
  ASSERT_EQ(audit["entries"].size(), 2u);
  EXPECT_EQ(audit["entries"][0]["action"], "move_units");
  EXPECT_THAT(audit["entries"][0]["actor"], HasSubstr("@"));
  EXPECT_EQ(audit["entries"][1]["action"], "freeze_quota");
  EXPECT_THAT(Table({"audit", "--sku", "tv", "--limit", "1"}), ContainsRegex("move_units +tv .*50 -> 10"));
  EXPECT_EQ(Run({"audit", "--sku", "radio"}), 2);
}

TEST_F(TranchectlClusterTest, QuotaShowTellsWhatTheNodesReport) {
  CreateTv();
  const auto client = ClientOf({cluster_->endpoint(0)});
  ASSERT_TRUE(client->Create({.sku = "tv", .user = "alice", .reservation_id = ""}).ok());
  const std::string first = NameOf(0);
  // Its report follows, and names the SKU while there are requests.
  AwaitTrue("a report names the SKU", [&] {
    const auto again =
        client->Create({.sku = "tv", .user = absl::StrCat("b", absl::GetCurrentTimeNanos()), .reservation_id = ""});
    const json quota = Json({"quota", "show", "tv"});
    for (const json& slice : quota["slices"]) {
      if (slice.contains("node_name") && slice["node_name"] == first && slice.contains("report") &&
          slice["report"].contains("activity")) {
        return slice["report"]["activity"]["grants_per_s"].get<double>() > 0;
      }
    }
    return false;
  });
  EXPECT_THAT(Table({"quota", "show", "tv"}), ContainsRegex("[0-9.]+s"));
  EXPECT_THAT(out_, HasSubstr("presplit"));

  std::istringstream lines(
      LinesOf(3, cluster_->endpoint(1), {"quota", "show", "tv", "--watch", "--interval", "10ms", "-o", "json"}));
  int objects = 0;
  for (std::string line; std::getline(lines, line); ++objects) EXPECT_EQ(json::parse(line)["sku_id"], "tv");
  EXPECT_EQ(objects, 3);
}

TEST_F(TranchectlClusterTest, NodesAreDrainedUndrainedAndEnded) {
  CreateTv();
  const std::string first = NameOf(0);
  EXPECT_THAT(Table({"node", "list"}), ContainsRegex("SERVING.*SERVING"));
  EXPECT_THAT(Table({"node", "drain", first}), HasSubstr("SERVING -> DRAINING"));
  EXPECT_EQ(StateOf(0), "NODE_STATE_SERVING") << "a preview changes nothing";
  ASSERT_EQ(Run({"node", "drain", first, "--yes", "--wait"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("is drained"));
  EXPECT_EQ(StateOf(0), "NODE_STATE_DRAINED");
  EXPECT_EQ(Json({"node", "drain", NameOf(1)})["warnings"].size(), 1u) << "it is the last that serves";
  EXPECT_THAT(Table({"node", "list"}), HasSubstr("DRAINED"));
  EXPECT_EQ(Remaining(first), 0);
  EXPECT_EQ(Run({"quota", "set", "tv", first, "10", "--yes"}), 2);
  EXPECT_THAT(err_, HasSubstr("NODE_DRAINING"));
  EXPECT_THAT(err_, HasSubstr("undrain"));

  EXPECT_THAT(Table({"node", "undrain", first, "--yes"}), HasSubstr("DRAINED -> SERVING"));
  AwaitTrue("units again", [&] { return Remaining(first) > 0; });
  EXPECT_THAT(Table({"audit", "--limit", "200"}), HasSubstr("undrain_incarnation"));

  ASSERT_EQ(Run({"node", "drain", first, "--exit", "--yes", "--wait"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("has left"));
  const auto status = cluster_->node(0).process().Wait(kPatience);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(*status, 0);
  WaitUntilAnnounced("tv", 100);
  EXPECT_EQ(Run({"node", "undrain", first, "--yes"}), 2);
  EXPECT_THAT(err_, HasSubstr("NODE_NOT_FOUND"));
  EXPECT_THAT(Table({"verify"}), HasSubstr("ok:"));
}

TEST_F(TranchectlClusterTest, TheTreeIsShownAndRestored) {
  CreateTv();
  WaitUntilShared("tv", 100);
  EXPECT_EQ(Json({"zk", "rebuild"})["preview"], true);
  EXPECT_EQ(Missing(), 0);
  EXPECT_THAT(Table({"zk", "dump"}), ContainsRegex("/balancer/leader +[0-9]+ +ephemeral +[a-z]")) << "as text";
  EXPECT_GT(Json({"zk", "dump", "/slices"})["znodes"].size(), 2u);
  EXPECT_EQ(Run({"zk", "dump", "/slices/nope"}), 2);
  EXPECT_EQ(Run({"zk", "dump", "/"}), 0) << err_;
  EXPECT_EQ(Run({"zk", "rebuild"}), 0);
  EXPECT_THAT(err_, HasSubstr("othing would change"));
  EXPECT_EQ(Run({"zk", "rebuild", "--new-history"}), 0);
  EXPECT_THAT(err_, AllOf(HasSubstr("All incarnations would end"), HasSubstr("--yes"), Not(HasSubstr("othing would"))));

  // Without the balancer, which would repair it as well.
  ASSERT_TRUE(cluster_->balancer(0).Kill().ok());
  DeafObserver observer;
  quota::ZookeeperConnector connector(
      {.servers = cluster_->zookeeper().connect_string(), .root = cluster_->zookeeper_root()});
  const auto session = connector.Connect(&observer);
  ASSERT_TRUE(session.ok()) << session.status();
  std::vector<std::string> slices;
  const json dump = Json({"zk", "dump", "/slices"});
  for (const json& znode : dump["znodes"]) {
    if (znode["path"].get<std::string>().ends_with("/tv")) slices.push_back(znode["path"]);
  }
  ASSERT_EQ(slices.size(), 2u);
  for (const std::string& path : slices) ASSERT_TRUE((*session)->Delete(path, quota::kAnyVersion).ok());
  EXPECT_EQ(Missing(), 2);
  EXPECT_THAT(err_, HasSubstr("--yes"));
  EXPECT_THAT(Table({"zk", "rebuild", "--yes"}), ContainsRegex("slices +2 +2 +0"));
  EXPECT_EQ(Missing(), 0);
  WaitUntilAnnounced("tv", 100);
}

TEST_F(TranchectlClusterTest, AReservationFromTheFirstToTheLast) {
  CreateTv();
  const json created = Json({"reservation", "create", "--user", "alice", "tv"});
  const std::string id = created["reservations"][0]["reservation_id"];
  EXPECT_THAT(Table({"reservation", "get", id}), HasSubstr("PENDING"));
  EXPECT_THAT(Table({"reservation", "extend", id, "--by", "5m"}), HasSubstr("0 -> 1"));
  EXPECT_EQ(Json({"reservation", "get", id})["extensions"], 0) << "a preview changes nothing";
  EXPECT_EQ(Json({"reservation", "extend", id, "--by", "5m", "--yes"})["after"]["extensions"], 1);
  EXPECT_EQ(Run({"reservation", "confirm", id, "--payment", "pay-1", "--amount", "9.99"}), 2);
  EXPECT_THAT(err_, HasSubstr("PAYMENT_MISMATCH"));
  EXPECT_EQ(Run({"reservation", "extend", id, "--by", "10h"}), 2);
  EXPECT_THAT(err_, HasSubstr("HOLD_TOO_LONG"));
  EXPECT_THAT(Table({"reservation", "confirm", id, "--payment", "pay-1", "--amount", "499.00"}),
              HasSubstr("PENDING -> CONFIRMED"));
  EXPECT_EQ(Json({"reservation", "confirm", id, "--payment", "pay-1", "--amount", "499.00", "--yes"})["outcome"],
            "CONFIRMED");
  Table({"reservation", "confirm", id, "--payment", "pay-1", "--amount", "499.00"});
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  EXPECT_EQ(Run({"reservation", "cancel", id}), 2);
  EXPECT_THAT(err_, HasSubstr("RESERVATION_STATE"));
  EXPECT_EQ(Run({"reservation", "cancel", id, "--yes"}), 2);
  EXPECT_THAT(err_, HasSubstr("RESERVATION_STATE"));
  EXPECT_THAT(Table({"reservation", "confirm", id, "--payment", "pay-2", "--amount", "499.00"}),
              HasSubstr("CONFIRMED"));
  EXPECT_THAT(err_, HasSubstr("a refund asked for"));
  EXPECT_EQ(Json({"reservation", "get", id})["late_payments"].size(), 0u) << "a preview changes nothing";
  EXPECT_EQ(Run({"reservation", "confirm", id, "--payment", "pay-2", "--amount", "499.00", "--yes"}), 2);
  EXPECT_THAT(Table({"reservation", "get", id}), ContainsRegex("pay-2 +499.00 EUR .*refund requested"));
  EXPECT_THAT(Table({"reservation", "watch", id}), HasSubstr("CONFIRMED"));

  const json second = Json({"reservation", "create", "--user", "bob", "tv"});
  const std::string bobs = second["reservations"][0]["reservation_id"];
  EXPECT_THAT(Table({"reservation", "cancel", bobs, "--reason", "changed their mind", "--yes"}),
              HasSubstr("PENDING -> CANCELLED"));
  EXPECT_EQ(Json({"reservation", "list", "--sku", "tv"})["reservations"].size(), 2u);
  EXPECT_EQ(Json({"reservation", "list", "--user", "bob", "--state", "PENDING"})["reservations"].size(), 0u);
  EXPECT_EQ(Json({"reservation", "list", "--sku", "tv", "--state", "EXPIRED"})["reservations"].size(), 0u);
  EXPECT_EQ(Run({"reservation", "list", "--sku", "nope"}), 2);
  EXPECT_THAT(err_, HasSubstr("SKU_NOT_FOUND"));
  CheckLedger();
}

TEST_F(TranchectlClusterTest, PausesChangesAndResumes) {
  EXPECT_EQ(Json({"sku", "create", "soon", "--stock", "5", "--price", "1.00", "--paused", "--reason",
                  "starts soon"})["state"],
            "SKU_STATE_PAUSED");
  OpenSale("tv", 10);
  OpenSale("radio", 10);
  EXPECT_THAT(Table({"sku", "pause", "tv", "--reason", "a break"}),
              AllOf(HasSubstr("OPEN -> PAUSED"), HasSubstr("no -> yes: a break")));
  EXPECT_THAT(err_, HasSubstr("Run again with --yes"));
  EXPECT_EQ(Json({"sku", "show", "tv"})["paused"], false) << "a preview changes nothing";
  EXPECT_EQ(Json({"sku", "pause", "tv", "--reason", "a break", "--yes"})["after"]["pause_reason"], "a break");
  Table({"sku", "pause", "tv", "--reason", "a break"});
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  EXPECT_EQ(Run({"reservation", "create", "--user", "alice", "tv"}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("SALE_PAUSED"), HasSubstr("a break"), HasSubstr("sku resume")));

  EXPECT_THAT(Table({"sku", "pause", "--all", "--reason", "maintenance"}),
              AllOf(HasSubstr("radio"), Not(HasSubstr("tv"))));
  const json all = Json({"sku", "pause", "--all", "--reason", "maintenance", "--yes"});
  EXPECT_EQ(all["sku_ids"], json::array({"radio"})) << "the others are paused already";
  EXPECT_EQ(all["failed"], json::array());
  EXPECT_EQ(Json({"sku", "resume", "--all", "--reason", "maintenance", "--yes"})["sku_ids"], json::array({"radio"}));
  EXPECT_EQ(Run({"sku", "pause", "radio", "--yes"}), 0) << err_;
  EXPECT_EQ(Json({"sku", "resume", "--all", "--reason", "", "--yes"})["sku_ids"], json::array({"radio"}))
      << "an empty reason is that of pauses without one";
  EXPECT_EQ(Json({"sku", "show", "tv"})["paused"], true);
  EXPECT_EQ(Run({"sku", "resume", "tv", "--all", "--yes"}), 1);
  EXPECT_EQ(Run({"sku", "pause", "--yes"}), 1);
  EXPECT_EQ(Run({"sku", "resume", "tv", "--yes"}), 0) << err_;

  EXPECT_THAT(Table({"sku", "update", "tv", "--price", "20.00", "--hold", "5m"}),
              AllOf(HasSubstr("499.00 EUR -> 20.00 EUR"), HasSubstr("15m -> 5m")));
  EXPECT_THAT(err_, HasSubstr("--yes --expect-version 3"));
  const json updated = Json({"sku", "update", "tv", "--price", "20.00", "--yes", "--expect-version", "3"});
  EXPECT_EQ(updated["after"]["price_minor"], "2000");
  EXPECT_EQ(updated["after"]["terms_version"], "4");
  EXPECT_EQ(Run({"sku", "update", "tv", "--price", "21.00", "--yes", "--expect-version", "3"}), 2);
  EXPECT_THAT(err_, HasSubstr("TERMS_CHANGED"));
  EXPECT_EQ(Run({"sku", "update", "tv", "--price", "1.234", "--yes"}), 1);
  Table({"sku", "update", "tv"});
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  CheckLedger();
}

TEST_F(TranchectlClusterTest, ChangesLimitWindowExtensionsAndPresplit) {
  CreateTv();
  EXPECT_THAT(Table({"sku", "update", "tv", "--per-user-limit", "3"}), ContainsRegex("per user +1 -> 3"));
  const json updated = Json({"sku", "update", "tv", "--per-user-limit", "3", "--opens-at", "2098-01-02T03:04:05Z",
                             "--closes-at", "2099-01-02T03:04:05Z", "--max-extensions", "4", "--max-hold", "2h",
                             "--no-presplit", "--path", "auto", "--yes"})["after"];
  for (const json& sku : {updated, Json({"sku", "show", "tv"})}) {
    EXPECT_EQ(sku["per_user_limit"], 3);
    EXPECT_EQ(sku["open_time"], "2098-01-02T03:04:05Z");
    EXPECT_EQ(sku["close_time"], "2099-01-02T03:04:05Z");
    EXPECT_EQ(sku["max_extensions"], 4);
    EXPECT_EQ(sku["max_hold"], "7200s");
    EXPECT_EQ(sku["on_demand"], true);
    EXPECT_EQ(sku["claim_path"], "CLAIM_PATH_AUTO");
    EXPECT_EQ(sku["state"], "SKU_STATE_NOT_YET");
  }
  EXPECT_EQ(Run({"reservation", "create", "--user", "early", "tv"}), 2);
  EXPECT_THAT(err_, HasSubstr("SALE_NOT_OPEN"));
  EXPECT_EQ(Run({"sku", "update", "tv", "--closes-at", "2097-01-02T03:04:05Z", "--yes"}), 1);
  EXPECT_THAT(err_, HasSubstr("after open_time"));

  const json open = Json({"sku", "update", "tv", "--opens-at", "now", "--closes-at", "never", "--max-hold", "none",
                          "--presplit", "--yes"})["after"];
  EXPECT_FALSE(open.contains("open_time")) << open;
  EXPECT_FALSE(open.contains("close_time")) << open;
  EXPECT_EQ(open["on_demand"], false);
  EXPECT_EQ(open["per_user_limit"], 3) << "what is not named stays";
  AwaitTrue("three units for one buyer", [&] {
    return Run({"reservation", "create", "--user", "alice", "tv=3"}) == 0;
  });
  EXPECT_EQ(Run({"reservation", "create", "--user", "alice", "tv"}), 2);
  EXPECT_THAT(err_, HasSubstr("USER_LIMIT_REACHED"));
  CheckLedger();
}

// The balancer takes back what a dead node held also while the cluster is frozen: so it does its rounds.
TEST_F(TranchectlClusterTest, AFrozenBalancerMovesNothingButWhatDeadNodesHeld) {
  CreateTv();
  WaitUntilShared("tv", 100);
  const std::string second = NameOf(1);
  ASSERT_EQ(Run({"cluster", "freeze", "--yes"}), 0) << err_;
  AwaitTrue("the balancer has heard of it",
            [&] { return cluster_->balancer(0).LogLinesWith("no units are moved but those of dead nodes") == 1; });
  ASSERT_EQ(Run({"sku", "create", "radio", "--stock", "10", "--price", "8.50"}), 0) << err_;
  ASSERT_TRUE(cluster_->KillNode(0).ok());
  AwaitTrue("the dead node's units are in the pool", [&] { return Remaining("pool") == 50; });
  EXPECT_EQ(Remaining(second), 50) << "nobody else gets them";
  EXPECT_EQ(Remaining("pool", "radio"), 10) << "nor what is new";

  ASSERT_EQ(Run({"cluster", "thaw", "--yes"}), 0) << err_;
  AwaitTrue("all units are at the node that is left",
            [&] { return Remaining(second) == 100 && Remaining(second, "radio") == 10; });
  CheckLedger();
}

TEST_F(TranchectlClusterTest, FreezesTheCluster) {
  EXPECT_THAT(Table({"cluster", "freeze"}), HasSubstr("MOVES UNITS -> FROZEN"));
  EXPECT_THAT(Table({"cluster", "show"}), HasSubstr("MOVES UNITS")) << "a preview changes nothing";
  EXPECT_EQ(Json({"cluster", "freeze", "--yes"})["after"][0]["frozen"], true);
  EXPECT_THAT(Table({"cluster", "show"}), AllOf(HasSubstr("FROZEN"), HasSubstr("@")));
  Table({"cluster", "freeze"});
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  EXPECT_EQ(Run({"cluster", "thaw", "--yes"}), 0) << err_;
  EXPECT_EQ(Json({"cluster", "show"})["shards"][0]["frozen"], false);
}

}  // namespace
}  // namespace tranche::testing
