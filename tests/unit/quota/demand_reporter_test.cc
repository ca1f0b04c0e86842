#include "quota/node/demand_reporter.h"

#include <map>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "quota/coordination/coordination.h"

namespace tranche::quota {
namespace {

using internal::v1::DemandReport;

class DemandReporterTest : public ::testing::Test {
 protected:
  DemandReporterTest() { slices_.Begin(1); }

  std::shared_ptr<Slice> Hold(const std::string& sku_id, int64_t units, int64_t version) {
    const std::shared_ptr<Slice> slice = slices_.FindOrAdd(sku_id);
    slice->SetTerms(SkuTerms{});
    slice->counter().Apply(units, version);
    return slice;
  }
  // The report that is due, if any; marks it as written.
  std::optional<DemandReport> Write() {
    std::optional<DemandReport> report = reporter_.Due(now_, ledger_answers_);
    if (report.has_value()) reporter_.Written(*report, now_);
    return report;
  }
  // The same when one must be due.
  DemandReport MustWrite() {
    const std::optional<DemandReport> report = Write();
    EXPECT_TRUE(report.has_value());
    return report.value_or(DemandReport());
  }
  // What the next report, which must be due, says about the only SKU in it.
  DemandReport::SkuDemand WriteOnly() {
    const DemandReport report = MustWrite();
    EXPECT_EQ(report.skus_size(), 1);
    return report.skus_size() == 1 ? report.skus(0) : DemandReport::SkuDemand();
  }
  void IntervalPasses() { now_ += options_.interval; }

  const DemandReporterOptions options_;
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  bool ledger_answers_ = true;
  SliceTable slices_;
  std::map<std::string, int64_t> waiting_;
  DemandReporter reporter_{&slices_, [this](const std::string& sku_id) { return waiting_[sku_id]; }, options_};
};

TEST_F(DemandReporterTest, WithoutActivityThereIsASignOfLife) {
  const DemandReport first = MustWrite();
  EXPECT_EQ(first.sequence(), 1);
  EXPECT_EQ(first.skus_size(), 0);
  EXPECT_EQ(first.reported_at_us(), absl::ToUnixMicros(now_));
  now_ += options_.heartbeat - absl::Milliseconds(1);
  EXPECT_FALSE(Write().has_value());
  now_ += absl::Milliseconds(1);
  EXPECT_EQ(MustWrite().sequence(), 2);
}

TEST_F(DemandReporterTest, WhoRunsDrySaysSoAtOnceAndOnce) {
  const auto slice = Hold("tv", 5, 7);
  MustWrite();
  ASSERT_TRUE(slice->counter().TryTake(5));
  slice->MarkWanted(3);
  waiting_["tv"] = 2;
  // Until it is written, it is due.
  ASSERT_TRUE(reporter_.Due(now_, true).has_value());
  const DemandReport report = MustWrite();
  ASSERT_EQ(report.skus_size(), 1);
  EXPECT_EQ(report.skus(0).sku_id(), "tv");
  EXPECT_EQ(report.skus(0).wanted(), 3);
  EXPECT_EQ(report.skus(0).free(), 0);
  EXPECT_EQ(report.skus(0).slice_version(), 7);
  EXPECT_EQ(report.skus(0).waiting(), 2);
  EXPECT_FALSE(Write().has_value());
  slice->MarkWanted(2);
  EXPECT_EQ(WriteOnly().wanted(), 2) << "a smaller quantity is easier to find";
  // Units come, and are not enough.
  slice->counter().Apply(6, 8);
  slice->ClearWantedIfMet();
  EXPECT_EQ(WriteOnly().slice_version(), 8) << "what it was given did not help";
  slice->counter().Apply(7, 9);
  slice->ClearWantedIfMet();
  EXPECT_EQ(WriteOnly().wanted(), 0);
  EXPECT_FALSE(Write().has_value());
}

TEST_F(DemandReporterTest, RatesFollowTheTrafficWithinAFewIntervals) {
  const auto slice = Hold("tv", 1000, 1);
  MustWrite();
  slice->CountGranted(80);
  slice->CountInFlight(20);
  slice->CountDenied(50);
  EXPECT_FALSE(Write().has_value()) << "a rate is no hurry";
  IntervalPasses();
  DemandReport report = MustWrite();
  ASSERT_EQ(report.skus_size(), 1);
  EXPECT_DOUBLE_EQ(report.skus(0).grants_per_s(), 60) << "units in flight were asked for, too";
  EXPECT_DOUBLE_EQ(report.skus(0).denials_per_s(), 30);
  EXPECT_EQ(report.skus(0).in_flight(), 20);
  slice->CountInFlight(-20);
  slice->CountGranted(120);
  IntervalPasses();
  report = MustWrite();
  EXPECT_DOUBLE_EQ(report.skus(0).grants_per_s(), 0.4 * 60 + 0.6 * 100);
  // The traffic goes elsewhere.
  IntervalPasses();
  EXPECT_EQ(MustWrite().skus_size(), 0) << "nobody for a whole interval is nobody";
  IntervalPasses();
  EXPECT_FALSE(Write().has_value()) << "nothing new";
}

TEST_F(DemandReporterTest, TellsTheTrafficAsMeasuredAlsoOfWhatIsSoldOut) {
  const auto slice = Hold("tv", 0, 1);
  EXPECT_TRUE(reporter_.traffic()->empty());
  MustWrite();
  slice->CountRefused(50);
  EXPECT_EQ(reporter_.traffic()->at("tv").refused_per_s, 0) << "not measured yet";
  IntervalPasses();
  MustWrite();
  const auto measured = reporter_.traffic();
  EXPECT_DOUBLE_EQ(measured->at("tv").refused_per_s, 30);
  EXPECT_EQ(measured->at("tv").grants_per_s, 0);
  reporter_.Reset();
  EXPECT_TRUE(reporter_.traffic()->empty());
  EXPECT_EQ(measured->size(), 1u) << "who holds it keeps it";
}

TEST_F(DemandReporterTest, ALongPauseBetweenTurnsIsNoBurst) {
  const auto slice = Hold("tv", 1000, 1);
  MustWrite();
  slice->CountGranted(100);
  now_ += 10 * options_.interval;
  EXPECT_DOUBLE_EQ(WriteOnly().grants_per_s(), 6);
}

TEST_F(DemandReporterTest, WhatIsSoldOutOrOverIsNobodysDemand) {
  for (const char* end : {"sold out", "closed", "unknown"}) {
    const auto slice = Hold(end, 0, 1);
    slice->CountDenied(100);
    slice->MarkWanted(1);
  }
  IntervalPasses();
  EXPECT_EQ(MustWrite().skus_size(), 3);
  slices_.Find("sold out")->SetTerms(SkuTerms{.at_most = 0});
  slices_.Find("closed")->SetTerms(SkuTerms{.closed = true});
  const DemandReport report = MustWrite();
  ASSERT_EQ(report.skus_size(), 1);
  EXPECT_EQ(report.skus(0).sku_id(), "unknown");
  slices_.Find("sold out")->SetTerms(SkuTerms{});
  EXPECT_EQ(MustWrite().skus_size(), 2) << "stock was added";
}

TEST_F(DemandReporterTest, WhatIsAskedForAfterSellOutIsShownAndIsNoDemand) {
  const auto slice = Hold("tv", 0, 1);
  slice->SetTerms(SkuTerms{.at_most = 0});
  MustWrite();
  slice->CountRefused(100);
  EXPECT_FALSE(Write().has_value()) << "no hurry";
  IntervalPasses();
  const DemandReport::SkuDemand tv = WriteOnly();
  EXPECT_DOUBLE_EQ(tv.refused_per_s(), 60);
  EXPECT_EQ(tv.wanted(), 0);
  EXPECT_EQ(tv.grants_per_s() + tv.denials_per_s(), 0) << "the balancer goes by these";
  IntervalPasses();
  EXPECT_EQ(MustWrite().skus_size(), 0) << "nobody asks any more";
}

// A report has room for so many: what is only refused must not push out what runs dry or sells.
TEST_F(DemandReporterTest, WhatIsOnlyRefusedComesLast) {
  MustWrite();
  for (int i = 0; i < 400; ++i) Hold(absl::StrCat("a-sold-out-", i), 0, 1)->CountRefused(1000);
  Hold("z-sells", 1000, 1)->CountGranted(1);
  const auto dry = Hold("y-dry", 0, 1);
  dry->CountDenied(1);
  dry->MarkWanted(1);
  IntervalPasses();
  const DemandReport report = MustWrite();
  ASSERT_EQ(report.skus_size(), 400);
  EXPECT_EQ(report.skus(0).sku_id(), "y-dry");
  EXPECT_EQ(report.skus(1).sku_id(), "z-sells");
}

TEST_F(DemandReporterTest, MoreUnitsThanExistAreNotWanted) {
  const auto slice = Hold("tv", 0, 1);
  const auto deny_two = [&] {
    slice->CountDenied(2);
    slice->MarkWanted(2);
    IntervalPasses();
  };
  deny_two();
  EXPECT_EQ(WriteOnly().wanted(), 2);
  slice->SetTerms(SkuTerms{.at_most = 1});
  deny_two();
  EXPECT_EQ(WriteOnly().wanted(), 0);
}

TEST_F(DemandReporterTest, ANodeThatDoesNotReachTheLedgerSaysSoAtOnce) {
  MustWrite();
  ledger_answers_ = false;
  EXPECT_TRUE(MustWrite().cannot_commit());
  EXPECT_FALSE(Write().has_value());
  ledger_answers_ = true;
  EXPECT_FALSE(MustWrite().cannot_commit());
}

TEST_F(DemandReporterTest, TheDryComeFirstThenTheBusiestAndAReportFitsIntoAZnode) {
  const std::string long_id(60, 'x');
  for (int i = 0; i < 450; ++i) {
    const auto slice = Hold(absl::StrCat(long_id, 1000 + i), int64_t{1} << 60, int64_t{1} << 60);
    slice->CountGranted(1000000 + i);
    slice->CountDenied(1000000000);
    slice->CountInFlight(int64_t{1} << 40);
    if (i < 10) slice->MarkWanted(int64_t{1} << 60);
  }
  const DemandReport report = MustWrite();
  ASSERT_EQ(report.skus_size(), 400);
  for (int i = 0; i < 10; ++i) EXPECT_GT(report.skus(i).wanted(), 0);
  EXPECT_EQ(report.skus(10).sku_id(), absl::StrCat(long_id, 1449));
  EXPECT_EQ(report.skus(399).sku_id(), absl::StrCat(long_id, 1449 - 389));
  EXPECT_LT(report.ByteSizeLong(), kMaxZnodeBytes);
}

// What is known of the SKU is all that a node can queue by while the ledger is away.
TEST_F(DemandReporterTest, AnEmptySliceWhoseClaimsAreQueuedIsNotForgotten) {
  slices_.FindOrAdd("queued");
  MustWrite();
  for (int i = 0; i < 3; ++i) {
    now_ += options_.forget_after - absl::Milliseconds(1);
    slices_.Find("queued")->CountDiverted(1);
    Write();
    ASSERT_NE(slices_.Find("queued"), nullptr);
  }
  now_ += options_.forget_after;
  Write();
  EXPECT_EQ(slices_.Find("queued"), nullptr);
}

TEST_F(DemandReporterTest, AnEmptySliceThatNobodyAsksForIsForgottenAndAHeldOneIsNot) {
  Hold("held", 0, 1);
  slices_.FindOrAdd("asked for")->MarkWanted(1);
  MustWrite();
  now_ += options_.forget_after - absl::Milliseconds(1);
  Write();
  EXPECT_NE(slices_.Find("asked for"), nullptr);
  slices_.Find("asked for")->CountDenied(1);
  IntervalPasses();
  Write();
  now_ += options_.forget_after - absl::Milliseconds(1);
  Write();
  EXPECT_NE(slices_.Find("asked for"), nullptr) << "there was a request since";
  IntervalPasses();
  Write();
  EXPECT_EQ(slices_.Find("asked for"), nullptr);
  EXPECT_NE(slices_.Find("held"), nullptr) << "its counter is the only one that knows what was spent";
}

TEST_F(DemandReporterTest, BuyersThatHaveGoneAreNoDemand) {
  const auto slice = Hold("tv", 0, 1);
  const auto asked_in_vain = [&] {
    slice->CountDenied(1);
    slice->MarkWanted(1);
  };
  asked_in_vain();
  EXPECT_EQ(WriteOnly().wanted(), 1);
  IntervalPasses();
  waiting_["tv"] = 1;
  EXPECT_EQ(WriteOnly().wanted(), 1) << "one still waits";
  IntervalPasses();
  waiting_["tv"] = 0;
  EXPECT_EQ(MustWrite().skus_size(), 0);
  asked_in_vain();
  EXPECT_EQ(WriteOnly().wanted(), 1) << "the next one is news";
}

TEST_F(DemandReporterTest, ANewIncarnationStartsOver) {
  const auto old = Hold("tv", 100, 1);
  old->CountGranted(1000);
  old->CountDenied(1000);
  MustWrite();
  slices_.Begin(2);
  Hold("tv", 100, 2)->CountGranted(10);
  reporter_.Reset();
  const DemandReport report = MustWrite();
  EXPECT_EQ(report.sequence(), 1);
  ASSERT_EQ(report.skus_size(), 1);
  EXPECT_DOUBLE_EQ(report.skus(0).grants_per_s(), 6);
  EXPECT_DOUBLE_EQ(report.skus(0).denials_per_s(), 0);
}

// The tree was deleted, and the report with it.
TEST_F(DemandReporterTest, AReportThatWasLostIsRepeatedWithTheRatesAsTheyAre) {
  const auto slice = Hold("tv", 1000000, 1);
  DemandReport last;
  for (int interval = 0; interval < 20; ++interval) {
    slice->CountGranted(interval % 2 == 0 ? 101 : 99);
    IntervalPasses();
    last = MustWrite();
  }
  reporter_.Repeat();
  const DemandReport report = MustWrite();
  EXPECT_EQ(report.sequence(), last.sequence() + 1);
  ASSERT_EQ(report.skus_size(), 1);
  EXPECT_NEAR(report.skus(0).grants_per_s(), 100, 1) << "what was sold long ago is no traffic of now";
  EXPECT_FALSE(Write().has_value());
}

}  // namespace
}  // namespace tranche::quota
