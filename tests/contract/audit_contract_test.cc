// The audit log, on the fake and on PostgreSQL.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class AuditContract : public LifecycleContractTest {
 protected:
  std::vector<AuditEntry> List(const AuditFilter& filter) {
    const auto entries = stock().ListAudit(filter, 0, 1000);
    EXPECT_TRUE(entries.ok()) << entries.status();
    return entries.value_or(std::vector<AuditEntry>());
  }
  // The newest first.
  std::vector<std::string> Actions(const AuditFilter& filter) {
    std::vector<std::string> actions;
    for (const AuditEntry& entry : List(filter)) actions.push_back(entry.action);
    return actions;
  }
  void AddStock(const std::string& sku_id, const Actor& actor) {
    ASSERT_TRUE(stock().AddStock(sku_id, 1, std::nullopt, actor).ok());
  }
};
INSTANTIATE_TEST_SUITE_P(Both, AuditContract, BothLedgers(), LedgerName);

TEST_P(AuditContract, AnEntrySaysWhoAndWhy) {
  Create(SkuOf("tv", 10));
  AddStock("tv", Actor("alice@laptop", "found in the warehouse"));
  AddStock("tv", Actor("J\xc3\xb6rg"));
  const std::vector<AuditEntry> entries = List({});
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].actor, "J\xc3\xb6rg");
  EXPECT_EQ(entries[0].reason, "");
  EXPECT_EQ(entries[1].actor, "alice@laptop");
  EXPECT_EQ(entries[1].reason, "found in the warehouse");
  EXPECT_FALSE(entries[1].automatic);
  EXPECT_EQ(entries[1].after, "{\"stock\": 11}");
}

TEST_P(AuditContract, FiltersGoTogether) {
  Create(SkuOf("tv", 10));
  Create(SkuOf("radio", 10));
  AddStock("tv", "alice@laptop");
  AddStock("radio", "alice@desk");
  AddStock("radio", "alicia@desk");
  ASSERT_TRUE(stock().CloseSku("tv", "alice@laptop").ok());
  EXPECT_THAT(Actions({.actor = "alice"}), ElementsAre("close_sku", "add_stock", "add_stock"));
  EXPECT_THAT(Actions({.actor = "alice@laptop"}), ElementsAre("close_sku", "add_stock"));
  EXPECT_THAT(Actions({.actor = "ali"}), IsEmpty());
  EXPECT_THAT(Actions({.actor = "alice@"}), IsEmpty());
  AddStock("tv", "ada as alice@laptop");
  EXPECT_THAT(Actions({.actor = "ada"}), ElementsAre("add_stock")) << "whomever they acted for";
  EXPECT_THAT(Actions({.actor = "ada as alice"}), ElementsAre("add_stock"));
  EXPECT_THAT(Actions({.actor = "ada@laptop"}), IsEmpty());
  EXPECT_THAT(Actions({.action = "close_sku"}), ElementsAre("close_sku"));
  EXPECT_THAT(Actions({.sku_id = "radio", .actor = "alice", .action = "add_stock"}), ElementsAre("add_stock"));
  EXPECT_THAT(Actions({.sku_id = "radio", .action = "close_sku"}), IsEmpty());
}

TEST_P(AuditContract, TimesBoundTheList) {
  Create(SkuOf("tv", 10));
  LetPass(absl::Hours(5));
  AddStock("tv", "alice");
  const absl::Time last = List({})[0].at;
  EXPECT_THAT(Actions({.since = last}), ElementsAre("add_stock")) << "the bound is in it";
  EXPECT_THAT(Actions({.until = last}), ElementsAre("create_sku")) << "the bound is not in it";
  EXPECT_THAT(Actions({.since = last - absl::Hours(6), .until = last + absl::Seconds(1)}),
              ElementsAre("add_stock", "create_sku"));
  EXPECT_THAT(Actions({.since = last + absl::Seconds(1)}), IsEmpty());
}

TEST_P(AuditContract, WhatProcessesDoIsSetApart) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 4);
  ASSERT_TRUE(stock().RaiseVersion("tv", 100, Actor::Process("balancer")).ok());
  ASSERT_TRUE(stock().RegisterIncarnation("drained", "a:1", /*draining=*/true).ok());
  ASSERT_TRUE(stock().ReclaimIncarnation(node).ok());
  AddStock("tv", "balancer");  // what somebody calls themselves hides nothing
  EXPECT_THAT(Actions({.automatic = false}), ElementsAre("add_stock", "move_units", "create_sku"));
  EXPECT_THAT(Actions({.sku_id = "tv"}),
              ElementsAre("add_stock", "reclaim_incarnation", "raise_version", "move_units", "create_sku"));
  EXPECT_THAT(Actions({.action = "register_incarnation"}), ElementsAre("register_incarnation"));
}

TEST_P(AuditContract, NodesKeepTheirNames) {
  Create(SkuOf("tv", 10));
  const auto first = stock().RegisterIncarnation("node 1", "a:1");
  const auto second = stock().RegisterIncarnation("node-2", "b:1");
  ASSERT_TRUE(first.ok() && second.ok());
  Move("tv", {{*first, 3}, {*second, 2}});
  ASSERT_TRUE(stock().SetDraining(*second, true, "alice").ok());
  ASSERT_TRUE(stock().ReclaimIncarnation(*first).ok());
  ASSERT_TRUE(stock().ReclaimIncarnation(*second).ok());
  const std::vector<AuditEntry> moved = List({.action = "move_units"});
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_THAT(moved[0].nodes, ElementsAre(Pair(*first, "node 1"), Pair(*second, "node-2")));
  EXPECT_THAT(List({.action = "drain_incarnation"})[0].nodes, ElementsAre(Pair(*second, "node-2")));
  EXPECT_THAT(List({.action = "create_sku"})[0].nodes, IsEmpty());
}

TEST_P(AuditContract, AnEntryIsThereBeforeItsOutcome) {
  const AuditNote note{.actor = {"alice", "buyer called"},
                       .action = "cancel_reservation",
                       .sku_id = "tv",
                       .before = R"({"state": "PENDING"})",
                       .asked = R"({"cancel_reason": "x"})"};
  const auto id = stock().BeginAudit(note);
  ASSERT_TRUE(id.ok()) << id.status();
  AuditEntry entry = List({.sku_id = "tv"}).at(0);
  EXPECT_EQ(entry.id, *id);
  EXPECT_EQ(entry.reason, "buyer called");
  EXPECT_EQ(entry.before, note.before);
  EXPECT_THAT(entry.after, ::testing::HasSubstr(R"("outcome": "UNKNOWN")"));
  EXPECT_EQ(*stock().EndAudit(*id, R"({"outcome": "DONE", "state": "CANCELLED"})"), true);
  EXPECT_EQ(*stock().EndAudit(*id, R"({"outcome": "REFUSED"})"), false) << "an outcome stays";
  EXPECT_EQ(*stock().EndAudit(*id + 1, R"({"outcome": "DONE"})"), false);
  entry = List({.sku_id = "tv"}).at(0);
  for (const char* member : {R"("cancel_reason": "x")", R"("outcome": "DONE")", R"("state": "CANCELLED")"}) {
    EXPECT_THAT(entry.after, ::testing::HasSubstr(member));
  }
  EXPECT_EQ(List({}).size(), 1u);
}

TEST_P(AuditContract, NobodyHidesAnEntryAmongThoseOfProcesses) {
  const AuditNote note{.actor = Actor::Process("mallory"),
                       .action = "cancel_reservation",
                       .sku_id = "tv",
                       .before = "{}",
                       .asked = "{}"};
  EXPECT_FALSE(stock().BeginAudit(note).ok());
  EXPECT_THAT(List({}), IsEmpty());
}

// A clock may be years ahead for a moment.
TEST_P(AuditContract, AClockThatIsAheadRetiresNothing) {
  Create(SkuOf("tv", 10));
  LetPass(absl::Hours(50));
  EXPECT_EQ(*upkeep().RetireAudit(absl::Hours(49), 10, absl::Now() - absl::Hours(100)), 0);
  EXPECT_EQ(*upkeep().RetireAudit(absl::Hours(49), 10, absl::Now() + absl::Hours(1000)), 1);
}

TEST_P(AuditContract, OldEntriesAreRetiredInBatches) {
  Create(SkuOf("tv", 10));
  for (int i = 0; i < 3; ++i) AddStock("tv", "alice");
  LetPass(absl::Hours(50));
  AddStock("tv", "bob");
  // The database's clock is the earlier one then.
  const absl::Time later = absl::Now() + absl::Hours(1000);
  EXPECT_EQ(*upkeep().RetireAudit(absl::Hours(51), 10, later), 0);
  EXPECT_EQ(*upkeep().RetireAudit(absl::Hours(49), 3, later), 3);
  EXPECT_THAT(Actions({}), ElementsAre("add_stock", "add_stock"));
  EXPECT_EQ(*upkeep().RetireAudit(absl::Hours(49), 3, later), 1);
  EXPECT_EQ(List({})[0].actor, "bob");
  EXPECT_FALSE(upkeep().RetireAudit(absl::Hours(23), 3, later).ok()) << "nobody loses the day by mistake";
}

}  // namespace
}  // namespace tranche::storage
