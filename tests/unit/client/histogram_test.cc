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
