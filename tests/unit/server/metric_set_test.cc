// The text that Prometheus reads: types, buckets, labels; which SKUs are shown; what a process says about itself.
#include "server/metrics/metric_set.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/metrics/process_metrics.h"
#include "server/metrics/sku_metrics.h"
#include "storage/base/histogram.h"
#include "tests/support/http_get.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;
using testing::SamplesOf;

std::string TextOf(MetricSet& metrics) { return prometheus::TextSerializer().Serialize(metrics.Take()); }
std::map<std::string, double> SamplesIn(MetricSet& metrics) { return SamplesOf(TextOf(metrics)); }

TEST(MetricSetTest, ANameHasOneFamily) {
  MetricSet metrics;
  metrics.AddCounter("a_total", "Letters.", 1, {{"kind", "x"}});
  metrics.AddGauge("b", "Others.", -2.5);
  metrics.AddCounter("a_total", "Letters.", 3, {{"kind", "y"}});
  EXPECT_EQ(TextOf(metrics),
            "# HELP a_total Letters.\n# TYPE a_total counter\na_total{kind=\"x\"} 1\na_total{kind=\"y\"} 3\n"
            "# HELP b Others.\n# TYPE b gauge\nb -2.5\n");
  EXPECT_EQ(TextOf(metrics), "") << "it was taken";
}

TEST(MetricSetTest, LabelsMayHoldAnything) {
  MetricSet metrics;
  metrics.AddGauge("g", "A gauge.", 1, {{"sku", "a\"b\\c\nd"}});
  EXPECT_THAT(TextOf(metrics), HasSubstr("g{sku=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

TEST(MetricSetTest, BucketsAreCumulative) {
  Histogram histogram({1, 2, 4});
  for (const double value : {0.5, 1.0, 1.5, 3.0, 3.5, 100.0}) histogram.Observe(value);
  MetricSet metrics;
  metrics.AddHistogram("h", "A histogram.", histogram.values());
  const auto samples = SamplesIn(metrics);
  EXPECT_EQ(samples.at("h_bucket{le=\"1\"}"), 2) << "bounds are inclusive";
  EXPECT_EQ(samples.at("h_bucket{le=\"2\"}"), 3);
  EXPECT_EQ(samples.at("h_bucket{le=\"4\"}"), 5);
  EXPECT_EQ(samples.at("h_bucket{le=\"+Inf\"}"), 6);
  EXPECT_EQ(samples.at("h_count"), 6);
  EXPECT_EQ(samples.at("h_sum"), 109.5);
}

std::map<std::string, double> Shown(const std::vector<SkuFigures>& skus, size_t most) {
  MetricSet metrics;
  AddSkuMetrics(skus, most, &metrics);
  return SamplesIn(metrics);
}

std::string Of(const std::string& name, const std::string& sku) { return absl::StrCat(name, "{sku=\"", sku, "\"}"); }

TEST(SkuMetricsTest, TheBusiestAreShownAndTheOthersSummed) {
  const std::vector<SkuFigures> skus = {
      {.sku_id = "idle", .free = 7, .allotted = 10},
      {.sku_id = "refused", .refusals_per_s = 50, .free = 0, .allotted = 3},
      {.sku_id = "slow", .grants_per_s = 1, .refusals_per_s = 2, .free = 5, .allotted = 6},
      {.sku_id = "sold", .grants_per_s = 20, .free = 1, .allotted = 30},
  };
  const auto samples = Shown(skus, 2);
  EXPECT_EQ(samples.at(Of("tranche_sku_refusals_per_second", "refused")), 50);
  EXPECT_EQ(samples.at(Of("tranche_sku_grants_per_second", "sold")), 20);
  EXPECT_EQ(samples.at(Of("tranche_slice_free", "sold")), 1);
  EXPECT_EQ(samples.at(Of("tranche_slice_allotted", "sold")), 30);
  EXPECT_EQ(samples.at(Of("tranche_sku_grants_per_second", "other")), 1);
  EXPECT_EQ(samples.at(Of("tranche_sku_refusals_per_second", "other")), 2);
  EXPECT_EQ(samples.at(Of("tranche_slice_free", "other")), 12);
  EXPECT_EQ(samples.at(Of("tranche_slice_allotted", "other")), 16);
  EXPECT_EQ(samples.at("tranche_skus"), 4);
  EXPECT_EQ(samples.size(), 3 * 4 + 1U) << "nothing else";
}

TEST(SkuMetricsTest, WhatIsGoneGoesAway) {
  EXPECT_TRUE(Shown({{.sku_id = "tv", .allotted = 1}}, 5).contains(Of("tranche_slice_allotted", "tv")));
  const auto samples = Shown({{.sku_id = "radio", .allotted = 2}}, 5);
  EXPECT_FALSE(samples.contains(Of("tranche_slice_allotted", "tv")));
  EXPECT_EQ(samples.at(Of("tranche_slice_allotted", "other")), 0);
}

TEST(SkuMetricsTest, ASkuThatIsCalledOtherIsOneOfThem) {
  const auto samples =
      Shown({{.sku_id = "other", .grants_per_s = 9, .allotted = 4}, {.sku_id = "tv", .allotted = 1}}, 5);
  EXPECT_EQ(samples.at(Of("tranche_slice_allotted", "other")), 4);
  EXPECT_EQ(samples.at(Of("tranche_slice_allotted", "tv")), 1);
}

TEST(SkuMetricsTest, NoneMayBeShownByItself) {
  const auto samples = Shown({{.sku_id = "tv", .allotted = 1}, {.sku_id = "radio", .allotted = 2}}, 0);
  EXPECT_EQ(samples.at(Of("tranche_slice_allotted", "other")), 3);
  EXPECT_EQ(samples.size(), 4 + 1U);
}

std::map<std::string, double> OfThisProcess() {
  ProcessMetrics source(/*certificates=*/nullptr);
  MetricSet metrics;
  source.Collect(&metrics);
  return SamplesIn(metrics);
}

TEST(ProcessMetricsTest, SaysWhatTheProcessUses) {
  const auto samples = OfThisProcess();
  EXPECT_GT(samples.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(samples.at("process_virtual_memory_bytes"), samples.at("process_resident_memory_bytes"));
  EXPECT_GE(samples.at("process_max_fds"), samples.at("process_open_fds"));
  const double now = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
  EXPECT_LE(samples.at("process_start_time_seconds"), now + 1);
  EXPECT_GT(samples.at("process_start_time_seconds"), now - absl::ToDoubleSeconds(absl::Hours(1)));
}

TEST(ProcessMetricsTest, CountsWhatIsOpen) {
  const double before = OfThisProcess().at("process_open_fds");
  std::vector<int> files;
  for (int i = 0; i < 20; ++i) files.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  // What other tests have left behind may still close some of theirs.
  EXPECT_NEAR(OfThisProcess().at("process_open_fds"), before + 20, 5);
  for (const int file : files) close(file);
}

TEST(ProcessMetricsTest, CpuTimeIsInSeconds) {
  const double before = OfThisProcess().at("process_cpu_seconds_total");
  const std::clock_t used = std::clock();
  while (std::clock() - used < CLOCKS_PER_SEC / 10) {
  }
  const double after = OfThisProcess().at("process_cpu_seconds_total");
  EXPECT_GE(after - before, 0.05) << "a tenth of a second, counted in ticks of a hundredth";
  EXPECT_LT(after - before, 10);
}

}  // namespace
}  // namespace tranche::server
