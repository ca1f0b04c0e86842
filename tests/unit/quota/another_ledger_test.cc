// The tree is another ledger's than the process's database: the process neither leads nor serves, until an operator
// hands the tree over.
#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "quota/coordination/ledger_mark.h"
#include "tests/support/logged_lines.h"
#include "tests/unit/quota/balancer_fixture.h"
#include "tests/unit/quota/node_agent_fixture.h"

namespace tranche::quota {
namespace {

using storage::FakeLedger;
using storage::kPool;

constexpr char kAnothersId[] = "11111111-2222-4333-8444-555555555555";
constexpr char kAnothersLine[] = "11111111-2222-4333-8444-555555555555/1";

// Leaves the mark of a ledger's line in the tree.
void LeaveMark(Coordination& tree, const std::string& line, const std::string& shard = storage::kHomeShard) {
  const std::string data = ToZnodeData({.line = line, .count = 1000});
  absl::Status written = tree.Set(LedgerMarkPath(shard), data, kAnyVersion);
  if (absl::IsNotFound(written)) written = tree.Create(LedgerMarkPath(shard), data, CreateMode::kPersistent);
  ASSERT_TRUE(written.ok()) << written;
}

std::string LineInTree(Coordination& tree, const std::string& shard = storage::kHomeShard) {
  const auto znode = tree.Get(LedgerMarkPath(shard), Watch::kNo);
  return znode.ok() ? ReadLedgerMark(znode->data).line : "";
}

int ErrorsThatName(const testing::LoggedLines& log, const std::string& one, const std::string& other) {
  return static_cast<int>(std::count_if(log.lines().begin(), log.lines().end(), [&](const std::string& line) {
    return absl::StrContains(line, "does not lead") && absl::StrContains(line, one) && absl::StrContains(line, other);
  }));
}

class AnothersTreeBalancerTest : public BalancerTest {
 protected:
  Coordination& tree() { return operator_.tree(); }
  void Seconds(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      clock_.AdvanceBy(options_.refresh_interval);
      Rounds();
    }
  }
  bool BegunHistory() {
    const auto log = *ledger_.ListAudit({}, 0, 1000);
    return std::any_of(log.begin(), log.end(), [](const auto& entry) { return entry.action == "begin_history"; });
  }
  // Once round by round, as the rounds of a shard's balancer without a fixture.
  static void RunThrough(Balancer& balancer) {
    int rounds = 0;
    do {
      const absl::Status status = balancer.RunOnce();
      ASSERT_TRUE(status.ok()) << status;
    } while (balancer.HasWork() && ++rounds < 100);
  }
};

TEST_F(AnothersTreeBalancerTest, ACandidateStaysAwayUntilTheTreeIsHandedOver) {
  CreateSku(10);
  const Node a = AddNode();
  LeaveMark(tree(), kAnothersLine);
  const std::string own_id = std::string(FakeLedger::kFirstLine).substr(0, 36);
  {
    const testing::LoggedLines log;
    Rounds();
    Seconds(59);
    EXPECT_EQ(ErrorsThatName(log, kAnothersId, own_id), 1) << "once a minute";
    Seconds(1);
    EXPECT_EQ(ErrorsThatName(log, kAnothersId, own_id), 2);
  }
  EXPECT_FALSE(balancer_.leading());
  EXPECT_FALSE(Exists(LeaderPath()));
  EXPECT_EQ(LineInTree(tree()), kAnothersLine);
  EXPECT_EQ(Left(kPool), 10);
  EXPECT_TRUE(IsLive(a.id));
  EXPECT_FALSE(BegunHistory());

  ASSERT_TRUE(RequestNewHistoryOfAnyLedger(tree()).ok());
  Seconds(1);
  EXPECT_TRUE(balancer_.leading());
  EXPECT_TRUE(BegunHistory()) << "what the tree says is about another ledger";
  EXPECT_FALSE(IsLive(a.id));
  EXPECT_EQ(LineInTree(tree()), FakeLedger::kFirstLine);
  const Node b = AddNode();
  Rounds();
  EXPECT_EQ(Left(b.id), 10);
}

TEST_F(AnothersTreeBalancerTest, ALeaderResigns) {
  CreateSku(10);
  const Node a = AddNode();
  Rounds();
  ASSERT_TRUE(balancer_.leading());
  LeaveMark(tree(), kAnothersLine);
  clock_.AdvanceBy(options_.refresh_interval);
  const testing::LoggedLines log;
  EXPECT_TRUE(IsAnotherLedgersTree(balancer_.RunOnce()));
  EXPECT_FALSE(balancer_.leading());
  EXPECT_FALSE(Exists(LeaderPath()));
  EXPECT_EQ(ErrorsThatName(log, kAnothersId, ""), 1);
  Seconds(2);
  EXPECT_FALSE(balancer_.leading());
  EXPECT_EQ(LineInTree(tree()), kAnothersLine);
  EXPECT_TRUE(IsLive(a.id));
  EXPECT_EQ(Left(a.id), 10);
  EXPECT_FALSE(BegunHistory());
}

// Nobody could lead while its session lives.
TEST_F(AnothersTreeBalancerTest, AResignationThatIsLostIsMadeGood) {
  Rounds();
  LeaveMark(tree(), kAnothersLine);
  clock_.AdvanceBy(options_.refresh_interval);
  zookeeper_.FailNextWrite(FakeZookeeper::UnknownOutcome::kNotPerformed);
  EXPECT_FALSE(balancer_.RunOnce().ok());
  ASSERT_TRUE(Exists(LeaderPath()));
  Seconds(1);
  EXPECT_FALSE(Exists(LeaderPath()));
}

// The database was replaced beneath the leader, and somebody has deleted the mark.
TEST_F(AnothersTreeBalancerTest, ALeaderWhoseDatabaseIsReplacedLeavesTheMarkToTheNext) {
  const Node a = AddNode();
  Rounds();
  ledger_.line_of_another = kAnothersLine;
  ASSERT_TRUE(tree().Delete(LedgerMarkPath(), kAnyVersion).ok());
  clock_.AdvanceBy(options_.refresh_interval);
  EXPECT_TRUE(IsAnotherLedgersTree(balancer_.RunOnce()));
  EXPECT_EQ(LineInTree(tree()), FakeLedger::kFirstLine);
  Seconds(2);
  EXPECT_FALSE(balancer_.leading());
  EXPECT_TRUE(IsLive(a.id));
  EXPECT_FALSE(BegunHistory());
}

TEST_F(AnothersTreeBalancerTest, OneThatOnlyWaitsSaysSoToo) {
  Rounds();
  BusyLedger another(&clock_);
  another.line_of_another = kAnothersLine;
  Balancer waits(&connector_, &another, &clock_, options_);
  ASSERT_TRUE(waits.Connect().ok());
  const testing::LoggedLines log;
  RunThrough(waits);
  EXPECT_EQ(ErrorsThatName(log, kAnothersId, ""), 1);
  balancer_.Stop();
  clock_.AdvanceBy(options_.refresh_interval);
  RunThrough(waits);
  EXPECT_FALSE(waits.leading());
}

TEST_F(AnothersTreeBalancerTest, AMarkThatNamesNoLedgerIsNoObstacle) {
  internal::v1::NodeRegistration of_another_kind;
  of_another_kind.set_name("node-1/x");
  for (const std::string& data :
       {std::string(), std::string("\xff\xff garbage"), of_another_kind.SerializeAsString()}) {
    if (Exists(LedgerMarkPath())) {
      ASSERT_TRUE(tree().Set(LedgerMarkPath(), data, kAnyVersion).ok());
    } else {
      ASSERT_TRUE(tree().Create(LedgerMarkPath(), data, CreateMode::kPersistent).ok());
    }
    Balancer balancer(&connector_, &ledger_, &clock_, options_);
    ASSERT_TRUE(balancer.Connect().ok());
    RunThrough(balancer);
    EXPECT_TRUE(balancer.leading());
    EXPECT_EQ(LineInTree(tree()), FakeLedger::kFirstLine);
  }
}

TEST_F(AnothersTreeBalancerTest, AnotherShardsMarkKeepsOnlyThatShardsBalancersAway) {
  LeaveMark(tree(), kAnothersLine, "s1");
  BalancerOptions options;
  options.shard = "s1";
  Balancer of_shard(&connector_, &ledger_, &clock_, options);
  ASSERT_TRUE(of_shard.Connect().ok());
  RunThrough(of_shard);
  Rounds();
  EXPECT_FALSE(of_shard.leading());
  EXPECT_TRUE(balancer_.leading());
  ASSERT_TRUE(RequestNewHistoryOfAnyLedger(tree()).ok());
  Seconds(1);
  clock_.AdvanceBy(options.refresh_interval);
  RunThrough(of_shard);
  EXPECT_TRUE(of_shard.leading());
  EXPECT_EQ(LineInTree(tree(), "s1"), FakeLedger::kFirstLine);
}

// The other system has no shard of that name.
TEST_F(AnothersTreeBalancerTest, AShardsBalancersStayAwayFromAnotherHomesTree) {
  LeaveMark(tree(), kAnothersLine);
  BalancerOptions options;
  options.shard = "s1";
  options.home_id = "99999999-2222-4333-8444-555555555555";
  Balancer of_shard(&connector_, &ledger_, &clock_, options);
  ASSERT_TRUE(of_shard.Connect().ok());
  RunThrough(of_shard);
  EXPECT_FALSE(of_shard.leading());
  EXPECT_FALSE(Exists(LedgerMarkPath("s1")));
  options.home_id = kAnothersId;
  Balancer of_that_home(&connector_, &ledger_, &clock_, options);
  ASSERT_TRUE(of_that_home.Connect().ok());
  RunThrough(of_that_home);
  EXPECT_TRUE(of_that_home.leading());
}

using AnothersTreeNewNodeTest = NodeAgentTest;
using AnothersTreeNodeTest = BegunNodeAgentTest;

TEST_F(AnothersTreeNewNodeTest, ANodeDoesNotBegin) {
  LeaveMark(tree(), kAnothersLine);
  EXPECT_TRUE(IsAnotherLedgersTree(agent_.Begin()));
  EXPECT_TRUE(ledger_.ListLiveIncarnations()->empty());
  EXPECT_TRUE(tree().List(kNodesPath, Watch::kNo)->empty());
  EXPECT_TRUE(tree().List(kSlicesPath, Watch::kNo)->empty());
  LeaveMark(tree(), FakeLedger::kFirstLine);
  EXPECT_TRUE(agent_.Begin().ok());
}

TEST_F(AnothersTreeNodeTest, ANodeWhoseSessionEndsBeginsAgainWhenTheTreeIsHandedOver) {
  LeaveMark(tree(), kAnothersLine);
  zookeeper_.ExpireSession(agent_.Session()->SessionId());
  Turns();
  Turns();
  EXPECT_TRUE(ledger_.ListLiveIncarnations()->empty());
  EXPECT_TRUE(tree().List(kNodesPath, Watch::kNo)->empty());
  ASSERT_TRUE(RequestNewHistoryOfAnyLedger(tree()).ok());
  Turns();
  ExpectOnlyLive(agent_.incarnation());
}

// A balancer that does not look, of an earlier version, has taken the tree and removed the registration.
TEST_F(AnothersTreeNodeTest, ANodeSellsWhatItHoldsAndRegistersAgainWhenTheTreeIsItsLedgersAgain) {
  Give(4);
  LeaveMark(tree(), kAnothersLine);
  const std::string path = NodePath(agent_.incarnation());
  ASSERT_TRUE(tree().Delete(path, kAnyVersion).ok());
  Turns();
  EXPECT_FALSE(other_.Exists(path));
  EXPECT_EQ(Free(), 4);
  LeaveMark(tree(), FakeLedger::kFirstLine);
  Turns();
  ExpectRegisteredByItself();
  EXPECT_EQ(Free(), 4);
}

}  // namespace
}  // namespace tranche::quota
