// Group commits from the first claim to the last answer.

#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger/ledger_error.h"
#include "storage/pipeline/commit_lane.h"
#include "tests/unit/storage/commit_fixture.h"

namespace tranche::storage {
namespace {

TEST(CommitPipelineTest, WhatWaitsWhileABatchIsInFlightIsTheNextBatch) {
  ScriptedLedger ledger;
  Answers answers;
  CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
  BusyLane busy(&ledger, &pipeline, &answers);
  for (uint8_t id = 0; id < 50; ++id) pipeline.Submit(1, ClaimOf(id), absl::InfiniteFuture(), answers.Expect());
  busy.Release();
  for (const auto& answer : answers.Wait(51)) EXPECT_EQ(answer->outcome, CommitOutcome::kCreated);
  EXPECT_EQ(ledger.sizes(), (std::vector<size_t>{1, 50}));
}

TEST(CommitPipelineTest, BatchesAreBoundedAndDoNotMixIncarnationsOrRepeatIds) {
  ScriptedLedger ledger;
  Answers answers;
  PipelineOptions options = OneLane();
  options.max_batch = 3;
  CommitPipeline pipeline(&ledger, Clock::Real(), options);
  BusyLane busy(&ledger, &pipeline, &answers);
  for (const uint8_t id : {1, 2, 3, 4}) pipeline.Submit(1, ClaimOf(id), absl::InfiniteFuture(), answers.Expect());
  pipeline.Submit(1, ClaimOf(4), absl::InfiniteFuture(), answers.Expect());
  pipeline.Submit(2, ClaimOf(5), absl::InfiniteFuture(), answers.Expect());
  busy.Release();
  answers.Wait(7);
  EXPECT_EQ(ledger.sizes(), (std::vector<size_t>{1, 3, 1, 1, 1}));
  EXPECT_EQ(ledger.incarnations(), (std::vector<IncarnationId>{1, 1, 1, 1, 2}));
}

// However they are mixed: the batches are full, and the first to come is in the next one.
TEST(CommitPipelineTest, ClaimsThatJoinGroupsGoInBatchesOfTheirOwn) {
  ScriptedLedger ledger;
  Answers answers;
  PipelineOptions options = OneLane();
  options.max_batch = 3;
  CommitPipeline pipeline(&ledger, Clock::Real(), options);
  BusyLane busy(&ledger, &pipeline, &answers);
  for (uint8_t id = 0; id < 8; ++id) {
    ReservationClaim claim = ClaimOf(id);
    if (id % 2 == 0) claim.group = std::make_shared<const GroupJoin>();
    pipeline.Submit(1, std::move(claim), absl::InfiniteFuture(), answers.Expect());
  }
  busy.Release();
  std::vector<int> order;
  for (const auto& answer : answers.Wait(9)) order.push_back(answer->reservation.reservation_id.bytes[15]);
  EXPECT_THAT(order, ::testing::ElementsAre(255, 0, 2, 4, 1, 3, 5, 6, 7));
  EXPECT_EQ(ledger.sizes(), (std::vector<size_t>{1, 3, 3, 1, 1}));
}

int64_t CountOf(const Histogram& histogram) {
  const HistogramValues values = histogram.values();
  return std::accumulate(values.counts.begin(), values.counts.end(), int64_t{0});
}

TEST(CommitPipelineTest, CountsWaitsAndEachTry) {
  ScriptedLedger ledger;
  Answers answers;
  FakeClock clock{absl::FromUnixSeconds(1000)};
  PipelineOptions options = OneLane();
  options.lanes = 0;
  CommitPipeline pipeline(&ledger, &clock, options);
  CommitLane lane(&pipeline);
  for (const uint8_t id : {1, 2}) pipeline.Submit(1, ClaimOf(id), absl::InfiniteFuture(), answers.Expect());
  clock.AdvanceBy(absl::Milliseconds(300));
  for (const absl::Status& failure :
       {RetryTransactionError("deadlock"), UnknownCommitError("lost"), absl::OkStatus()}) {
    ledger.Then([&clock, failure](IncarnationId, LockMode, absl::Span<const ReservationClaim> claims) -> CommitResults {
      clock.AdvanceBy(absl::Milliseconds(20));
      if (!failure.ok()) return failure;
      return AllCreated(claims);
    });
    lane.Step();
  }
  EXPECT_EQ(answers.Wait(2).size(), 2U);
  const CommitMetrics& metrics = pipeline.metrics();
  EXPECT_EQ(CountOf(metrics.queueing_s), 2) << "a request waits once";
  EXPECT_NEAR(metrics.queueing_s.values().sum, 0.6, 1e-9);
  EXPECT_EQ(CountOf(metrics.batch_size), 3);
  EXPECT_EQ(metrics.batch_size.values().sum, 6);
  EXPECT_NEAR(metrics.try_s.values().sum, 0.06, 1e-9);
  EXPECT_EQ(metrics.committed.value(), 1);
  EXPECT_EQ(metrics.unknown.value(), 1);
  EXPECT_EQ(metrics.failed.value(), 1);
}

TEST(CommitPipelineTest, AFullQueueRefusesAtOnce) {
  ScriptedLedger ledger;
  Answers answers, refused;
  PipelineOptions options = OneLane();
  options.max_queue = 2;
  CommitPipeline pipeline(&ledger, Clock::Real(), options);
  BusyLane busy(&ledger, &pipeline, &answers);
  for (const uint8_t id : {1, 2}) pipeline.Submit(1, ClaimOf(id), absl::InfiniteFuture(), answers.Expect());
  pipeline.Submit(1, ClaimOf(3), absl::InfiniteFuture(), refused.Expect());
  EXPECT_TRUE(absl::IsResourceExhausted(refused.Wait(1)[0].status()));
  busy.Release();
  answers.Wait(3);
}

TEST(CommitPipelineTest, AClaimWhoseDeadlinePassedIsNotSent) {
  ScriptedLedger ledger;
  Answers answers, late;
  CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
  BusyLane busy(&ledger, &pipeline, &answers);
  pipeline.Submit(1, ClaimOf(1), absl::Now(), late.Expect());
  busy.Release();
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.Wait(1)[0].status()));
  EXPECT_EQ(ledger.sizes(), (std::vector<size_t>{1}));
}

TEST(CommitPipelineTest, ALostAnswerIsAskedForAgain) {
  ScriptedLedger ledger;
  Answers answers;
  ledger.Then([](auto, auto, auto) -> CommitResults { return UnknownCommitError("lost"); });
  ledger.Then([](auto, auto, auto) -> CommitResults { return absl::UnavailableError("still down"); });
  ledger.Then([](auto, auto, absl::Span<const ReservationClaim> claims) -> CommitResults {
    auto results = AllCreated(claims);
    results[0].outcome = CommitOutcome::kReplayed;
    return results;
  });
  CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
  pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), answers.Expect());
  const auto answer = answers.Wait(1)[0];
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->outcome, CommitOutcome::kReplayed);
}

// Field: "acknowledgement times out, the user is told 'failed', the order exists" (jseckill#19): never "failed".
TEST(CommitPipelineTest, ALostAnswerThatIsNotFoundInTimeIsAnsweredAsUnknown) {
  ScriptedLedger ledger;
  Answers answers;
  ledger.SetDown(true);
  for (int i = 0; i < 100000; ++i) {
    ledger.Then([](auto, auto, auto) -> CommitResults { return UnknownCommitError("lost"); });
  }
  CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
  // Long enough that a busy machine sends it once.
  pipeline.Submit(1, ClaimOf(1), absl::Now() + absl::Milliseconds(500), answers.Expect());
  EXPECT_TRUE(IsUnknownCommit(answers.Wait(1)[0].status()));
}

TEST(CommitPipelineTest, WhileTheLedgerIsDownClaimsAreRefusedAtOnceAndAcceptedAfterwards) {
  ScriptedLedger ledger;
  Answers first, queued, during, after;
  ledger.SetDown(true);
  CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
  absl::Notification started, release;
  ledger.Then([&](auto, auto, auto) -> CommitResults {
    started.Notify();
    release.WaitForNotification();
    return absl::UnavailableError("down");
  });
  pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), first.Expect());
  started.WaitForNotification();
  pipeline.Submit(1, ClaimOf(2), absl::InfiniteFuture(), queued.Expect());
  release.Notify();
  EXPECT_TRUE(absl::IsUnavailable(first.Wait(1)[0].status()));
  EXPECT_TRUE(absl::IsUnavailable(queued.Wait(1)[0].status()));
  pipeline.Submit(1, ClaimOf(3), absl::InfiniteFuture(), during.Expect());
  EXPECT_TRUE(absl::IsUnavailable(during.Wait(1)[0].status()));
  EXPECT_FALSE(IsUnknownCommit(during.Wait(1)[0].status()));

  ledger.SetDown(false);
  while (!pipeline.Stats().ledger_answers) std::this_thread::yield();
  pipeline.Submit(1, ClaimOf(4), absl::InfiniteFuture(), after.Expect());
  EXPECT_TRUE(after.Wait(1)[0].ok());
}

// While a lock on a whole table is held, or after the role has lost its right, nobody's turn comes.
TEST(CommitPipelineTest, AFailureThatHoldsForAllRefusesWhatWaits) {
  for (const absl::Status& failure : {BusyError("lock timeout"), absl::PermissionDeniedError("no right")}) {
    ScriptedLedger ledger;
    Answers first, queued;
    ledger.SetDown(true);  // a read fails, too
    CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
    absl::Notification started, release;
    ledger.Then([&](auto, auto, auto) -> CommitResults {
      started.Notify();
      release.WaitForNotification();
      return failure;
    });
    ledger.Then([&](auto, auto, auto) -> CommitResults { return failure; });  // without waiting for locks
    pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), first.Expect());
    started.WaitForNotification();
    pipeline.Submit(1, ClaimOf(2), absl::InfiniteFuture(), queued.Expect());
    release.Notify();
    EXPECT_TRUE(absl::IsUnavailable(first.Wait(1)[0].status())) << failure;
    EXPECT_TRUE(absl::IsUnavailable(queued.Wait(1)[0].status())) << failure;
    EXPECT_FALSE(pipeline.Stats().ledger_answers);
  }
}

TEST(CommitPipelineTest, ADeadlockIsTriedAgain) {
  ScriptedLedger ledger;
  Answers answers;
  ledger.Then([](auto, auto, auto) -> CommitResults { return RetryTransactionError("deadlock"); });
  CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
  pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), answers.Expect());
  EXPECT_EQ(answers.Wait(1)[0]->outcome, CommitOutcome::kCreated);
  EXPECT_EQ(ledger.sizes().size(), 2u);
}

TEST(CommitPipelineTest, BusyClaimsGoAgainAndWaitForTheLocks) {
  ScriptedLedger ledger;
  Answers answers;
  ledger.Then([](auto, auto, absl::Span<const ReservationClaim> claims) -> CommitResults {
    std::vector<CommitResult> results(claims.size());
    for (CommitResult& result : results) result.outcome = CommitOutcome::kBusy;
    return results;
  });
  PipelineOptions options = OneLane();
  options.first_lock_mode = LockMode::kSkipLocked;
  CommitPipeline pipeline(&ledger, Clock::Real(), options);
  pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), answers.Expect());
  EXPECT_EQ(answers.Wait(1)[0]->outcome, CommitOutcome::kCreated);
  EXPECT_EQ(ledger.modes(), (std::vector<LockMode>{LockMode::kSkipLocked, LockMode::kWait}));
}

TEST(CommitPipelineTest, DrainAnswersWhatWasAcceptedAndRefusesTheRest) {
  ScriptedLedger ledger;
  Answers answers, refused;
  CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
  BusyLane busy(&ledger, &pipeline, &answers);
  pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), answers.Expect());
  EXPECT_FALSE(pipeline.Drain(absl::ZeroDuration()));
  pipeline.Submit(1, ClaimOf(2), absl::InfiniteFuture(), refused.Expect());
  EXPECT_TRUE(absl::IsCancelled(refused.Wait(1)[0].status()));
  busy.Release();
  EXPECT_TRUE(pipeline.Drain(absl::Seconds(10)));
  EXPECT_EQ(answers.Wait(2).size(), 2u);
}

TEST(CommitPipelineTest, StopRefusesWhatWaitsWithoutWaitingForWhatIsInFlight) {
  ScriptedLedger ledger;
  Answers answers, refused;
  CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
  BusyLane busy(&ledger, &pipeline, &answers);
  for (const uint8_t id : {1, 2}) pipeline.Submit(1, ClaimOf(id), absl::InfiniteFuture(), refused.Expect());
  pipeline.Stop();
  pipeline.Submit(1, ClaimOf(3), absl::InfiniteFuture(), refused.Expect());
  for (const auto& answer : refused.Wait(3)) EXPECT_TRUE(absl::IsCancelled(answer.status()));
  EXPECT_EQ(pipeline.Stats().queued, 0);
  EXPECT_EQ(pipeline.Stats().unanswered, 1) << "the one in flight";
  busy.Release();
  EXPECT_TRUE(pipeline.Drain(absl::Seconds(10)));
  EXPECT_TRUE(answers.Wait(1)[0].ok());
}

// However long its caller would wait.
TEST(CommitPipelineTest, StopGivesUpALostAnswer) {
  ScriptedLedger ledger;
  Answers answers;
  absl::Notification lost;
  ledger.SetDown(true);
  ledger.Then([&](auto, auto, auto) -> CommitResults {
    lost.Notify();
    return UnknownCommitError("lost");
  });
  for (int i = 0; i < 100000; ++i) {
    ledger.Then([](auto, auto, auto) -> CommitResults { return UnknownCommitError("lost"); });
  }
  CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
  pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), answers.Expect());
  lost.WaitForNotification();
  pipeline.Stop();
  EXPECT_TRUE(IsUnknownCommit(answers.Wait(1)[0].status()));
  EXPECT_TRUE(pipeline.Drain(absl::Seconds(10)));
}

// Nothing was decided, so it is not unknown either.
TEST(CommitPipelineTest, StopRefusesWhatWouldGoAgain) {
  ScriptedLedger ledger;
  Answers answers;
  CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
  ledger.Then([&](auto, auto, absl::Span<const ReservationClaim> claims) -> CommitResults {
    pipeline.Stop();
    std::vector<CommitResult> results(claims.size());
    for (CommitResult& result : results) result.outcome = CommitOutcome::kBusy;
    return results;
  });
  pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), answers.Expect());
  EXPECT_TRUE(absl::IsCancelled(answers.Wait(1)[0].status()));
  EXPECT_EQ(ledger.sizes().size(), 1u);
}

TEST(CommitPipelineTest, DestructionAnswersEverything) {
  ScriptedLedger ledger;
  Answers answers;
  {
    CommitPipeline pipeline(&ledger, Clock::Real(), OneLane());
    for (uint8_t id = 0; id < 100; ++id) pipeline.Submit(1, ClaimOf(id), absl::InfiniteFuture(), answers.Expect());
  }
  EXPECT_EQ(answers.Wait(100).size(), 100u);
}

}  // namespace
}  // namespace tranche::storage
