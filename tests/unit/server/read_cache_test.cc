// Many callers and one read; what is told when a read fails or takes long; what is forgotten.
#include "server/handlers/read_cache.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "storage/bounded_executor.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

using Cache = ReadCache<std::string>;

class ReadCacheTest : public ::testing::Test {
 protected:
  ReadCacheTest() { options_.max_entries = 8; }

  void Make() {
    cache_ = std::make_unique<Cache>(
        [this](const std::string& key, Cache::ReadDone done) {
          reads_.push_back(key);
          open_.emplace_back(key, std::move(done));
        },
        &clock_, options_);
  }

  // Asks, and returns where the answer will be: "value", "none" or the error's code.
  std::shared_ptr<std::string> Ask(const std::string& key, absl::Time deadline = absl::InfiniteFuture()) {
    if (cache_ == nullptr) Make();
    auto told = std::make_shared<std::string>();
    cache_->Get(key, deadline, [told](const Cache::Found& found) {
      EXPECT_EQ(*told, "") << "answered twice";
      if (!found.ok()) {
        *told = absl::StatusCodeToString(found.status().code());
      } else {
        *told = found->value == nullptr ? "none" : *found->value;
      }
    });
    return told;
  }
  // The oldest open read ends.
  void Answer(absl::StatusOr<std::string> value) {
    ASSERT_FALSE(open_.empty());
    Cache::ReadDone done = std::move(open_.front().second);
    open_.erase(open_.begin());
    done(std::move(value));
  }
  // The key is known from now on.
  void Know(const std::string& key, const std::string& value) {
    Ask(key);
    Answer(value);
  }

  storage::FakeClock clock_;
  ReadCacheOptions options_;
  std::vector<std::string> reads_;
  std::vector<std::pair<std::string, Cache::ReadDone>> open_;
  std::unique_ptr<Cache> cache_;
};

TEST_F(ReadCacheTest, AThousandCallersCostOneRead) {
  std::vector<std::shared_ptr<std::string>> told;
  for (int i = 0; i < 1000; ++i) told.push_back(Ask("tv"));
  EXPECT_THAT(reads_, ElementsAre("tv"));
  Answer(std::string("a"));
  for (const auto& one : told) EXPECT_EQ(*one, "a");
  clock_.AdvanceBy(absl::Milliseconds(999));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(*Ask("tv"), "a");
  EXPECT_THAT(reads_, SizeIs(1));
}

TEST_F(ReadCacheTest, WhenTheClockIsSetBackItIsReadAgain) {
  Know("tv", "a");
  clock_.AdvanceBy(-absl::Hours(1));
  const auto told = Ask("tv");
  EXPECT_EQ(*told, "");
  Answer(std::string("b"));
  EXPECT_EQ(*told, "b");
  EXPECT_EQ(*Ask("tv"), "b");
  Ask("radio");
  Answer(absl::UnavailableError("down"));
  clock_.AdvanceBy(-absl::Hours(1));
  const auto again = Ask("radio");
  EXPECT_EQ(*again, "") << "a failure is not remembered for an hour either";
  Answer(std::string("c"));
  EXPECT_EQ(*again, "c");
}

TEST_F(ReadCacheTest, ASecondLaterItIsReadAgainAndWaitedFor) {
  Know("tv", "a");
  clock_.AdvanceBy(absl::Seconds(1));
  const auto first = Ask("tv");
  const auto second = Ask("tv");
  EXPECT_EQ(*first, "");
  Answer(std::string("b"));
  EXPECT_EQ(*first, "b");
  EXPECT_EQ(*second, "b");
  EXPECT_THAT(reads_, SizeIs(2));
}

TEST_F(ReadCacheTest, ThatThereIsNothingIsKeptToo) {
  const auto told = Ask("boat");
  Answer(absl::NotFoundError("no such"));
  EXPECT_EQ(*told, "none");
  EXPECT_EQ(*Ask("boat"), "none");
  EXPECT_THAT(reads_, SizeIs(1));
  clock_.AdvanceBy(absl::Seconds(1));
  Know("boat", "new");
  EXPECT_EQ(*Ask("boat"), "new");
}

TEST_F(ReadCacheTest, WhenReadsFailTheLastAnswerIsToldForAMinute) {
  Know("tv", "a");
  clock_.AdvanceBy(absl::Seconds(1));
  const auto told = Ask("tv");
  Answer(absl::UnavailableError("down"));
  EXPECT_EQ(*told, "a");
  clock_.AdvanceBy(absl::Milliseconds(999));
  EXPECT_EQ(*Ask("tv"), "a");
  EXPECT_THAT(reads_, SizeIs(2)) << "a ledger that is down is asked once a second";
  clock_.AdvanceBy(absl::Seconds(58));  // 59.999 s old
  const auto still = Ask("tv");
  Answer(absl::UnavailableError("down"));
  EXPECT_EQ(*still, "a");
  clock_.AdvanceBy(absl::Seconds(1));
  const auto too_old = Ask("tv");
  Answer(absl::UnavailableError("down"));
  EXPECT_EQ(*too_old, "UNAVAILABLE");
  EXPECT_EQ(*Ask("tv"), "UNAVAILABLE") << "without another read";
  EXPECT_THAT(reads_, SizeIs(4));
}

TEST_F(ReadCacheTest, AReadThatSucceedsAgainIsBelieved) {
  const auto told = Ask("tv");
  Answer(absl::UnavailableError("down"));
  EXPECT_EQ(*told, "UNAVAILABLE");
  clock_.AdvanceBy(absl::Seconds(1));
  Know("tv", "a");
  EXPECT_EQ(*Ask("tv"), "a");
}

TEST_F(ReadCacheTest, WhileAReadHangsOthersGetTheLastAnswerAtOnce) {
  Know("tv", "a");
  clock_.AdvanceBy(absl::Seconds(1));
  const auto first = Ask("tv");
  clock_.AdvanceBy(absl::Milliseconds(99));
  const auto second = Ask("tv");
  clock_.AdvanceBy(absl::Milliseconds(1));
  EXPECT_EQ(*first, "") << "waits for the read";
  EXPECT_EQ(*Ask("tv"), "a");
  EXPECT_EQ(*first, "a") << "has waited for long enough, too";
  EXPECT_EQ(*second, "a");
  clock_.AdvanceBy(absl::Minutes(1));
  const auto late = Ask("tv");
  EXPECT_EQ(*late, "") << "what was known is too old by now";
  Answer(std::string("b"));
  EXPECT_EQ(*late, "b");
  EXPECT_THAT(reads_, SizeIs(2));
}

TEST_F(ReadCacheTest, AFloodOfKeysIsReadAFewAtATime) {
  std::vector<std::shared_ptr<std::string>> told;
  for (int i = 0; i < 100; ++i) told.push_back(Ask(absl::StrCat("sku-", i)));
  EXPECT_THAT(reads_, ElementsAre("sku-0", "sku-1"));
  Answer(std::string("a"));
  EXPECT_THAT(reads_, ElementsAre("sku-0", "sku-1", "sku-2"));
  while (!open_.empty()) Answer(std::string("a"));
  EXPECT_THAT(reads_, SizeIs(100));
  for (const auto& one : told) EXPECT_EQ(*one, "a");
}

TEST_F(ReadCacheTest, NothingIsReadForThoseWhoseDeadlinesHavePassed) {
  options_.max_reads = 1;
  options_.max_waiting = 5;
  const absl::Time soon = clock_.Now() + absl::Seconds(1);
  const auto first = Ask("tv", soon);
  const auto gone = Ask("desk", soon);
  const auto gone_too = Ask("desk", soon - absl::Milliseconds(1));
  const auto impatient = Ask("boat", soon);
  const auto patient = Ask("boat", soon + absl::Hours(1));
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(*Ask("sofa"), "RESOURCE_EXHAUSTED");
  Answer(std::string("a"));
  EXPECT_EQ(*first, "a") << "a read that has begun is of use to others";
  EXPECT_EQ(*gone, "DEADLINE_EXCEEDED");
  EXPECT_EQ(*gone_too, "DEADLINE_EXCEEDED");
  EXPECT_THAT(reads_, ElementsAre("tv", "boat"));
  const auto again = Ask("desk");
  Answer(std::string("b"));
  EXPECT_EQ(*patient, "b");
  EXPECT_EQ(*impatient, "b") << "it was read anyway";
  Answer(std::string("c"));
  EXPECT_EQ(*again, "c");
  EXPECT_THAT(reads_, ElementsAre("tv", "boat", "desk"));
}

TEST_F(ReadCacheTest, AKeyThatIsKnownIsNotRenewedForThoseWhoHaveGone) {
  options_.max_reads = 1;
  Know("tv", "a");
  clock_.AdvanceBy(absl::Seconds(1));
  const auto first = Ask("boat");
  const auto gone = Ask("tv", clock_.Now() + absl::Milliseconds(50));
  clock_.AdvanceBy(absl::Milliseconds(50));
  const auto late = Ask("sofa", clock_.Now());
  EXPECT_EQ(*gone, "DEADLINE_EXCEEDED") << "told when the next one comes";
  EXPECT_EQ(*late, "DEADLINE_EXCEEDED");
  Answer(std::string("b"));
  EXPECT_EQ(*first, "b");
  EXPECT_THAT(open_, SizeIs(0));
  EXPECT_EQ(reads_.size(), 2u);
}

// So many known keys are asked for all the time that renewals alone would fill the reads.
TEST_F(ReadCacheTest, KnownAndUnknownKeysTakeTurns) {
  options_.max_entries = 100;
  options_.max_reads = 1;
  for (int i = 0; i < 5; ++i) Know(absl::StrCat("known-", i), "a");
  clock_.AdvanceBy(absl::Seconds(1));
  reads_.clear();
  for (int i = 0; i < 5; ++i) Ask(absl::StrCat("known-", i));
  const auto fresh = Ask("new-0");
  Ask("new-1");
  Ask("new-2");
  EXPECT_THAT(reads_, ElementsAre("known-0"));
  Answer(std::string("b"));
  EXPECT_EQ(*fresh, "");
  Answer(std::string("b"));
  EXPECT_EQ(*fresh, "b") << "before the other renewals";
  while (!open_.empty()) Answer(std::string("b"));
  EXPECT_THAT(reads_, ElementsAre("known-0", "new-0", "known-1", "new-1", "known-2", "new-2", "known-3", "known-4"));
}

// Whoever got the last answer has waited for a read that is still due.
TEST_F(ReadCacheTest, ARenewalForWhichNobodyWaitsIsStillRead) {
  options_.max_reads = 1;
  Know("tv", "a");
  clock_.AdvanceBy(absl::Seconds(1));
  Ask("boat");
  const auto first = Ask("tv", clock_.Now() + absl::Milliseconds(50));
  clock_.AdvanceBy(absl::Milliseconds(100));
  EXPECT_EQ(*Ask("tv"), "a");
  EXPECT_EQ(*first, "a");
  Answer(std::string("b"));
  EXPECT_THAT(open_, SizeIs(1)) << "of tv";
  Answer(std::string("c"));
  EXPECT_EQ(*Ask("tv"), "c");
}

TEST_F(ReadCacheTest, WhenTooManyWaitTheNextIsRefusedUnlessSomethingIsKnown) {
  options_.max_waiting = 3;
  Know("tv", "a");
  clock_.AdvanceBy(absl::Seconds(1));
  std::vector<std::shared_ptr<std::string>> told;
  for (int i = 0; i < 3; ++i) told.push_back(Ask("boat"));
  EXPECT_EQ(*Ask("boat"), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(*Ask("tv"), "a");
  Answer(std::string("b"));
  for (const auto& one : told) EXPECT_EQ(*one, "b");
  const auto again = Ask("tv");
  EXPECT_EQ(*again, "") << "there is room again";
  Answer(std::string("c"));
  EXPECT_EQ(*again, "c");
}

TEST_F(ReadCacheTest, AFloodOfKeysPushesOutOnlyWhatNobodyAsksFor) {
  Know("idle", "i");
  Know("tv", "a");
  for (int i = 0; i < 100; ++i) {
    Know(absl::StrCat("sku-", i), "x");
    if (i % 3 != 0) continue;
    clock_.AdvanceBy(absl::Seconds(1));
    Know("tv", "a");
  }
  reads_.clear();
  clock_.AdvanceBy(absl::Seconds(1));
  const auto told = Ask("tv");
  const auto idle = Ask("idle");
  Answer(absl::UnavailableError("down"));
  Answer(absl::UnavailableError("down"));
  EXPECT_EQ(*told, "a");
  EXPECT_EQ(*idle, "UNAVAILABLE");
}

// A ledger that is known to be down answers inline: a long queue must not become a deep recursion.
TEST_F(ReadCacheTest, ReadsThatAnswerInlineDoNotNest) {
  int depth = 0;
  int deepest = 0;
  std::optional<Cache::ReadDone> first;
  cache_ = std::make_unique<Cache>(
      [&](const std::string& key, Cache::ReadDone done) {
        if (key == "first") {
          first = std::move(done);
          return;
        }
        deepest = std::max(deepest, ++depth);
        done(absl::UnavailableError("down"));
        --depth;
      },
      &clock_, ReadCacheOptions{.max_reads = 1});
  const auto waits = Ask("first");
  std::vector<std::shared_ptr<std::string>> told;
  for (int i = 0; i < 1000; ++i) told.push_back(Ask(absl::StrCat("sku-", i)));
  (*first)(std::string("a"));
  EXPECT_EQ(deepest, 1);
  EXPECT_EQ(*waits, "a");
  for (const auto& one : told) EXPECT_EQ(*one, "UNAVAILABLE");
}

TEST(ReadCacheThreads, EachCallerIsAnsweredOnceAndEachKeyIsReadOnce) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 2000;
  constexpr int kKeys = 50;
  storage::FakeClock clock;
  std::atomic<int> reads{0};
  std::atomic<int> right{0};
  absl::BlockingCounter answers(kThreads * kRounds);
  auto executor = std::make_unique<storage::BoundedExecutor>(2, kKeys);
  Cache cache(
      [&](const std::string& key, Cache::ReadDone done) {
        ++reads;
        storage::RunOn(
            *executor, [key]() -> absl::StatusOr<std::string> { return key; }, std::move(done));
      },
      &clock, ReadCacheOptions{});
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&cache, &answers, &right] {
      for (int i = 0; i < kRounds; ++i) {
        const std::string key = absl::StrCat("sku-", i % kKeys);
        cache.Get(key, [&answers, &right, key](const Cache::Found& found) {
          if (found.ok() && found->value != nullptr && *found->value == key) ++right;
          answers.DecrementCount();
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  answers.Wait();
  executor.reset();
  EXPECT_EQ(right, kThreads * kRounds);
  EXPECT_EQ(reads, kKeys);
}

}  // namespace
}  // namespace tranche::server
