#include "server/admission/rate_table.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace tranche::server {
namespace {

constexpr size_t kRoomyTable = size_t{1} << 20;
// Two sets, so 16 slots.
constexpr size_t kLeastTable = 1;

const absl::Time kRateStart = absl::FromUnixSeconds(1'800'000'000);

// `burst` tries at once, then one in each interval.
RateRule RuleOf(absl::Duration interval, int burst, absl::Duration max_wait = absl::ZeroDuration()) {
  return {.interval = interval, .tolerance = interval * (burst - 1), .max_wait = max_wait};
}

// Fingerprints as RateKeyHasher makes them: evenly spread.
std::vector<RateFingerprint> SomeKeys(size_t count, uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::vector<RateFingerprint> keys(count);
  for (RateFingerprint& key : keys) key = random();
  return keys;
}

int CountTaken(RateTable& table, RateFingerprint key, const RateRule& rule, absl::Time now, int tries) {
  int taken = 0;
  for (int i = 0; i < tries; ++i) taken += table.Try(key, rule, now).taken ? 1 : 0;
  return taken;
}

// One key's limit, written as plainly as possible.
class PlainLimit {
 public:
  RateVerdict Try(const RateRule& rule, absl::Time now) {
    const absl::Time due = std::max(tat_, now);
    const absl::Duration early = due - now;
    if (early > rule.tolerance + rule.max_wait) return {false, early - rule.tolerance - rule.max_wait};
    tat_ = due + rule.interval;
    return {true, std::max(early - rule.tolerance, absl::ZeroDuration())};
  }
  void GiveBack(const RateRule& rule) { tat_ -= rule.interval; }

 private:
  absl::Time tat_ = absl::InfinitePast();
};

TEST(RateTableTest, GivesTheBurstThenTheRate) {
  RateTable table(kRoomyTable);
  const RateRule rule = RuleOf(absl::Milliseconds(100), 3);
  EXPECT_EQ(CountTaken(table, 7, rule, kRateStart, 10), 3);
  const RateVerdict refused = table.Try(7, rule, kRateStart + absl::Milliseconds(30));
  EXPECT_FALSE(refused.taken);
  EXPECT_EQ(refused.wait, absl::Milliseconds(70));
  EXPECT_FALSE(table.Try(7, rule, kRateStart + absl::Milliseconds(99)).taken);
  EXPECT_EQ(CountTaken(table, 7, rule, kRateStart + absl::Milliseconds(100), 10), 1);
  // Another key is not touched by it.
  EXPECT_EQ(CountTaken(table, 8, rule, kRateStart, 10), 3);
}

TEST(RateTableTest, WhoIsEarlyWaitsInTheOrderOfTheTries) {
  RateTable table(kRoomyTable);
  const RateRule rule = RuleOf(absl::Milliseconds(100), 1, /*max_wait=*/absl::Milliseconds(250));
  for (const int wait_ms : {0, 100, 200}) {
    const RateVerdict verdict = table.Try(7, rule, kRateStart);
    EXPECT_TRUE(verdict.taken);
    EXPECT_EQ(verdict.wait, absl::Milliseconds(wait_ms));
  }
  const RateVerdict refused = table.Try(7, rule, kRateStart);
  EXPECT_FALSE(refused.taken);
  EXPECT_EQ(refused.wait, absl::Milliseconds(50));
  // Whoever comes again when told to is let in, behind those who wait.
  const RateVerdict later = table.Try(7, rule, kRateStart + absl::Milliseconds(50));
  EXPECT_TRUE(later.taken);
  EXPECT_EQ(later.wait, absl::Milliseconds(250));
}

TEST(RateTableTest, WhatIsGivenBackCanBeTakenAgain) {
  RateTable table(kRoomyTable);
  const RateRule rule = RuleOf(absl::Seconds(1), 5);
  ASSERT_EQ(CountTaken(table, 7, rule, kRateStart, 10), 5);
  table.GiveBack(7, rule, kRateStart);
  table.GiveBack(7, rule, kRateStart);
  EXPECT_EQ(CountTaken(table, 7, rule, kRateStart, 10), 2);
}

TEST(RateTableTest, ToGiveBackWhatIsPastOrUnknownGivesNothing) {
  RateTable table(kRoomyTable);
  const RateRule rule = RuleOf(absl::Seconds(1), 5);
  table.GiveBack(7, rule, kRateStart);
  EXPECT_EQ(CountTaken(table, 7, rule, kRateStart, 10), 5);
  const absl::Time much_later = kRateStart + absl::Hours(1);
  table.GiveBack(7, rule, much_later);
  EXPECT_EQ(CountTaken(table, 7, rule, much_later, 10), 5);
}

TEST(RateTableTest, LookSaysWhatTryWouldAndChangesNothing) {
  RateTable table(kRoomyTable);
  const RateRule rule = RuleOf(absl::Milliseconds(100), 2, absl::Milliseconds(50));
  for (int i = 0; i < 20; ++i) {
    const absl::Time now = kRateStart + absl::Milliseconds(30) * i;
    const RateVerdict looked = table.Look(7, rule, now);
    const RateVerdict looked_again = table.Look(7, rule, now);
    const RateVerdict tried = table.Try(7, rule, now);
    EXPECT_EQ(looked.taken, tried.taken) << i;
    EXPECT_EQ(looked.wait, tried.wait) << i;
    EXPECT_EQ(looked_again.taken, tried.taken) << i;
  }
}

TEST(RateTableTest, ZeroIsAKeyLikeOthers) {
  RateTable table(kRoomyTable);
  const RateRule rule = RuleOf(absl::Seconds(1), 2);
  EXPECT_EQ(CountTaken(table, 0, rule, kRateStart, 10), 2);
}

TEST(RateTableTest, TheLargestRulesDoNotOverflow) {
  RateTable table(kRoomyTable);
  const RateRule slow = RuleOf(absl::Hours(24) * 1000, 1'000'000, absl::Seconds(3));
  EXPECT_TRUE(table.Try(7, slow, kRateStart).taken);
  EXPECT_TRUE(table.Try(7, slow, kRateStart).taken);
  const RateRule slow_and_single = RuleOf(absl::Hours(24) * 1000, 1);
  EXPECT_EQ(CountTaken(table, 8, slow_and_single, kRateStart, 10), 1);
  const RateRule quick = RuleOf(absl::Nanoseconds(1), 1);
  EXPECT_EQ(CountTaken(table, 9, quick, kRateStart, 10), 1);
  EXPECT_TRUE(table.Try(9, quick, kRateStart + absl::Nanoseconds(1)).taken);
}

TEST(RateTableTest, AgreesWithAPlainModelOverRandomTries) {
  RateTable table(kRoomyTable);
  std::mt19937_64 random(20);
  const std::vector<RateFingerprint> keys = SomeKeys(300);
  const std::array<RateRule, 4> rules = {RuleOf(absl::Milliseconds(7), 1), RuleOf(absl::Milliseconds(100), 20),
                                         RuleOf(absl::Milliseconds(50), 3, absl::Milliseconds(170)),
                                         RuleOf(absl::Seconds(2), 2, absl::Seconds(3))};
  std::map<RateFingerprint, PlainLimit> model;
  absl::Time now = kRateStart;
  int refused = 0;
  for (int i = 0; i < 100'000; ++i) {
    now += absl::Microseconds(static_cast<int64_t>(random() % 400));
    const size_t which = random() % keys.size();
    const RateRule& rule = rules.at(which % rules.size());
    const RateVerdict verdict = table.Try(keys[which], rule, now);
    const RateVerdict expected = model[keys[which]].Try(rule, now);
    ASSERT_EQ(verdict.taken, expected.taken) << "try " << i;
    ASSERT_EQ(verdict.wait, expected.wait) << "try " << i;
    refused += verdict.taken ? 0 : 1;
    if (!verdict.taken || random() % 8 != 0) continue;
    table.GiveBack(keys[which], rule, now);
    model[keys[which]].GiveBack(rule);
  }
  // Otherwise it would prove little.
  EXPECT_GT(refused, 10'000);
  EXPECT_LT(refused, 90'000);
  EXPECT_EQ(table.shared(), 0u);
}

// Many more keys than slots, of several rules, some tried much more often than others. What each key was granted must
// be what its own limit would grant if it stood alone: so it is never more than rate * T + burst in any time T.
void ExpectNothingGrantedByEviction(const std::vector<RateRule>& rules, size_t keys_tried, uint64_t seed) {
  RateTable table(/*bytes=*/40 * 132);
  ASSERT_LT(table.slots(), 400u);
  std::mt19937_64 random(seed);
  const std::vector<RateFingerprint> keys = SomeKeys(keys_tried, seed);
  std::vector<PlainLimit> alone(keys.size());
  absl::Time now = kRateStart;
  int granted = 0;
  for (int i = 0; i < 100'000; ++i) {
    // Calm times, in which slots get free, and rushes.
    now += absl::Microseconds(static_cast<int64_t>(random() % (i / 5'000 % 2 == 0 ? 20'000 : 500)));
    const size_t which = random() % (random() % 2 == 0 ? 20 : keys.size());
    const RateRule& rule = rules.at(which % rules.size());
    if (!table.Try(keys[which], rule, now).taken) continue;
    ++granted;
    ASSERT_TRUE(alone[which].Try(rule, now).taken) << "try " << i << " of key " << which << " was one too many";
  }
  EXPECT_GT(granted, 1'000);
  EXPECT_GT(table.shared(), 1'000u);
}

TEST(RateTableTest, NothingIsGrantedByEviction) {
  ExpectNothingGrantedByEviction({RuleOf(absl::Seconds(1), 3)}, 3'000, 1);
}
TEST(RateTableTest, NothingIsGrantedByEvictionWhereFewRulesMeet) {
  ExpectNothingGrantedByEviction(
      {RuleOf(absl::Seconds(1), 3), RuleOf(absl::Milliseconds(30), 10), RuleOf(absl::Seconds(10), 1, absl::Seconds(3))},
      3'000, 2);
}
// More than a group of shared buckets has room for.
TEST(RateTableTest, NothingIsGrantedByEvictionWhereManyRulesMeet) {
  std::vector<RateRule> rules;
  for (int i = 1; i <= 11; ++i) rules.push_back(RuleOf(absl::Milliseconds(200) * i, i, absl::Milliseconds(100) * i));
  ExpectNothingGrantedByEviction(rules, 3'000, 3);
}

// Field: "an evicted client gets a full bucket" (envoyproxy/gateway#9973).
TEST(RateTableTest, AnEvictedClientGetsNoFullBucket) {
  RateTable table(kLeastTable);
  const RateRule rule = RuleOf(absl::Hours(1), 5);
  const RateFingerprint client = SomeKeys(1, 77).front();
  ASSERT_EQ(CountTaken(table, client, rule, kRateStart, 10), 5);
  for (const RateFingerprint other : SomeKeys(10'000)) table.Try(other, rule, kRateStart + absl::Seconds(1));
  EXPECT_EQ(CountTaken(table, client, rule, kRateStart + absl::Seconds(2), 10), 0);
}

// Field: "a fixed window lets twice the limit through" (envoyproxy/ratelimit#32).
TEST(RateTableTest, TwiceTheLimitDoesNotPassWhereASecondEnds) {
  RateTable table(kRoomyTable);
  const RateRule ten_a_second = RuleOf(absl::Milliseconds(100), 10);
  EXPECT_EQ(CountTaken(table, 7, ten_a_second, kRateStart + absl::Milliseconds(999), 20), 10);
  EXPECT_EQ(CountTaken(table, 7, ten_a_second, kRateStart + absl::Milliseconds(1001), 20), 0);
}

TEST(RateTableTest, KeysThatFindNoSlotShareWhatOneMayHave) {
  RateTable table(kLeastTable);
  ASSERT_EQ(table.slots(), 16u);
  const RateRule rule = RuleOf(absl::Hours(1), 4);
  const std::vector<RateFingerprint> keys = SomeKeys(100);
  int taken = 0;
  for (const RateFingerprint key : keys) taken += CountTaken(table, key, rule, kRateStart, 10);
  EXPECT_EQ(taken, 16 * 4 + 4);
  EXPECT_GT(table.shared(), 0u);
  // Given back, it is there for somebody else who has no slot.
  table.GiveBack(keys[16], rule, kRateStart);
  EXPECT_EQ(CountTaken(table, keys.back(), rule, kRateStart, 10), 1);
}

// What a shared bucket says counts for those it has counted, and not for all whose slots are near.
TEST(RateTableTest, WhoeverGetsASlotBringsAlongOnlyTheirOwnTries) {
  RateTable table(kLeastTable);
  const RateRule rule = RuleOf(absl::Hours(1), 4);
  const std::vector<RateFingerprint> keys = SomeKeys(17 + 14);
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(table.Try(keys[i], rule, kRateStart).taken);
  ASSERT_EQ(CountTaken(table, keys[16], rule, kRateStart, 10), 4);
  ASSERT_EQ(table.shared(), 10u);
  // All slots are free again, and the bucket is not.
  const absl::Time later = kRateStart + absl::Hours(2);
  EXPECT_EQ(CountTaken(table, keys[16], rule, later, 10), 2);
  int taken = 0;
  for (int i = 17; i < 17 + 14; ++i) taken += CountTaken(table, keys[i], rule, later, 10);
  // One in 400 looks like another to the filter.
  EXPECT_GE(taken, 13 * 4);
}

// A buyer's limit that is used up for an hour must not stop all buyers of a SKU.
TEST(RateTableTest, ARuleThatIsSlowDoesNotHoldBackOneThatIsQuick) {
  RateTable table(kLeastTable);
  const RateRule slow = RuleOf(absl::Hours(1), 1);
  const RateRule quick = RuleOf(absl::Milliseconds(1), 1);
  for (const RateFingerprint buyer : SomeKeys(100)) table.Try(buyer, slow, kRateStart);
  const RateFingerprint sku = SomeKeys(1, 77).front();
  int taken = 0;
  for (int ms = 0; ms < 100; ++ms) taken += CountTaken(table, sku, quick, kRateStart + absl::Milliseconds(ms), 3);
  EXPECT_EQ(taken, 100);
}

TEST(RateTableTest, AClockThatStepsBackLocksNobodyOut) {
  RateTable table(kRoomyTable);
  const RateRule rule = RuleOf(absl::Seconds(2), 3);
  ASSERT_EQ(CountTaken(table, 7, rule, kRateStart, 10), 3);
  const absl::Time before = kRateStart - absl::Hours(1);
  const RateVerdict refused = table.Try(7, rule, before);
  EXPECT_FALSE(refused.taken);
  EXPECT_EQ(refused.wait, absl::Seconds(2));
  // Like somebody who has just used it up: nothing is given away.
  EXPECT_EQ(CountTaken(table, 7, rule, before + absl::Seconds(2), 10), 1);
  EXPECT_EQ(CountTaken(table, 7, rule, before + absl::Seconds(6), 10), 2);
}

// Threads read the clock, and come here later.
TEST(RateTableTest, AClockThatIsALittleBehindGivesNothingAway) {
  RateTable table(kRoomyTable);
  const RateRule rule = RuleOf(absl::Milliseconds(1), 100);
  ASSERT_EQ(CountTaken(table, 7, rule, kRateStart, 200), 100);
  EXPECT_EQ(CountTaken(table, 7, rule, kRateStart - absl::Milliseconds(500), 200), 0);
  EXPECT_EQ(CountTaken(table, 7, rule, kRateStart + absl::Milliseconds(10), 200), 10);
}

TEST(RateTableTest, ARuleThatGetsStricterCountsWhatWas) {
  RateTable table(kRoomyTable);
  ASSERT_EQ(CountTaken(table, 7, RuleOf(absl::Seconds(1), 100), kRateStart, 200), 100);
  const RateRule strict = RuleOf(absl::Seconds(10), 1);
  const RateVerdict refused = table.Try(7, strict, kRateStart);
  EXPECT_FALSE(refused.taken);
  EXPECT_EQ(refused.wait, absl::Seconds(10));
  EXPECT_EQ(CountTaken(table, 7, strict, kRateStart + absl::Seconds(10), 5), 1);
}

TEST(RateTableTest, ARuleThatGetsLooserHelpsAtOnce) {
  RateTable table(kRoomyTable);
  ASSERT_TRUE(table.Try(7, RuleOf(absl::Hours(24), 1), kRateStart).taken);
  const RateRule loose = RuleOf(absl::Seconds(1), 5);
  const RateVerdict refused = table.Try(7, loose, kRateStart);
  EXPECT_FALSE(refused.taken);
  EXPECT_EQ(refused.wait, absl::Seconds(1));
  EXPECT_EQ(CountTaken(table, 7, loose, kRateStart + absl::Seconds(1), 9), 1);
}

TEST(RateTableTest, UsesTheMemoryThatItMayAndNoMore) {
  for (const size_t bytes : {size_t{320}, size_t{1000}, size_t{2112}, size_t{5000}, kRoomyTable}) {
    const RateTable table(bytes);
    EXPECT_LE(table.bytes(), bytes);
    EXPECT_GT(table.bytes() + 200, bytes);
    EXPECT_LE(table.slots() * 16, table.bytes());
  }
  EXPECT_EQ(RateTable(kLeastTable).slots(), 16u);
  // The goal: 3.5 million keys at a load of 87 % at most.
  EXPECT_GE(RateTable(size_t{64} << 20).slots(), 4'030'000u);
}

// More than any machine can address.
TEST(RateTableTest, WithoutTheMemoryItIsSmallAndStillKeepsTheLimit) {
  RateTable table(size_t{1} << 60);
  EXPECT_LE(table.bytes(), kLeastRateTableBytes);
  EXPECT_GE(table.slots(), 60'000u);
  EXPECT_EQ(CountTaken(table, 7, RuleOf(absl::Hours(1), 3), kRateStart, 10), 3);
}

// 86 % is what 3.5 million live keys are of 64 MiB.
TEST(RateTableTest, HardlyAnyKeyIsWithoutASlotAtALoadOf86Percent) {
  RateTable table(kRoomyTable);
  const auto count = static_cast<size_t>(static_cast<double>(table.slots()) * 0.86);
  const RateRule rule = RuleOf(absl::Hours(1), 1);
  for (const RateFingerprint key : SomeKeys(count)) table.Try(key, rule, kRateStart);
  // 0.2 % by simulation. One set a key instead of two would be 9 %.
  EXPECT_LT(table.shared(), count / 200);
  EXPECT_NEAR(table.load(kRateStart), 0.86, 0.02);
  EXPECT_EQ(table.load(kRateStart + absl::Hours(1)), 0.0);
}

constexpr int kRateThreads = 4;

void OnThreads(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kRateThreads; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
}

TEST(RateTableTest, ManyThreadsTakeExactlyTheBurstOfOneKey) {
  RateTable table(kRoomyTable);
  const RateRule rule = RuleOf(absl::Hours(1), 5'000);
  std::atomic<int> taken{0};
  OnThreads([&](int) { taken += CountTaken(table, 7, rule, kRateStart, 5'000); });
  EXPECT_EQ(taken, 5'000);
}

// All threads bring the same keys into the same sets.
TEST(RateTableTest, ManyThreadsBringNoKeyInTwice) {
  RateTable table(kRoomyTable);
  const RateRule rule = RuleOf(absl::Hours(1), 2);
  const std::vector<RateFingerprint> keys = SomeKeys(2'000);
  std::vector<std::atomic<int>> taken(keys.size());
  OnThreads([&](int) {
    for (size_t i = 0; i < keys.size(); ++i) taken[i] += CountTaken(table, keys[i], rule, kRateStart, 2);
  });
  for (size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(taken[i], 2) << i;
  EXPECT_EQ(table.shared(), 0u);
}

TEST(RateTableTest, ManyThreadsGiveBackAllThatTheyTook) {
  RateTable table(kRoomyTable);
  const RateRule rule = RuleOf(absl::Hours(1), kRateThreads);
  OnThreads([&](int) {
    for (int i = 0; i < 5'000; ++i) {
      // Each holds one at a time, so there is always one left.
      EXPECT_TRUE(table.Try(7, rule, kRateStart).taken);
      table.GiveBack(7, rule, kRateStart);
    }
  });
  EXPECT_EQ(CountTaken(table, 7, rule, kRateStart, 10), kRateThreads);
}

// Slots are freed and taken by all threads, a tenth of a second after the other.
TEST(RateTableTest, ManyThreadsInATableThatIsTooSmallGrantNoKeyTooMuch) {
  RateTable table(kLeastTable);
  const RateRule rule = RuleOf(absl::Milliseconds(100), 3);
  const std::vector<RateFingerprint> keys = SomeKeys(60);
  std::vector<std::atomic<int>> taken(keys.size());
  constexpr int kTenths = 20;
  for (int tenth = 0; tenth < kTenths; ++tenth) {
    OnThreads([&](int thread) {
      std::mt19937_64 random(static_cast<uint64_t>(tenth * kRateThreads + thread));
      for (int i = 0; i < 500; ++i) {
        const size_t which = random() % keys.size();
        taken[which] += CountTaken(table, keys[which], rule, kRateStart + absl::Milliseconds(100) * tenth, 1);
      }
    });
  }
  int all = 0;
  for (const std::atomic<int>& of_key : taken) {
    EXPECT_LE(of_key, kTenths - 1 + 3);
    all += of_key;
  }
  // The 16 slots are used all the time.
  EXPECT_GE(all, 16 * kTenths);
  EXPECT_GT(table.shared(), 0u);
}

}  // namespace
}  // namespace tranche::server
