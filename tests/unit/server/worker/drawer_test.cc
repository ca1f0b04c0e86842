// Draws from their close to their end.
#include "server/worker/drawer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "server/worker/worker_metrics.h"
#include "tests/unit/server/metrics/metric_values.h"
#include "tests/unit/server/worker/drawer_fixture.h"

namespace tranche::server {
namespace {

using storage::AwardOutcome;
using storage::DrawAward;
using storage::DrawState;
using storage::DrawStep;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Optional;
using ::testing::SizeIs;

TEST_F(DrawerTest, ADrawGoesItsWholeWay) {
  CloseDraw("tv", 2500, 3);
  RunFor(absl::Seconds(2));
  ExpectSealed("tv", 2500);
  EXPECT_EQ(draws_.calls["AddDrawChunks"], 3) << "a chunk at a time";
  EXPECT_EQ(draws_.calls["ReadDrawChunks"], 1) << "it knows what it has stored";
  EXPECT_THAT(draws_.limits, Each(storage::kDrawChunkEntries));

  Take("tv", DrawStep::kSeed);
  RunFor(absl::Seconds(3));
  EXPECT_EQ(Get("tv").state, DrawState::kDrawn);
  EXPECT_EQ(draws_.calls["RankDraw"], 4);
  ExpectPlaces("tv", 3);
  EXPECT_EQ(drawer_.counts().drawn.load(), 1);
  EXPECT_EQ(drawer_.counts().open_places.load(), 0);
  EXPECT_FALSE(Waits()) << "all places are given, and nobody has paid yet";

  const std::vector<DrawAward> first = Awards("tv");
  Pay(first[0]);
  Pay(first[1]);
  GiveUp(first[2]);
  RunFor(absl::Seconds(3));
  ExpectPlaces("tv", 4);
  EXPECT_EQ(Awards("tv")[2].outcome, AwardOutcome::kLapsed);
  Pay(Awards("tv")[3]);
  RunFor(absl::Seconds(3));
  EXPECT_EQ(Get("tv").state, DrawState::kFinished);
  EXPECT_EQ(Get("tv").confirmed, 3);
  EXPECT_EQ(drawer_.counts().awarded.value(), 4);
  EXPECT_EQ(drawer_.counts().drawn.load(), 0);
  EXPECT_EQ(drawer_.told(), 0);
}

TEST_F(DrawerTest, AHoldThatExpiresGivesItsPlaceToTheNext) {
  CloseDraw("tv", 10, 2);
  RunFor(absl::Seconds(2));
  Take("tv", DrawStep::kSeed);
  RunFor(absl::Seconds(2));
  ExpectPlaces("tv", 2);
  clock_.AdvanceBy(absl::Minutes(16));
  ASSERT_TRUE(ledger_.ExpireDue(100).ok());
  RunFor(absl::Seconds(2));
  ExpectPlaces("tv", 4);
}

TEST_F(DrawerTest, WithoutAnEntryADrawEndsByItself) {
  CloseDraw("tv", 0, 3);
  RunFor(absl::Seconds(2));
  ExpectSealed("tv", 0);
  Take("tv", DrawStep::kSeed);
  RunFor(absl::Seconds(3));
  EXPECT_EQ(Get("tv").state, DrawState::kFinished);
  EXPECT_THAT(Awards("tv"), IsEmpty());
}

TEST_F(DrawerTest, WholeChunksNeedNoMoreThanAnEmptyPage) {
  CloseDraw("tv", 2 * storage::kDrawChunkEntries, 1);
  RunFor(absl::Seconds(2));
  ExpectSealed("tv", 2 * storage::kDrawChunkEntries);
  EXPECT_EQ(draws_.calls["ListDrawEntries"], 3);
}

TEST_F(DrawerTest, AnotherWorkerGoesOnWhereOneHasEnded) {
  CloseDraw("tv", 5000, 1);
  {
    Drawer ends(&draws_, &clock_, HalfTheWait, kSmallPieces);
    while (draws_.calls["AddDrawChunks"] < 3) clock_.AdvanceBy(ends.Step());
  }
  draws_.calls.clear();
  RunFor(absl::Seconds(2));
  ExpectSealed("tv", 5000);
  EXPECT_EQ(draws_.calls["AddDrawChunks"], 2) << "of five";
}

TEST_F(DrawerTest, NoPageIsLongerThanTheLedgerAllows) {
  CloseDraw("tv", 9000, 1);
  Drawer drawer(&draws_, &clock_, HalfTheWait, {});
  RunFor(absl::Seconds(2), {&drawer});
  ExpectSealed("tv", 9000);
  EXPECT_THAT(draws_.limits, AllOf(SizeIs(3), Each(Le(storage::kMaxDrawPage))));
}

// A call was performed, and its answer was lost: each method's first one.
TEST_F(DrawerTest, TwoWorkersSideBySideDoTheSameOnce) {
  CloseDraw("tv", 5000, 7);
  Drawer other(&draws_, &clock_, HalfTheWait, kSmallPieces);
  RunFor(absl::Seconds(3), {&drawer_, &other});
  ExpectSealed("tv", 5000);
  Take("tv", DrawStep::kSeed);
  RunFor(absl::Seconds(3), {&drawer_, &other});
  ExpectPlaces("tv", 7);
  EXPECT_EQ(drawer_.counts().awarded.value() + other.counts().awarded.value(), 7);
  for (const DrawAward& award : Awards("tv")) Pay(award);
  RunFor(absl::Seconds(3), {&drawer_, &other});
  EXPECT_EQ(Get("tv").state, DrawState::kFinished);
  EXPECT_EQ(drawer_.told() + other.told(), 0) << "a race that is lost is no failure";
}

TEST_F(DrawerTest, SeveralDrawsTakeTurns) {
  CloseDraw("lp", 10, 1);
  CloseDraw("tv", 5000, 1);
  // A look, then a piece of each.
  for (int step = 0; step < 3; ++step) clock_.AdvanceBy(drawer_.Step());
  EXPECT_EQ(Get("lp").state, DrawState::kClosed);
  EXPECT_EQ(Get("tv").state, DrawState::kClosing);
  EXPECT_EQ(draws_.calls["AddDrawChunks"], 2);
  EXPECT_EQ(drawer_.counts().closing.load(), 2) << "by the look";
}

TEST_F(DrawerTest, AfterEachPieceItRestsForAsLongAsThatTook) {
  LetTake("AddDrawChunks", absl::Milliseconds(40));
  CloseDraw("lp", 2500, 1);
  CloseDraw("tv", 2500, 1);
  EXPECT_EQ(drawer_.Step(), absl::ZeroDuration()) << "a look, which found work";
  EXPECT_EQ(drawer_.Step(), absl::Milliseconds(40)) << "although another draw is next";
  EXPECT_EQ(drawer_.Step(), absl::Milliseconds(40));
  LetTake("AddDrawChunks", absl::Seconds(7));
  drawer_.Step();
  EXPECT_EQ(drawer_.Step(), absl::Seconds(1)) << "a slow ledger must not stop a draw";
  LetTake("AddDrawChunks", -absl::Hours(1));
  EXPECT_EQ(drawer_.Step(), absl::Milliseconds(10)) << "the clock was set back";
}

TEST_F(DrawerTest, ItRestsFromRanksAndNotFromAwards) {
  CloseDraw("tv", 10, 5);
  RunFor(absl::Seconds(2));
  Take("tv", DrawStep::kSeed);
  LetTake("RankDraw", absl::Milliseconds(40));
  drawer_.Step();
  EXPECT_EQ(drawer_.Step(), absl::Milliseconds(40));
  LetTake("AwardDraw", absl::Milliseconds(40));
  drawer_.Step();
  EXPECT_EQ(drawer_.Step(), absl::Milliseconds(10)) << "winners wait";
  EXPECT_THAT(Awards("tv"), SizeIs(2));
}

TEST_F(DrawerTest, SeveralLargeDrawsLeaveTheLedgerHalfOfTheTime) {
  CloseDraw("lp", 5000, 1);
  CloseDraw("tv", 5000, 1);
  LetTake("AddDrawChunks", absl::Milliseconds(40));
  const absl::Time begun = clock_.Now();
  const auto sealed = [this] { return Get("lp").state == DrawState::kClosed && Get("tv").state == DrawState::kClosed; };
  for (int step = 0; step < 100 && !sealed(); ++step) clock_.AdvanceBy(drawer_.Step());
  ASSERT_TRUE(sealed());
  ASSERT_EQ(draws_.calls["AddDrawChunks"], 10);
  const absl::Duration busy = 10 * absl::Milliseconds(40);
  EXPECT_GE(clock_.Now() - begun, 2 * busy);
  EXPECT_LE(clock_.Now() - begun, 2 * busy + absl::Seconds(1)) << "and one look for work";
}

TEST_F(DrawerTest, WhileAnotherWorkerRanksItKeepsAway) {
  CloseDraw("tv", 2500, 1);
  RunFor(absl::Seconds(2));
  Take("tv", DrawStep::kSeed);
  draws_.others_rank = true;
  drawer_.Step();
  EXPECT_EQ(drawer_.Step(), absl::Seconds(1)) << "otherwise it would rank in the other's rests";
  draws_.others_rank = false;
  clock_.AdvanceBy(absl::Seconds(1));
  RunFor(absl::Seconds(1));
  EXPECT_EQ(Get("tv").state, DrawState::kDrawn) << "when the other one has ended, it goes on";
}

// "aa" comes first in each turn.
TEST_F(DrawerTest, RemovedDrawsAreDeletedInBatches) {
  draws_.removed_rows = 12'000;
  EXPECT_EQ(drawer_.Step(), absl::Milliseconds(10)) << "there may be more";
  clock_.AdvanceBy(absl::Milliseconds(10));
  EXPECT_EQ(drawer_.Step(), absl::Milliseconds(10));
  clock_.AdvanceBy(absl::Milliseconds(10));
  EXPECT_EQ(drawer_.Step(), absl::Seconds(1));
  EXPECT_EQ(draws_.removed_rows, 0);
  RunFor(absl::Seconds(9));
  EXPECT_EQ(draws_.calls["PurgeDraws"], 3);
  RunFor(absl::Seconds(2));
  EXPECT_EQ(draws_.calls["PurgeDraws"], 4) << "every ten seconds";
}

TEST_F(DrawerTest, ItRestsFromDeletingToo) {
  draws_.removed_rows = 12'000;
  LetTake("PurgeDraws", absl::Milliseconds(40));
  EXPECT_EQ(drawer_.Step(), absl::Milliseconds(40));
}

TEST_F(DrawerTest, WithoutDrawsItLooksOnceASecond) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(drawer_.Step(), absl::Seconds(1));
    clock_.AdvanceBy(absl::Seconds(1));
  }
  EXPECT_EQ(draws_.calls["ListDrawWork"], 5);
  EXPECT_FALSE(Waits());
}

TEST_F(DrawerTest, MetricsTellOfItsDraws) {
  WorkerMetrics metrics(&clock_);
  const auto joined = metrics.Join(
      {.shard = "home", .expirer = nullptr, .retirer = nullptr, .drawer = &drawer_, .relays = {}, .ledger_up = [] {
         return true;
       }});
  const auto value = [&](const std::string& name, MetricLabels labels = {}) {
    labels.emplace_back("shard", "home");
    return MetricValues(metrics).Of(name, labels);
  };
  EXPECT_THAT(value("tranche_draws", {{"state", "closing"}}), Optional(0)) << "shown without a draw, too";
  EXPECT_THAT(value("tranche_draw_waiting_seconds"), Optional(0));
  CloseDraw("tv", 2500, 3);
  drawer_.Step();
  clock_.AdvanceBy(absl::Seconds(7));
  EXPECT_THAT(value("tranche_draws", {{"state", "closing"}}), Optional(1));
  EXPECT_THAT(value("tranche_draw_waiting_seconds"), Optional(7)) << "also while its thread hangs";
  RunFor(absl::Seconds(2));
  Take("tv", DrawStep::kSeed);
  RunFor(absl::Seconds(3));
  EXPECT_THAT(value("tranche_draws", {{"state", "closing"}}), Optional(0));
  EXPECT_THAT(value("tranche_draws", {{"state", "drawn"}}), Optional(1));
  EXPECT_THAT(value("tranche_draw_awards_total", {{"outcome", "awarded"}}), Optional(3));
  EXPECT_THAT(value("tranche_draw_awards_total", {{"outcome", "passed_over"}}), Optional(0));
  EXPECT_THAT(value("tranche_draw_open_places"), Optional(0));
  EXPECT_THAT(value("tranche_draw_waiting_seconds"), Optional(0));
}

}  // namespace
}  // namespace tranche::server
