// What is specific to entries into draws; commit_pipeline_test.cc and commit_lane_test.cc have what all group commits
// share.
#include "storage/pipeline/entry_pipeline.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "storage/fake/fake_draw_ledger.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

const absl::Time kNoDeadline = absl::InfiniteFuture();

// Notes the batches, such as "tv/alice tv/bob". Says first what it is told to say.
class NotingDraws : public FakeDrawLedger {
 public:
  using FakeDrawLedger::FakeDrawLedger;

  absl::StatusOr<std::vector<DrawEntryResult>> EnterDraws(LockMode mode,
                                                          absl::Span<const DrawEntryClaim> claims) override {
    std::string noted = mode == LockMode::kNoWait ? "no wait:" : "";
    for (const DrawEntryClaim& claim : claims) {
      noted += (noted.empty() ? "" : " ") + claim.sku_id + "/" + claim.user_id;
    }
    batches.push_back(noted);
    if (!statuses.empty()) {
      const absl::Status status = statuses.front();
      statuses.erase(statuses.begin());
      return status;
    }
    auto results = FakeDrawLedger::EnterDraws(mode, claims);
    for (size_t i = 0; results.ok() && i < claims.size(); ++i) {
      const bool is_locked = mode == LockMode::kNoWait && locked.contains(claims[i].sku_id);
      if (is_locked) (*results)[i] = DrawEntryResult{.busy = true};
    }
    return results;
  }

  std::vector<std::string> batches;
  std::vector<absl::Status> statuses;
  std::set<std::string> locked;  // SKUs
};

// A pipeline whose only lane is stepped by hand: what is submitted meanwhile waits.
class EntryPipelineTest : public ::testing::Test {
 protected:
  EntryPipelineTest() {
    for (const char* sku_id : {"tv", "radio"}) {
      Sku sku;
      sku.sku_id = sku_id;
      sku.currency = "EUR";
      sku.stock = 10;
      EXPECT_TRUE(ledger_.CreateSku(sku, "test").ok());
      const NewDraw asked{.sku_id = sku_id, .winners = 1, .public_source = "a newspaper"};
      EXPECT_TRUE(draws_.CreateDraw(asked, /*preview=*/false, "test").ok());
    }
  }
  static PipelineOptions NoThreads() {
    PipelineOptions options;
    options.lanes = 0;
    options.max_batch = 3;
    options.max_queue = 8;
    return options;
  }
  void Enter(const std::string& sku_id, const std::string& user_id, absl::Time deadline = kNoDeadline) {
    pipeline_.Submit({.sku_id = sku_id, .user_id = user_id}, deadline,
                     [this](absl::StatusOr<DrawEntryResult> result) { answers_.push_back(std::move(result)); });
  }
  void Run() {
    while (lane_.Step() == LaneNext::kStep) {
    }
  }

  FakeClock clock_;
  FakeLedger ledger_{&clock_};
  NotingDraws draws_{&ledger_, &clock_};
  std::vector<absl::StatusOr<DrawEntryResult>> answers_;
  EntryPipeline pipeline_{&draws_, &clock_, NoThreads()};
  EntryLane lane_{&pipeline_};
};

TEST_F(EntryPipelineTest, EntriesOfAllSkusGoTogether) {
  Enter("tv", "alice");
  Enter("radio", "alice");
  Enter("tv", "bob");
  Enter("radio", "bob");
  Run();
  EXPECT_EQ(draws_.batches, (std::vector<std::string>{"tv/alice radio/alice tv/bob", "radio/bob"}));
  ASSERT_EQ(answers_.size(), 4u);
  std::set<Uuid> ids;
  for (const auto& answer : answers_) {
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->refusal, Refusal::kNone);
    ids.insert(answer->entry_id);
  }
  EXPECT_EQ(ids.size(), 4u) << "each has its own answer";
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
}

TEST_F(EntryPipelineTest, ABuyerOfASkuIsInABatchOnce) {
  Enter("tv", "alice");
  Enter("tv", "alice");
  Enter("radio", "alice");
  Enter("tv", "bob");
  Run();
  EXPECT_EQ(draws_.batches, (std::vector<std::string>{"tv/alice radio/alice tv/bob", "tv/alice"}));
  ASSERT_EQ(answers_.size(), 4u);
  EXPECT_FALSE(answers_[0]->replayed);
  EXPECT_TRUE(answers_[3]->replayed);
  EXPECT_EQ(answers_[3]->entry_id, answers_[0]->entry_id);
}

TEST_F(EntryPipelineTest, IdsTellSkusAndBuyersApart) {
  const std::vector<DrawEntryClaim> claims = {{"a", "bc"}, {"ab", "c"}, {"bc", "a"}, {"abc", ""}, {"", "abc"}};
  std::set<Uuid> ids;
  for (const DrawEntryClaim& claim : claims) {
    ids.insert(EntryWork::IdOf(claim));
    EXPECT_EQ(EntryWork::IdOf(claim), EntryWork::IdOf(claim));
  }
  EXPECT_EQ(ids.size(), claims.size());
}

TEST_F(EntryPipelineTest, WhatTheDrawRefusesIsNoError) {
  Enter("sofa", "alice");
  Run();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0]->refusal, Refusal::kSkuNotFound);
}

TEST_F(EntryPipelineTest, ALostAnswerIsAskedForAgain) {
  draws_.statuses = {UnknownCommitError("lost")};
  Enter("tv", "alice");
  EXPECT_EQ(lane_.Step(), LaneNext::kPause);
  EXPECT_TRUE(answers_.empty()) << "nobody knows yet";
  Run();
  EXPECT_EQ(draws_.batches, (std::vector<std::string>{"tv/alice", "tv/alice"}));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(answers_[0].ok());
}

TEST_F(EntryPipelineTest, WhileTheLedgerIsDownEntriesAreRefusedAtOnce) {
  draws_.FailNext(2);
  Enter("tv", "alice");
  EXPECT_EQ(lane_.Step(), LaneNext::kStep);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(absl::IsUnavailable(answers_[0].status()));
  EXPECT_EQ(lane_.Step(), LaneNext::kPause) << "it still does not answer";
  Enter("tv", "bob");
  EXPECT_TRUE(absl::IsUnavailable(answers_.back().status()));
  Run();
  Enter("tv", "bob");
  Run();
  EXPECT_TRUE(answers_.back().ok()) << answers_.back().status();
}

// A draw that somebody has locked holds up only its own entries.
TEST_F(EntryPipelineTest, EntriesIntoALockedDrawWaitApart) {
  draws_.locked = {"tv"};
  draws_.statuses = {BusyError("lock timeout")};
  Enter("tv", "alice", clock_.Now() + absl::Minutes(1));
  Enter("radio", "alice", clock_.Now() + absl::Minutes(1));
  Run();
  EXPECT_EQ(draws_.batches, (std::vector<std::string>{"tv/alice radio/alice", "no wait: tv/alice radio/alice"}));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0]->refusal, Refusal::kNone) << "of the radio";
  EXPECT_EQ(pipeline_.Stats().slow, 1);
  Enter("radio", "bob", clock_.Now() + absl::Minutes(1));
  Run();
  EXPECT_EQ(answers_.size(), 2u) << "nobody else waits";
  draws_.locked.clear();
  clock_.AdvanceBy(absl::Seconds(1));
  Run();
  ASSERT_EQ(answers_.size(), 3u);
  EXPECT_TRUE(answers_[2].ok() && !answers_[2]->busy);
  EXPECT_EQ(pipeline_.Stats().slow, 0);
}

TEST_F(EntryPipelineTest, StopAnswersAll) {
  Enter("tv", "alice");
  pipeline_.Stop();
  Enter("tv", "bob");
  ASSERT_EQ(answers_.size(), 2u);
  for (const auto& answer : answers_) EXPECT_TRUE(absl::IsCancelled(answer.status()));
  EXPECT_EQ(lane_.Step(), LaneNext::kEnd);
}

TEST(EntryPipelineThreadsTest, ItsLanesAnswer) {
  FakeClock clock;
  FakeLedger ledger(&clock);
  FakeDrawLedger draws(&ledger, &clock);
  PipelineOptions options;
  options.lanes = 1;
  EntryPipeline pipeline(&draws, &clock, options);
  pipeline.Submit({.sku_id = "tv", .user_id = "alice"}, kNoDeadline, [](const absl::StatusOr<DrawEntryResult>&) {});
  EXPECT_TRUE(pipeline.Drain(absl::Seconds(30)));
  EXPECT_EQ(pipeline.metrics().committed.value(), 1);
}

}  // namespace
}  // namespace tranche::storage
