#include "client/load/histogram.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace tranche::load {
namespace {

TEST(HistogramTest, IsEmptyAtFirst) {
  Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.ValueAt(0.5), 0u);
  EXPECT_EQ(histogram.mean_us(), 0);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 100; ++value) histogram.Record(value);
  EXPECT_EQ(histogram.ValueAt(0.5), 50u);
  EXPECT_EQ(histogram.ValueAt(0.99), 99u);
  EXPECT_EQ(histogram.ValueAt(1), 100u);
  EXPECT_EQ(histogram.max_us(), 100u);
  EXPECT_DOUBLE_EQ(histogram.mean_us(), 50.5);
}

TEST(HistogramTest, LargeValuesAreWithinOnePercent) {
  for (uint64_t value : {127ull, 128ull, 129ull, 255ull, 256ull, 1000ull, 65'535ull, 1'000'000ull, 68'000'000'000ull}) {
    Histogram histogram;
    histogram.Record(value);
    histogram.Record(value * 2);  // so that the maximum does not hide the bucket's end
    const uint64_t read = histogram.ValueAt(0.5);
    EXPECT_GE(read, value);
    EXPECT_LE(static_cast<double>(read), static_cast<double>(value) * 1.008) << value;
  }
}

TEST(HistogramTest, AQuantileNeverExceedsTheMaximum) {
  Histogram histogram;
  histogram.Record(1'000'001);
  EXPECT_EQ(histogram.ValueAt(0.999), 1'000'001u);
  histogram.Record(uint64_t{1} << 60);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.max_us(), uint64_t{1} << 60);
}

TEST(HistogramTest, CountsWhatIsInTime) {
  Histogram histogram;
  for (const uint64_t value : {100, 1'000, 2'000'000, 2'100'000}) histogram.Record(value);
  EXPECT_EQ(histogram.CountUpTo(99), 0u);
  EXPECT_EQ(histogram.CountUpTo(100), 1u);
  EXPECT_EQ(histogram.CountUpTo(2'000'000), 3u);
  EXPECT_EQ(histogram.CountUpTo(uint64_t{1} << 60), 4u);
}

// Whoever recorded a value, alone or in parts: the contents are the same.
TEST(HistogramTest, PartsAddUpExactly) {
  Histogram whole, first, second;
  for (uint64_t value = 1; value < 10'000'000; value += value / 3 + 1) {
    whole.Record(value);
    (value % 2 == 0 ? first : second).Record(value);
  }
  Histogram sum;
  sum.Add(first.contents());
  sum.Add(second.contents());
  const Histogram::Contents expected = whole.contents();
  const Histogram::Contents found = sum.contents();
  ASSERT_EQ(found.buckets.size(), expected.buckets.size());
  for (size_t i = 0; i < expected.buckets.size(); ++i) {
    EXPECT_EQ(found.buckets[i].number, expected.buckets[i].number);
    EXPECT_EQ(found.buckets[i].count, expected.buckets[i].count);
    EXPECT_LT(found.buckets[i].number, Histogram::Buckets());
  }
  EXPECT_EQ(found.max_us, expected.max_us);
  EXPECT_EQ(found.sum_us, expected.sum_us);
  EXPECT_EQ(sum.ValueAt(0.9), whole.ValueAt(0.9));
}

TEST(HistogramTest, CountsFromManyThreads) {
  Histogram histogram;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (uint64_t i = 0; i < 10'000; ++i) histogram.Record(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(histogram.count(), 40'000u);
  EXPECT_EQ(histogram.max_us(), 9'999u);
}

}  // namespace
}  // namespace tranche::load
