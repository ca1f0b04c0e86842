// tranchectl door against a real cluster: what is set there is what buyers meet at every node.
#include <gmock/gmock.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/error.h"

namespace tranche::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Duration kPatience = absl::Seconds(30);
// So wide that they refuse nobody here, and with time to wait where another node counts fewer.
constexpr char kOfBuyers[] = "user=500/1s,burst=50,wait=1s";
constexpr char kOfNetworks[] = "address=500/1s,burst=50,wait=1s";

class TranchectlDoorTest : public SaleTest, protected TranchectlRunner {
 protected:
  void SetUp() override {
    MiniClusterOptions options;
    options.nodes = 2;
    options.zookeeper_session_timeout = absl::Seconds(3);
    StartCluster(options);
  }

  int Run(std::vector<std::string> arguments) { return RunCtlAt(cluster_->endpoint(0), std::move(arguments)); }
  std::string Table(const std::vector<std::string>& arguments) { return TableAt(cluster_->endpoint(0), arguments); }
  json Json(std::vector<std::string> arguments) { return JsonAt(cluster_->endpoint(0), std::move(arguments)); }

  // Asks again until it holds: nodes follow a change after a moment.
  void AwaitTrue(const char* what, const std::function<bool()>& is_so) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (!is_so()) {
      ASSERT_LT(absl::Now(), give_up) << "never: " << what << "; the last answer: " << out_ << err_;
      RestBetweenLooks();
    }
  }
  // The opinion of each node about this buyer, until it ends with this exit status.
  void AwaitOpinion(const std::vector<std::string>& buyer, int status) {
    std::vector<std::string> arguments = {"door", "test", "--sku", "tv"};
    arguments.insert(arguments.end(), buyer.begin(), buyer.end());
    for (int node = 0; node < cluster_->nodes(); ++node) {
      AwaitTrue("the node has the change", [&] { return RunCtlAt(cluster_->endpoint(node), arguments) == status; });
    }
  }

  // Each node shows this to a question that has no token.
  void AwaitTold(const std::string& user, const std::string& text) {
    const std::vector<std::string> arguments = {"door", "test", "--sku", "tv", "--user", user};
    for (int node = 0; node < cluster_->nodes(); ++node) {
      AwaitTrue("the node has the change", [&] {
        return RunCtlAt(cluster_->endpoint(node), arguments) == 0 && out_.find(text) != std::string::npos;
      });
    }
  }

  // The front door's keys as they are in the ledger, each as hexadecimal text and in base64.
  std::vector<std::string> SecretsInLedger() {
    pqxx::connection ledger(cluster_->postgres().dsn());
    pqxx::nontransaction work(ledger);
    std::vector<std::string> secrets;
    for (const pqxx::row& row :
         work.exec("SELECT encode(secret, 'hex'), encode(secret, 'base64') FROM tranche.front_key")) {
      secrets.push_back(row[0].as<std::string>());
      secrets.push_back(row[1].as<std::string>());
    }
    return secrets;
  }

  const ScratchDir scratch_{"ctl-door"};
};

TEST_F(TranchectlDoorTest, APolicyIsPreviewedSetAndMetAtEveryNode) {
  OpenSale("tv", 10);
  EXPECT_THAT(Table({"door", "show"}), Not(HasSubstr("tv")));
  EXPECT_THAT(err_, HasSubstr("everybody may try"));
  EXPECT_EQ(Run({"door", "set", "tv"}), 1) << "it says nothing";
  EXPECT_EQ(Run({"door", "set", "tv", "--challenge", "12", "--yes"}), 1) << "a challenge earns a token";

  EXPECT_THAT(Table({"door", "set", "tv", "--limit", kOfBuyers, "--limit", kOfNetworks, "--token"}),
              AllOf(ContainsRegex("policy +none -> set"), ContainsRegex("limit user +none -> 500/1s,burst=50,wait=1s"),
                    ContainsRegex("token +none -> 2m .default")));
  EXPECT_THAT(err_, HasSubstr("--yes --expect-version 0"));
  EXPECT_EQ(Json({"door", "show"})["policies"], json::array()) << "a preview changes nothing";
  const json set = Json(
      {"door", "set", "tv", "--limit", kOfBuyers, "--limit", kOfNetworks, "--token", "--yes", "--expect-version", "0"});
  EXPECT_TRUE(set["before"].is_null());
  EXPECT_EQ(set["after"]["policy"]["limits"].size(), 2u);
  EXPECT_EQ(Run({"door", "set", "tv", "--no-token", "--yes", "--expect-version", "0"}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("POLICY_CHANGED"), HasSubstr("preview again")));

  AwaitTold("alice", "not given");
  EXPECT_THAT(out_, AllOf(HasSubstr("policy of tv"), HasSubstr("would be asked for"), Not(HasSubstr("REFUSES"))));
  EXPECT_THAT(err_, HasSubstr("A claim needs a purchase token"));
  const absl::Status refused = client_->Create({.sku = "tv", .user = "alice"}).status();
  EXPECT_EQ(ReasonOf(refused), Reason::kPurchaseTokenRequired) << refused;
  const auto entry = client_->EnterSale({.sku = "tv", .user = "alice"});
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_TRUE(entry->admitted);
  ASSERT_NE(entry->purchase_token, "");
  EXPECT_EQ(Run({"door", "test", "--sku", "tv", "--user", "alice", "--token", entry->purchase_token}), 0) << out_;
  EXPECT_EQ(Run({"door", "test", "--sku", "tv", "--user", "bob", "--token", entry->purchase_token}), 1) << "it is hers";
  EXPECT_THAT(out_, HasSubstr("PURCHASE_TOKEN_INVALID"));
  const auto bought = client_->Create({.sku = "tv", .user = "alice", .purchase_token = entry->purchase_token});
  EXPECT_TRUE(bought.ok()) << bought.status();

  Table({"door", "set", "tv", "--token"});
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  EXPECT_THAT(Table({"door", "set", "tv", "--no-token", "--no-limit", "address"}),
              AllOf(ContainsRegex("token +2m .default. -> none"),
                    ContainsRegex("limit address +500/1s,burst=50,wait=1s -> none"), Not(HasSubstr("limit user"))));
  const std::string path = scratch_.path() / "policy.json";
  std::ofstream(path) << Json({"door", "show", "tv"})["policies"][0]["policy"].dump();
  Table({"door", "set", "tv", "--policy", path});
  EXPECT_THAT(err_, HasSubstr("nothing would change")) << "what is shown can be set";

  EXPECT_THAT(Table({"door", "remove", "tv"}), ContainsRegex("policy +set -> none"));
  ASSERT_EQ(Run({"door", "remove", "tv", "--yes"}), 0) << err_;
  AwaitTold("alice", "no policy;");
  EXPECT_THAT(Table({"audit", "--sku", "tv", "--limit", "5"}),
              AllOf(HasSubstr("set_front_policy"), HasSubstr("remove_front_policy")));
  CheckLedger();
}

TEST_F(TranchectlDoorTest, AnOperatorReservesWithTheBuyersTokenAndAddress) {
  OpenSale("tv", 10);
  WaitUntilShared("tv", 10);
  ASSERT_EQ(Run({"door", "list", "add", "deny", "--address", "203.0.113.0/24", "--yes"}), 0) << err_;
  AwaitOpinion({"--user", "alice", "--address", "203.0.113.7"}, 1);
  ASSERT_EQ(Run({"door", "set", "tv", "--token", "--yes"}), 0) << err_;
  AwaitTold("alice", "not given");
  const auto entry = client_->EnterSale({.sku = "tv", .user = "alice"});
  ASSERT_TRUE(entry.ok()) << entry.status();
  const auto reserve = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {"reservation", "create", "--user", "alice", "tv"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return Run(arguments);
  };
  EXPECT_NE(reserve({}), 0);
  EXPECT_THAT(err_, HasSubstr("PURCHASE_TOKEN_REQUIRED"));
  EXPECT_NE(reserve({"--purchase-token", entry->purchase_token, "--buyer-address", "203.0.113.7"}), 0);
  EXPECT_THAT(err_, HasSubstr("DENIED"));
  EXPECT_NE(reserve({"--buyer-address", "at home"}), 0);
  EXPECT_THAT(err_, HasSubstr("correct --buyer-address"));
  EXPECT_EQ(reserve({"--purchase-token", entry->purchase_token, "--buyer-address", "198.51.100.1"}), 0) << err_;
  CheckLedger();
}

TEST_F(TranchectlDoorTest, ALotteryHasRoundsWhoseKeysAreTold) {
  EXPECT_EQ(Run({"door", "round", "*", "--yes"}), 1) << "there is no lottery";
  ASSERT_EQ(Run({"door", "set", "*", "--lottery", "10%", "--yes"}), 0) << err_;
  EXPECT_EQ(Run({"door", "set", "*", "--lottery", "5%", "--yes"}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("LOTTERY_CANNOT_SHRINK"), HasSubstr("--new-round")));
  EXPECT_EQ(Json({"door", "set", "*", "--lottery", "200000", "--yes"})["after"]["round"]["round"], "1");
  EXPECT_EQ(Json({"door", "round", "*"})["preview"], true);
  EXPECT_EQ(Json({"door", "round", "*", "--yes"})["after"]["round"]["round"], "2");
  EXPECT_EQ(Json({"door", "set", "*", "--lottery", "5%", "--new-round", "--yes"})["after"]["round"]["round"], "3");
  // They are told by the nodes, which follow after a moment.
  AwaitTrue("three rounds", [&] { return Json({"door", "rounds", "tv"})["rounds"].size() == 3; });
  const json rounds = Json({"door", "rounds", "tv"})["rounds"];
  EXPECT_EQ(rounds[0]["round"], "3");
  EXPECT_EQ(rounds[0].value("key", ""), "") << "it runs";
  EXPECT_NE(rounds[2].value("key", ""), "");
  EXPECT_EQ(rounds[2]["admitted_per_million"], 200'000);
  EXPECT_THAT(Table({"door", "rounds", "tv"}), ContainsRegex("3 +\\* +5% .*runs"));
  ASSERT_EQ(Run({"door", "set", "tv", "--no-lottery"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("takes the place of all that \"*\" asks"));
  EXPECT_THAT(Table({"door", "show", "tv"}), ContainsRegex("lottery +5%"));
  EXPECT_THAT(err_, HasSubstr("no policy of its own"));
}

TEST_F(TranchectlDoorTest, AWaitingRoomIsSetHeldAndTakenAway) {
  OpenSale("tv", 10);
  EXPECT_THAT(Table({"door", "set", "tv", "--room", "200/s", "--token", "--limit", kOfBuyers}),
              ContainsRegex("room +none -> 200/s, ahead 200% .default., poll 20s .default."));
  EXPECT_EQ(Json({"door", "rooms"})["rooms"], json::array()) << "a preview changes nothing";
  ASSERT_EQ(Run({"door", "set", "tv", "--room", "200/s", "--token", "--limit", kOfBuyers, "--yes"}), 0) << err_;
  EXPECT_THAT(Table({"door", "show", "tv"}), ContainsRegex("round +1"));
  AwaitTrue("the room is paced", [&] { return Json({"door", "rooms", "tv"})["rooms"][0].contains("compute_time"); });
  EXPECT_EQ(Json({"door", "rooms", "tv"})["rooms"][0]["rule"]["buyers_per_second"], 200);

  ASSERT_EQ(Run({"door", "set", "tv", "--hold-room", "--yes"}), 0) << err_;
  int buyers = 0;
  AwaitTrue("the room is held", [&] {
    // A room where nobody waits is not said to be held.
    EXPECT_TRUE(client_->EnterSale({.sku = "tv", .user = absl::StrCat("late-", ++buyers)}).ok());
    return Json({"door", "rooms"})["rooms"][0]["held"] == "HELD_RATE_ZERO";
  });
  EXPECT_THAT(Table({"door", "rooms"}), HasSubstr("tv: held: its rate is 0"));
  EXPECT_THAT(Table({"door", "show"}), ContainsRegex("tv .*room 0/s"));

  EXPECT_EQ(Json({"door", "round", "tv", "--yes"})["after"]["round"]["round"], "2");
  ASSERT_EQ(Run({"door", "set", "tv", "--no-room", "--yes"}), 0) << err_;
  EXPECT_EQ(Json({"door", "rooms"})["rooms"], json::array());
}

TEST_F(TranchectlDoorTest, RiskRulesAreSetShownAndTested) {
  OpenSale("tv", 10);
  const std::string path = scratch_.path() / "risk.json";
  std::ofstream(path) << R"({"points": [{"points": 40, "account_younger_than": "604800s"},
                                        {"points": 60, "label": "bot"}],
                             "tiers": [{"from_score": 0, "challenge_bits": 0}, {"from_score": 40},
                                       {"from_score": 90, "refuse": true}]})";
  EXPECT_EQ(Run({"door", "set", "tv", "--risk", path}), 1) << "it needs a token";
  EXPECT_THAT(err_, HasSubstr("add --token"));
  const std::vector<std::string> set = {"door", "set", "tv", "--token", "--challenge", "12,delay=60s", "--risk", path};
  EXPECT_THAT(Table(set), AllOf(ContainsRegex("challenge +none -> 12 bits, delay 1m"),
                                ContainsRegex("risk tier 3 +none -> from 90: refused"),
                                ContainsRegex("points: label bot +none -> [+]60")));
  EXPECT_EQ(Json({"door", "show"})["policies"], json::array()) << "a preview changes nothing";
  std::vector<std::string> apply = set;
  apply.push_back("--yes");
  ASSERT_EQ(Run(apply), 0) << err_;
  EXPECT_THAT(Table({"door", "show", "tv"}), AllOf(ContainsRegex("3 +90 +refused"), ContainsRegex("[+]60 +label bot")));
  Table(set);
  EXPECT_THAT(err_, HasSubstr("nothing would change"));

  AwaitOpinion({"--user", "alice", "--account-age", "3d", "--label", "bot"}, 1);
  EXPECT_THAT(out_, AllOf(ContainsRegex("risk +REFUSES"), HasSubstr("DENIED")));
  AwaitOpinion({"--user", "alice", "--account-age", "3d"}, 0);
  AwaitOpinion({"--user", "alice", "--risk-score", "95"}, 1);
  EXPECT_EQ(Run({"door", "test", "--sku", "tv", "--user", "alice", "--label", "NOT OK"}), 1);
  EXPECT_THAT(err_, HasSubstr("--label"));
  ASSERT_EQ(Run({"door", "set", "tv", "--no-risk", "--yes"}), 0) << err_;
  AwaitOpinion({"--user", "alice", "--risk-score", "95"}, 0);
}

TEST_F(TranchectlDoorTest, AThousandEntriesAreImportedListedAndRemoved) {
  OpenSale("tv", 10);
  const std::string path = scratch_.path() / "bots.csv";
  std::ofstream file(path);
  for (int i = 0; i < 1000; ++i) file << "deny,user,bot-" << i << ",,seen on the forum\n";
  file << "allow,address,203.0.113.0/24,24h\n";
  file.close();
  const json preview = Json({"door", "list", "import", path});
  EXPECT_EQ(preview["added"], 1001);
  EXPECT_EQ(preview["entries"], 1001);
  EXPECT_EQ(Json({"door", "list"})["entries"], json::array()) << "a preview changes nothing";
  const json done = Json({"door", "list", "import", path, "--yes"});
  EXPECT_EQ(done["added"], 1001);
  EXPECT_EQ(done["entries"], 1001);
  EXPECT_EQ(Json({"door", "list", "--max", "200000"})["entries"].size(), 1001u);
  EXPECT_EQ(Json({"door", "list", "--max", "5"})["entries"].size(), 5u);
  EXPECT_THAT(Table({"door", "list", "--verdict", "allow"}),
              AllOf(ContainsRegex("allow +address +203.0.113.0/24 +20"), Not(HasSubstr("bot-"))));
  EXPECT_THAT(Table({"door", "list", "--user", "bot-7"}), ContainsRegex("deny +user +bot-7 +never +seen on the forum"));
  Table({"door", "list", "remove", "--user", "nobody"});
  EXPECT_THAT(err_, HasSubstr("nothing would change"));

  AwaitOpinion({"--user", "bot-7"}, 1);
  EXPECT_THAT(out_, HasSubstr("DENIED"));
  EXPECT_EQ(ReasonOf(client_->Create({.sku = "tv", .user = "bot-7"}).status()), Reason::kDenied);
  EXPECT_EQ(Json({"door", "list", "add", "allow", "--user", "bot-7", "--reason", "a mistake", "--yes"})["replaced"], 1);
  AwaitOpinion({"--user", "bot-7"}, 0);
  EXPECT_THAT(Table({"audit", "--limit", "1"}), HasSubstr("a mistake"));

  ASSERT_EQ(Run({"door", "list", "-o", "csv"}), 0) << err_;
  const std::string copy = scratch_.path() / "copy.csv";
  std::ofstream(copy) << out_;
  EXPECT_EQ(Json({"door", "list", "import", copy})["unchanged"], 1001) << "all entries, each as it is";
  EXPECT_EQ(Json({"door", "list", "import", path, "--remove", "--yes"})["removed"], 1001);
  EXPECT_EQ(Json({"door", "list", "import", copy})["added"], 1001);
  AwaitOpinion({"--user", "bot-8"}, 0);
  EXPECT_EQ(Run({"door", "list", "add", "deny", "--yes"}), 1) << "nobody is named";
  EXPECT_EQ(Run({"door", "list", "add", "deny", "--address", "203.0.113.7/24", "--yes"}), 1)
      << "bits behind its length";
  std::ofstream(path) << "deny,user,carol\nforbid,user,dave\n";
  EXPECT_EQ(Run({"door", "list", "import", path, "--yes"}), 1);
  EXPECT_THAT(err_, HasSubstr("line 2: \"forbid\""));
  EXPECT_EQ(Json({"door", "list"})["entries"], json::array()) << "a file with a fault does nothing";
}

TEST_F(TranchectlDoorTest, KeysAreRotatedOnceAndReplacedAtOnce) {
  OpenSale("tv", 10);
  ASSERT_EQ(Run({"door", "set", "tv", "--token", "--yes"}), 0) << err_;
  AwaitTold("alice", "not given");
  const auto entry = client_->EnterSale({.sku = "tv", .user = "alice"});
  ASSERT_TRUE(entry.ok()) << entry.status();
  AwaitOpinion({"--user", "alice", "--token", entry->purchase_token}, 0);

  EXPECT_THAT(Table({"door", "key", "show"}), AllOf(HasSubstr("next"), HasSubstr("current"), HasSubstr("previous")));
  EXPECT_EQ(Run({"door", "key", "rotate", "--yes"}), 2) << "they were made a moment ago";
  EXPECT_THAT(err_, AllOf(HasSubstr("KEY_ROTATED_RECENTLY"), HasSubstr("--replace-all")));
  EXPECT_THAT(Table({"door", "key", "rotate", "--replace-all"}), HasSubstr("current -> gone"));
  EXPECT_THAT(err_, AllOf(HasSubstr("worthless"), HasSubstr("--yes --expect-current")));
  std::vector<std::string> secrets = SecretsInLedger();
  ASSERT_EQ(secrets.size(), 6u);
  const json before = Json({"door", "key", "show"})["keys"];
  const json rotated = Json({"door", "key", "rotate", "--replace-all", "--yes"});
  EXPECT_EQ(rotated["rotated"], true);
  const std::vector<std::string> newer = SecretsInLedger();
  EXPECT_NE(newer, secrets);
  secrets.insert(secrets.end(), newer.begin(), newer.end());
  EXPECT_NE(Json({"door", "key", "show"})["keys"], before);
  std::string current;
  for (const json& key : before) {
    if (key["use"] == "USE_CURRENT") current = key["key_id"];
  }
  EXPECT_EQ(Run({"door", "key", "rotate", "--replace-all", "--yes", "--expect-current", current}), 2) << "a repetition";
  AwaitOpinion({"--user", "alice", "--token", entry->purchase_token}, 1);
  EXPECT_THAT(out_, HasSubstr("PURCHASE_TOKEN_INVALID"));
  for (const std::string& told : {before.dump(), rotated.dump(), Json({"audit", "--limit", "20"}).dump(),
                                  Json({"door", "key", "show"}).dump(), Json({"door", "show", "--all"}).dump()}) {
    for (const std::string& secret : secrets) EXPECT_THAT(told, Not(HasSubstr(secret)));
  }
}

TEST_F(TranchectlDoorTest, TheServiceModeIsPreviewedSetShownAndEnded) {
  EXPECT_THAT(Table({"door", "mode"}), ContainsRegex("normal +everything"));
  EXPECT_THAT(Table({"door", "mode", "changes-only", "--reason", "Back soon."}),
              AllOf(HasSubstr("normal -> changes-only"), HasSubstr("Back soon.")));
  EXPECT_THAT(err_, HasSubstr("--yes"));
  EXPECT_EQ(Json({"door", "mode"})["mode"]["mode"], "SERVICE_MODE_NORMAL") << "it was a preview";
  const json set = Json({"door", "mode", "changes-only", "--reason", "Back soon.", "--yes"});
  EXPECT_EQ(set["preview"], false);
  EXPECT_EQ(set["before"]["mode"], "SERVICE_MODE_NORMAL");
  EXPECT_EQ(set["after"]["mode"], "SERVICE_MODE_CHANGES_ONLY");
  EXPECT_EQ(set["after"]["reason"], "Back soon.");
  EXPECT_THAT(Table({"door", "mode"}), ContainsRegex("changes-only +no new reservations"));
  // A ledger that is slow to answer is shown as such, without its mode.
  AwaitTrue("SERVICE_LIMITED", [this] {
    Run({"status"});
    return out_.find("SERVICE_LIMITED") != std::string::npos;
  });
  EXPECT_THAT(Table({"audit", "--action", "set_service_mode"}), HasSubstr("set_service_mode"));
  EXPECT_NE(Run({"door", "mode", "closed", "--yes"}), 0);
  EXPECT_EQ(Run({"door", "mode", "--reason", "why"}), 1);
  EXPECT_THAT(err_, HasSubstr("name the mode"));
  EXPECT_THAT(Table({"door", "mode", "normal", "--yes"}), HasSubstr("changes-only -> normal"));
  Table({"door", "mode", "normal"});
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
}

}  // namespace
}  // namespace tranche::testing
