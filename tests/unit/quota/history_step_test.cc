// The ledger is an older state of itself: everything begins anew from what it says.
#include "quota/balancer/round/history_step.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "quota/coordination/ledger_mark.h"
#include "tests/unit/quota/balancer_fixture.h"

namespace tranche::quota {
namespace {

using internal::v1::SliceAnnouncement;
using storage::IncarnationId;
using storage::kPool;
using storage::LedgerMark;

class HistoryStepTest : public BalancerTest {
 protected:
  void Remember(const LedgerMark& mark, const std::string& shard = storage::kHomeShard) {
    const std::string data = ToZnodeData(mark);
    absl::Status written = operator_.tree().Set(LedgerMarkPath(shard), data, kAnyVersion);
    if (absl::IsNotFound(written)) {
      written = operator_.tree().Create(LedgerMarkPath(shard), data, CreateMode::kPersistent);
    }
    ASSERT_TRUE(written.ok()) << written;
  }
  LedgerMark Remembered(const std::string& shard = storage::kHomeShard) {
    const auto znode = operator_.tree().Get(LedgerMarkPath(shard), Watch::kNo);
    EXPECT_TRUE(znode.ok()) << znode.status();
    return znode.ok() ? ReadLedgerMark(znode->data) : LedgerMark{};
  }
  // As it is remembered when the ledger has lost its last 500 looks.
  void LoseHistory() {
    LedgerMark mark = Remembered();
    mark.count += 500;
    Remember(mark);
  }
  void NextLook() {
    clock_.AdvanceBy(options_.refresh_interval);
    Rounds();
  }
  // Until it has nothing to do at once, whatever fails.
  static absl::Status RunAll(Balancer& balancer) {
    absl::Status status;
    do {
      status = balancer.RunOnce();
    } while (status.ok() && balancer.HasWork());
    return status;
  }
  int Histories() {
    int begun = 0;
    const auto log = ledger_.ListAudit({}, 0, 1000);
    for (const storage::AuditEntry& entry : *log) {
      begun += entry.action == "begin_history" ? 1 : 0;
    }
    return begun;
  }
};

TEST_F(HistoryStepTest, ALedgerThatGoesOnIsLeftAlone) {
  CreateSku(10);
  const Node a = AddNode();
  for (int look = 0; look < 5; ++look) NextLook();
  EXPECT_TRUE(IsLive(a.id));
  EXPECT_EQ(Histories(), 0);
  EXPECT_EQ(Remembered().line, storage::FakeLedger::kFirstLine);
  EXPECT_GE(Remembered().count, 5);
  // Nor does another leader begin one.
  Balancer other(&connector_, &ledger_, &clock_, options_);
  balancer_.Stop();
  ASSERT_TRUE(other.Connect().ok());
  ASSERT_TRUE(other.RunOnce().ok());
  ASSERT_TRUE(other.leading());
  EXPECT_TRUE(IsLive(a.id));
  EXPECT_EQ(Histories(), 0);
}

TEST_F(HistoryStepTest, AnOlderLedgerEndsAllIncarnationsAndItsUnitsAreDistributedAnew) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  ASSERT_EQ(Left(a.id) + Left(b.id), 10);
  LoseHistory();
  clock_.AdvanceBy(options_.refresh_interval);
  Rounds();
  for (const Node* node : {&a, &b}) {
    EXPECT_FALSE(IsLive(node->id));
    EXPECT_FALSE(Exists(NodePath(node->id))) << "so it hears that it has ended";
    EXPECT_FALSE(Exists(SlicesPath(node->id)));
  }
  EXPECT_EQ(Left(kPool), 10);
  EXPECT_EQ(Histories(), 1);
  EXPECT_EQ(balancer_.counts().histories.value(), 1);
  EXPECT_EQ(balancer_.counts().incarnations_reclaimed[static_cast<size_t>(Evidence::kHistory)].value(), 2);
  EXPECT_TRUE(GoesOn(Remembered(), *ledger_.Mark(std::nullopt)));

  const Node again = AddNode();
  EXPECT_GT(again.id, b.id);
  Rounds();
  EXPECT_EQ(Left(again.id), 10);
  ExpectAnnounced(again);
  NextLook();
  EXPECT_TRUE(IsLive(again.id)) << "it belongs to the new history";
  EXPECT_EQ(Histories(), 1);
}

TEST_F(HistoryStepTest, AnotherLineOfHistoryIsAnOlderLedger) {
  Rounds();
  Remember({.line = absl::StrCat(storage::FakeLedger::kFirstLine, "/the timeline before the failover"), .count = 1});
  const Node a = AddNode();
  NextLook();
  EXPECT_FALSE(IsLive(a.id));
}

// Registered after the backup was taken: the older ledger knows nothing of it, and would give its number out again.
TEST_F(HistoryStepTest, NoNumberOfALostIncarnationIsGivenAgain) {
  Rounds();
  const IncarnationId lost = 4711, by_hand = storage::kMostBelievedIncarnation + 1;
  for (const IncarnationId id : {lost, by_hand}) {
    ASSERT_TRUE(operator_.tree().Create(SlicesPath(id), "", CreateMode::kPersistent).ok());
  }
  ASSERT_TRUE(operator_.tree().Create(NodePath(lost), "", CreateMode::kEphemeral).ok());
  LoseHistory();
  NextLook();
  EXPECT_FALSE(Exists(NodePath(lost)));
  EXPECT_FALSE(Exists(SlicesPath(lost)));
  const IncarnationId next = *ledger_.RegisterIncarnation("node", "host:1");
  EXPECT_GT(next, lost);
  EXPECT_LT(next, lost + 10000) << "one that was written by hand does not use up the numbers";
}

TEST_F(HistoryStepTest, AnOperatorAsksForANewHistory) {
  Rounds();
  const Node a = AddNode();
  NextLook();
  ASSERT_TRUE(RequestNewHistory(operator_.tree()).ok());
  NextLook();
  EXPECT_FALSE(IsLive(a.id));
  EXPECT_EQ(Histories(), 1);
  for (int look = 0; look < 3; ++look) NextLook();
  EXPECT_EQ(Histories(), 1) << "asked for once";
}

TEST_F(HistoryStepTest, ADeletedMarkIsRememberedByTheLeader) {
  Rounds();
  const Node a = AddNode();
  NextLook();
  ASSERT_TRUE(operator_.tree().Delete(LedgerMarkPath(), kAnyVersion).ok());
  NextLook();
  EXPECT_TRUE(IsLive(a.id));
  EXPECT_EQ(Histories(), 0);
  EXPECT_EQ(Remembered().line, storage::FakeLedger::kFirstLine);
  // The folder, too.
  operator_.DeleteAll(kLedgerPath);
  NextLook();
  NextLook();
  EXPECT_EQ(Remembered().line, storage::FakeLedger::kFirstLine);
  EXPECT_EQ(Histories(), 0);
}

// The leader dies when the incarnations have ended: until the mark is written, its successor begins again.
TEST_F(HistoryStepTest, ANewHistoryThatWasInterruptedIsBegunAgain) {
  CreateSku(10);
  const Node a = AddNode();
  Rounds();
  LoseHistory();
  const LedgerMark before = Remembered();
  clock_.AdvanceBy(options_.refresh_interval);
  ledger_.marks_left = 3;
  EXPECT_FALSE(RunAll(balancer_).ok());
  EXPECT_FALSE(IsLive(a.id));
  EXPECT_EQ(Remembered().count, before.count) << "it is written last";
  balancer_.Stop();
  const Node between = AddNode();
  ledger_.marks_left = 1000;
  Balancer successor(&connector_, &ledger_, &clock_, options_);
  ASSERT_TRUE(successor.Connect().ok());
  ASSERT_TRUE(RunAll(successor).ok());
  EXPECT_EQ(Histories(), 2);
  EXPECT_FALSE(IsLive(between.id));
  EXPECT_TRUE(GoesOn(Remembered(), *ledger_.Mark(std::nullopt)));
}

// Each look that cannot be acted on would count on, until the older ledger seemed to go on from the mark.
TEST_F(HistoryStepTest, LooksThatFailedDoNotHideTheLossOfTheLastOne) {
  CreateSku(10);
  const Node a = AddNode();
  Rounds();
  const auto backup = ledger_.Save();
  NextLook();
  ledger_.Restore(*backup, storage::FakeLedger::Line::kSame);
  ledger_.histories_to_fail = 5;
  clock_.AdvanceBy(options_.refresh_interval);
  for (int round = 0; round < 5; ++round) EXPECT_FALSE(RunAll(balancer_).ok());
  ASSERT_EQ(ledger_.histories_to_fail, 0);
  ASSERT_TRUE(RunAll(balancer_).ok());
  EXPECT_EQ(Histories(), 1);
  EXPECT_FALSE(IsLive(a.id));
}

// While a new history is begun, the ledger is restored once more, to before that.
TEST_F(HistoryStepTest, ALedgerThatIsRestoredTwiceBeginsANewHistoryTwice) {
  const Node a = AddNode();
  Rounds();
  const auto backup = ledger_.Save();
  NextLook();
  ledger_.Restore(*backup, storage::FakeLedger::Line::kSame);
  const auto restored = ledger_.Save();
  clock_.AdvanceBy(options_.refresh_interval);
  ledger_.marks_left = 1;
  EXPECT_FALSE(RunAll(balancer_).ok());
  ASSERT_EQ(Histories(), 1);
  ledger_.Restore(*restored, storage::FakeLedger::Line::kNew);
  ledger_.marks_left = 1000;
  // Its numbers are low again: if they were taken for old ones, nodes would be ended for ever.
  const Node b = AddNode();
  ASSERT_TRUE(RunAll(balancer_).ok());
  EXPECT_EQ(Histories(), 1) << "the first one is lost";
  EXPECT_FALSE(IsLive(a.id));
  EXPECT_FALSE(IsLive(b.id));
  const IncarnationId next = *ledger_.RegisterIncarnation("node", "host:1");
  EXPECT_GT(next, a.id + 500) << "no number of the lost history";
}

// First the wrong backup was restored, then a newer one: its ledger had counted further than the one that it replaces.
TEST_F(HistoryStepTest, ANewerBackupOfAnEarlierHistoryIsNoticedToo) {
  Rounds();
  const auto monday = ledger_.Save();
  for (int look = 0; look < 5; ++look) NextLook();
  const auto tuesday = ledger_.Save();
  NextLook();
  ledger_.Restore(*monday, storage::FakeLedger::Line::kSame);
  NextLook();
  ASSERT_EQ(Histories(), 1);
  const Node a = AddNode();
  NextLook();
  ledger_.Restore(*tuesday, storage::FakeLedger::Line::kSame);
  NextLook();
  EXPECT_EQ(Histories(), 1) << "of this ledger";
  EXPECT_FALSE(Exists(NodePath(a.id)));
  EXPECT_GT(*ledger_.RegisterIncarnation("node", "host:1"), a.id);
}

// A shard numbers no incarnations: their home ends them everywhere.
TEST_F(HistoryStepTest, TheLeaderOfAShardLetsHomeBeginTheNewHistory) {
  Rounds();
  const Node a = AddNode();
  NextLook();
  storage::FakeLedger shard_ledger(&clock_);
  BalancerOptions options;
  options.shard = "s1";
  Balancer of_shard(&connector_, &shard_ledger, &clock_, options);
  ASSERT_TRUE(of_shard.Connect().ok());
  Remember({.line = storage::FakeLedger::kFirstLine, .count = 500}, "s1");
  ASSERT_TRUE(RunAll(of_shard).ok());
  EXPECT_LT(Remembered("s1").count, 500);
  EXPECT_EQ(Remembered().line, "") << "asked for";
  NextLook();
  EXPECT_FALSE(IsLive(a.id));
  EXPECT_EQ(Histories(), 1);
}

}  // namespace
}  // namespace tranche::quota
