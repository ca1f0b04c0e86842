// Draws go on through lost answers, outages, and beside a SKU that is locked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>
#include <string>

#include "server/worker/drawer.h"
#include "storage/ledger/ledger_error.h"
#include "tests/unit/server/worker/drawer_fixture.h"

namespace tranche::server {
namespace {

using storage::DrawAward;
using storage::DrawState;
using storage::DrawStep;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

class DrawerTroubleTest : public DrawerTest {};

TEST_F(DrawerTroubleTest, WhateverAnswerIsLostEachPlaceIsGivenOnce) {
  CloseDraw("tv", 2500, 3);
  std::set<std::string> lost;
  draws_.loses = [&](const std::string& method, const std::string&) {
    return lost.insert(method).second ? storage::UnknownCommitError("the connection is gone") : absl::OkStatus();
  };
  RunFor(absl::Seconds(10));
  ExpectSealed("tv", 2500);
  Take("tv", DrawStep::kSeed);
  RunFor(absl::Seconds(10));
  ExpectPlaces("tv", 3);
  for (const DrawAward& award : Awards("tv")) Pay(award);
  RunFor(absl::Seconds(10));
  EXPECT_EQ(Get("tv").state, DrawState::kFinished);
  for (const char* method : {"ListDrawWork", "ReadDrawChunks", "ListDrawEntries", "AddDrawChunks", "SealDraw",
                             "RankDraw", "AwardDraw", "PurgeDraws"}) {
    EXPECT_EQ(lost.count(method), 1u) << method;
  }
}

TEST_F(DrawerTroubleTest, AnswersMayBeLostAgainAndAgain) {
  CloseDraw("tv", 2500, 3);
  std::minstd_rand random(1);
  draws_.loses = [&](const std::string&, const std::string&) {
    return random() % 3 == 0 ? storage::UnknownCommitError("the connection is gone") : absl::OkStatus();
  };
  RunFor(absl::Minutes(5));
  ExpectSealed("tv", 2500);
  Take("tv", DrawStep::kSeed);
  RunFor(absl::Minutes(5));
  ExpectPlaces("tv", 3);
}

TEST_F(DrawerTroubleTest, ALockedSkuHoldsUpNoOtherDraw) {
  CloseDraw("aa", 2500, 2);
  CloseDraw("tv", 2500, 2);
  draws_.refuses = [&](const std::string&, const std::string& sku_id) {
    if (sku_id != "aa") return absl::OkStatus();
    clock_.AdvanceBy(absl::Milliseconds(100));  // that the ledger waits for the lock
    return storage::BusyError("locked");
  };
  RunFor(absl::Seconds(4));
  ExpectSealed("tv", 2500);
  Take("tv", DrawStep::kSeed);
  RunFor(absl::Seconds(5));
  ExpectPlaces("tv", 2);
  EXPECT_EQ(Get("aa").state, DrawState::kClosing);
  EXPECT_GE(WaitsFor(), 8.5);

  RunFor(absl::Minutes(9));
  EXPECT_EQ(drawer_.told(), 1);
  RunFor(absl::Minutes(2));
  EXPECT_EQ(drawer_.told(), 2) << "each ten minutes";
  const int tries = draws_.calls["ReadDrawChunks"];
  RunFor(absl::Minutes(1));
  EXPECT_THAT(draws_.calls["ReadDrawChunks"] - tries, AllOf(Ge(5), Le(15))) << "every five seconds";

  draws_.refuses = nullptr;
  RunFor(absl::Seconds(11));
  ExpectSealed("aa", 2500);
  EXPECT_FALSE(Waits());
}

TEST_F(DrawerTroubleTest, AStatementThatNeverAnswersHoldsUpNoOtherDraw) {
  CloseDraw("aa", 10, 1);
  CloseDraw("tv", 10, 1);
  draws_.refuses = [](const std::string&, const std::string& sku_id) {
    return sku_id == "aa" ? absl::UnavailableError("canceled by statement timeout") : absl::OkStatus();
  };
  RunFor(absl::Seconds(2));
  ExpectSealed("tv", 10);
}

TEST_F(DrawerTroubleTest, AnOutageIsWaitedForAndIsNoNewsOfEachDraw) {
  CloseDraw("aa", 2500, 1);
  CloseDraw("tv", 2500, 1);
  RunFor(absl::Milliseconds(1));
  draws_.refuses = [](const std::string&, const std::string&) { return absl::UnavailableError("gone"); };
  RunFor(absl::Minutes(1));
  EXPECT_GE(WaitsFor(), 59);
  EXPECT_THAT(draws_.calls["ListDrawWork"], Le(100)) << "less and less often";
  EXPECT_EQ(drawer_.told(), 0) << "the log tells once of the ledger";
  draws_.refuses = nullptr;
  RunFor(absl::Seconds(5));
  ExpectSealed("aa", 2500);
  ExpectSealed("tv", 2500);
}

TEST_F(DrawerTroubleTest, WhileTheSaleIsPausedPlacesWaitAndItIsToldOnce) {
  CloseDraw("tv", 10, 2);
  RunFor(absl::Seconds(2));
  ASSERT_TRUE(ledger_.SetSkuPaused("tv", true, "", std::nullopt, "test").ok());
  Take("tv", DrawStep::kSeed);
  RunFor(absl::Seconds(4));
  EXPECT_EQ(drawer_.told(), 0) << "it may be for a moment";
  EXPECT_EQ(drawer_.counts().open_places.load(), 2);
  RunFor(absl::Minutes(9));
  EXPECT_EQ(drawer_.told(), 1);
  EXPECT_GE(WaitsFor(), 9 * 60);
  RunFor(absl::Minutes(2));
  EXPECT_EQ(drawer_.told(), 2);
  EXPECT_THAT(Awards("tv"), IsEmpty());

  ASSERT_TRUE(ledger_.SetSkuPaused("tv", false, "", std::nullopt, "test").ok());
  RunFor(absl::Seconds(2));
  ExpectPlaces("tv", 2);
  EXPECT_FALSE(Waits());
  EXPECT_EQ(drawer_.counts().open_places.load(), 0);
}

TEST_F(DrawerTroubleTest, PaymentsDoNotHideThatFreePlacesWait) {
  CloseDraw("tv", 30, 10);
  RunFor(absl::Seconds(2));
  Take("tv", DrawStep::kSeed);
  RunFor(absl::Seconds(4));
  ASSERT_THAT(Awards("tv"), SizeIs(10));
  ASSERT_TRUE(ledger_.SetSkuPaused("tv", true, "", std::nullopt, "test").ok());
  GiveUp(Awards("tv").back());
  RunFor(absl::Seconds(2));
  for (int i = 0; i < 8; ++i) {
    Pay(Awards("tv")[static_cast<size_t>(i)]);
    RunFor(absl::Seconds(4));
    EXPECT_EQ(drawer_.counts().open_places.load(), 1);
  }
  EXPECT_EQ(Get("tv").confirmed, 8);
  EXPECT_GE(WaitsFor(), 30);
  EXPECT_EQ(drawer_.told(), 1);
}

}  // namespace
}  // namespace tranche::server
