// The audit log on a real cluster: tranchectl changes something in every way, and finds it again.
#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/client.h"

namespace tranche::testing {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::Duration kPatience = absl::Seconds(30);

class AuditTest : public SaleTest, protected TranchectlRunner {
 protected:
  void SetUp() override { StartCluster({}); }

  int Ctl(std::vector<std::string> arguments) { return RunCtlAt(cluster_->endpoint(0), std::move(arguments)); }
  json Json(std::vector<std::string> arguments) { return JsonAt(cluster_->endpoint(0), std::move(arguments)); }
  // Must succeed.
  void Do(std::vector<std::string> arguments) {
    arguments.push_back("--yes");
    ASSERT_EQ(Ctl(arguments), 0) << ::testing::PrintToString(arguments) << ": " << err_;
  }
  json Entries(std::vector<std::string> filter) {
    filter.insert(filter.begin(), "audit");
    return Json(std::move(filter))["entries"];
  }
  // The newest first.
  std::vector<std::string> Actions(std::vector<std::string> filter) {
    std::vector<std::string> actions;
    for (const json& entry : Entries(std::move(filter))) actions.push_back(entry["action"]);
    return actions;
  }
  std::string Reserve(const std::string& sku) {
    return Json({"reservation", "create", "--user", "alice", sku})["reservations"][0]["reservation_id"];
  }
};

TEST_F(AuditTest, EveryChangeIsFoundAgain) {
  OpenSale("tv", 100, absl::Minutes(15), "", /*per_user_limit=*/10);
  WaitUntilShared("tv", 100);
  const std::string first = Reserve("tv");
  const std::string second = Reserve("tv");
  const std::string node = "node-2";
  const std::vector<std::pair<std::string, std::vector<std::string>>> changes = {
      {"extend_reservation", {"reservation", "extend", first, "--by", "1m"}},
      {"confirm_reservation", {"reservation", "confirm", first, "--payment", "p", "--amount", "499.00"}},
      {"cancel_reservation", {"reservation", "cancel", second}},
      {"add_stock", {"stock", "add", "tv", "5"}},
      {"reduce_stock", {"stock", "reduce", "tv", "5"}},
      {"pause_sku", {"sku", "pause", "tv"}},
      {"resume_sku", {"sku", "resume", "tv"}},
      {"update_sku", {"sku", "update", "tv", "--title", "Another"}},
      {"freeze_quota", {"quota", "freeze", "tv"}},
      {"move_units", {"quota", "set", "tv", node, "10"}},
      {"thaw_quota", {"quota", "thaw", "tv"}},
      {"freeze_cluster", {"cluster", "freeze"}},
      {"thaw_cluster", {"cluster", "thaw"}},
      {"add_outbox_sink", {"outbox", "sink", "add", "books"}},
      {"remove_outbox_sink", {"outbox", "sink", "remove", "books"}},
      {"rebuild_coordination", {"zk", "rebuild"}},
      {"close_sku", {"sku", "close", "tv"}},
      {"reopen_sku", {"sku", "reopen", "tv"}},
  };
  for (const auto& [action, arguments] : changes) {
    std::vector<std::string> with_reason = arguments;
    with_reason.insert(with_reason.begin(), {"--reason", absl::StrCat("because of ", action)});
    Do(with_reason);
    const json entries = Entries({"--action", action, "--limit", "1"});
    ASSERT_EQ(entries.size(), 1u) << action;
    EXPECT_EQ(entries[0]["reason"], absl::StrCat("because of ", action));
    EXPECT_THAT(entries[0]["actor"].get<std::string>(), HasSubstr("@"));
    EXPECT_EQ(entries[0]["automatic"], false);
  }
  EXPECT_EQ(Entries({"--action", "create_reservation"}).size(), 2u);
  CheckLedger();
}

TEST_F(AuditTest, FiltersFindWhatIsMeant) {
  OpenSale("tv", 100);
  OpenSale("radio", 10);
  Do({"stock", "add", "tv", "5", "--reason", "found more"});
  const std::string actor = Entries({"--action", "add_stock"})[0]["actor"];
  const std::string person = actor.substr(0, actor.find('@'));
  EXPECT_THAT(Actions({"--sku", "tv", "--actor", person}), Contains("add_stock"));
  EXPECT_THAT(Actions({"--actor", actor, "--action", "add_stock"}), ElementsAre("add_stock"));
  EXPECT_THAT(Actions({"--actor", "nobody"}), IsEmpty());
  EXPECT_THAT(Actions({"--sku", "radio", "--action", "add_stock"}), IsEmpty());
  EXPECT_THAT(Actions({"--action", "add_stock", "--since", "1h"}), ElementsAre("add_stock"));
  EXPECT_THAT(Actions({"--action", "add_stock", "--until", "1h"}), IsEmpty());
  EXPECT_EQ(Ctl({"audit", "--since", "yesterday"}), 1);
  EXPECT_THAT(TableAt(cluster_->endpoint(0), {"audit", "--action", "add_stock"}), HasSubstr("found more"));
}

// What a buyer does is no entry, whatever it is.
TEST_F(AuditTest, BuyersLeaveNoEntries) {
  OpenSale("tv", 100);
  const size_t before = Entries({"--automatic", "--limit", "1000"}).size();
  const auto bought = client_->Create({.sku = "tv", .user = "bob", .reservation_id = ""});
  ASSERT_TRUE(bought.ok()) << bought.status();
  EXPECT_EQ(Entries({"--automatic", "--limit", "1000"}).size(), before);
}

TEST_F(AuditTest, ANodeThatHasEndedKeepsItsName) {
  OpenSale("tv", 100);
  WaitUntilShared("tv", 100);
  Do({"quota", "freeze", "tv"});
  // The last one: commands go to the first.
  const v1::Quota quota = QuotaOf("tv");
  const auto slice = std::find_if(quota.slices().begin(), quota.slices().end(),
                                  [](const v1::Slice& one) { return one.node_name() == "node-2"; });
  ASSERT_NE(slice, quota.slices().end()) << quota.DebugString();
  Do({"quota", "set", "tv", slice->node_name(), "10"});
  ASSERT_TRUE(cluster_->KillNode(1).ok());
  const absl::Time give_up = absl::Now() + kPatience;
  while (Entries({"--automatic", "--action", "reclaim_incarnation"}).empty()) {
    ASSERT_LT(absl::Now(), give_up) << "its units do not come back";
    RestBetweenLooks();
  }
  EXPECT_THAT(Actions({"--action", "reclaim_incarnation"}), IsEmpty()) << "no person has asked for it";
  const json entry = Entries({"--action", "move_units", "--limit", "1"})[0];
  EXPECT_EQ(entry["node_names"][absl::StrCat(slice->incarnation())], slice->node_name());
  EXPECT_THAT(TableAt(cluster_->endpoint(0), {"audit", "--action", "move_units", "--limit", "1"}),
              HasSubstr(absl::StrCat(slice->node_name(), " #", slice->incarnation(), " ")));
}

}  // namespace
}  // namespace tranche::testing
