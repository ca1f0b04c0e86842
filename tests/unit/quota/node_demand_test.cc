// An agent reports the demand at its node.
#include "gtest/gtest.h"
#include "tests/unit/quota/node_agent_fixture.h"

namespace tranche::quota {
namespace {

using internal::v1::DemandReport;

TEST_F(BegunNodeAgentTest, DemandIsReportedAtOnceUntilUnitsArrive) {
  Give(4);
  RunDry(/*wanted=*/2);
  ASSERT_TRUE(Demand().has_value());
  ASSERT_EQ(Demand()->skus_size(), 1);
  const DemandReport report = *Demand();
  EXPECT_EQ(report.skus(0).sku_id(), "tv");
  EXPECT_EQ(report.skus(0).wanted(), 2);
  EXPECT_EQ(report.skus(0).free(), 0);
  EXPECT_EQ(report.skus(0).slice_version(), slices_.Find("tv")->counter().version());
  EXPECT_EQ(report.reported_at_us(), absl::ToUnixMicros(clock_.Now()));
  Give(2);
  EXPECT_EQ(Demand()->skus_size(), 0);
  EXPECT_GT(Demand()->sequence(), report.sequence());
}

TEST_F(BegunNodeAgentTest, RatesAreReportedOnceAnInterval) {
  Give(4);
  slices_.Find("tv")->CountGranted(10);
  const int64_t sequence = Demand()->sequence();
  Turns();
  EXPECT_EQ(Demand()->sequence(), sequence) << "a rate is no hurry";
  clock_.AdvanceBy(options_.demand.interval);
  Turns();
  ASSERT_EQ(Demand()->skus_size(), 1);
  EXPECT_GT(Demand()->skus(0).grants_per_s(), 1);
  EXPECT_EQ(Demand()->skus(0).wanted(), 0);
}

TEST_F(BegunNodeAgentTest, AReportThatCouldNotBeWrittenIsDueAgain) {
  Give(4);
  zookeeper_.FailNextWrite(FakeZookeeper::UnknownOutcome::kNotPerformed);
  RunDry(/*wanted=*/2);
  EXPECT_EQ(Demand()->skus_size(), 0);
  Turns();
  EXPECT_EQ(Demand()->skus_size(), 1);
}

TEST_F(BegunNodeAgentTest, ANodeThatCannotCommitSaysSo) {
  ledger_answers_ = false;
  Turns();
  EXPECT_TRUE(Demand()->cannot_commit());
  ledger_answers_ = true;
  Turns();
  EXPECT_FALSE(Demand()->cannot_commit());
}

TEST_F(BegunNodeAgentTest, ANodeThatSendsCallersElsewhereSaysWhy) {
  unhealthy_ = "calls are overdue";
  clock_.AdvanceBy(options_.demand.interval);
  Turns();
  EXPECT_EQ(Demand()->unhealthy(), "calls are overdue");
  unhealthy_.clear();
  clock_.AdvanceBy(options_.demand.interval);
  Turns();
  EXPECT_EQ(Demand()->unhealthy(), "");
}

TEST_F(BegunNodeAgentTest, ANodeThatCannotUseItsFilesSaysWhich) {
  faulty_files_ = {"--access-file"};
  clock_.AdvanceBy(options_.demand.interval);
  Turns();
  ASSERT_EQ(Demand()->faulty_files_size(), 1);
  EXPECT_EQ(Demand()->faulty_files(0), "--access-file");
  faulty_files_.clear();
  clock_.AdvanceBy(options_.demand.interval);
  Turns();
  EXPECT_EQ(Demand()->faulty_files_size(), 0);
}

TEST_F(BegunNodeAgentTest, AnIdleNodeGivesASignOfLife) {
  const int64_t sequence = Demand()->sequence();
  clock_.AdvanceBy(options_.demand.heartbeat - absl::Milliseconds(1));
  Turns();
  EXPECT_EQ(Demand()->sequence(), sequence);
  clock_.AdvanceBy(absl::Milliseconds(1));
  Turns();
  EXPECT_EQ(Demand()->sequence(), sequence + 1);
}

TEST_F(BegunNodeAgentTest, WhatIsSoldOutIsNobodysDemand) {
  Give(10);
  storage::ReservationClaim claim{.reservation_id = {}, .sku_id = "tv", .user_id = "u", .quantity = 10};
  claim.reservation_id.bytes[15] = 1;
  ASSERT_TRUE(ledger_.CommitReservations(agent_.incarnation(), storage::LockMode::kWait, {claim}).ok());
  RunDry(/*wanted=*/1);
  ASSERT_EQ(Demand()->skus_size(), 1);
  ASSERT_TRUE(announcer_.AnnounceSkus({*ledger_.GetSku("tv")}).ok());
  Turns();
  EXPECT_EQ(Demand()->skus_size(), 0);
  EXPECT_TRUE(slices_.Find("tv")->terms()->sold_out());
}

}  // namespace
}  // namespace tranche::quota
