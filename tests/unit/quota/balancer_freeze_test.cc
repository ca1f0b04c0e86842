// While the cluster is frozen, the leading balancer moves nothing of its own, and goes on with what keeps the sale
// whole.
#include "tests/unit/quota/balancer_fixture.h"

namespace tranche::quota {
namespace {

using storage::kPool;
using Units = std::vector<int64_t>;

class BalancerFreezeTest : public BalancerTest {
 protected:
  void SetFrozen(bool frozen) { ASSERT_TRUE(ledger_.SetClusterFrozen(frozen, "test").ok()); }
};

TEST_F(BalancerFreezeTest, NeitherThePoolNorDemandNorANewcomerMovesUnits) {
  CreateSku(10);
  const Node a = AddNode();
  Rounds();
  ASSERT_EQ(Left(a.id), 10);
  SetFrozen(true);
  ASSERT_TRUE(ledger_.AddStock("tv", 5, std::nullopt, "test").ok());
  const Node b = AddNode();
  Rounds();
  ReportDemand(b, /*wanted=*/1);
  clock_.AdvanceBy(options_.refresh_interval);
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{10, 0, 5}));
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{b.id, 2}}, std::nullopt, "operator").ok());
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{10, 2, 3})) << "what an operator has moved stays";
  SetFrozen(false);
  Rounds();
  EXPECT_EQ(Left(kPool), 0);
  EXPECT_GT(Left(b.id), 2) << "the newcomer has its share";
}

TEST_F(BalancerFreezeTest, UnitsOfTheDeadStillComeBackAndAnnouncementsAreRepaired) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  SetFrozen(true);
  Rounds();
  zookeeper_.ExpireSession(a.session->SessionId());
  Rounds();
  EXPECT_FALSE(IsLive(a.id));
  EXPECT_EQ((Units{Left(b.id), Left(kPool)}), (Units{5, 5}));
  operator_.DeleteAll(kSkusPath);
  clock_.AdvanceBy(options_.repair_interval);
  Rounds();
  EXPECT_EQ(AnnouncedSku().version(), QuotaVersion());
}

TEST_F(BalancerFreezeTest, UntilTheLedgerHasSaidThatNothingIsFrozenNothingMoves) {
  ledger_.settings_fail = true;
  CreateSku(10);
  const Node a = AddNode();
  for (int round = 0; round < 5; ++round) EXPECT_FALSE(balancer_.RunOnce().ok());
  EXPECT_TRUE(balancer_.leading());
  EXPECT_EQ(Left(a.id), 0);
  ledger_.settings_fail = false;
  Rounds();
  EXPECT_EQ(Left(a.id), 10);
}

}  // namespace
}  // namespace tranche::quota
