#include "storage/pipeline/commit_pipeline.h"

#include <deque>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger/ledger_error.h"
#include "storage/pipeline/commit_lane.h"
#include "tests/support/logged_lines.h"

namespace tranche::storage {
namespace {

using CommitResults = absl::StatusOr<std::vector<CommitResult>>;

ReservationClaim ClaimOf(uint8_t id) {
  ReservationClaim claim{.reservation_id = {}, .sku_id = "tv", .user_id = "u", .quantity = 1};
  claim.reservation_id.bytes[15] = id;
  return claim;
}

std::vector<CommitResult> AllCreated(absl::Span<const ReservationClaim> claims) {
  std::vector<CommitResult> results(claims.size());
  for (size_t i = 0; i < claims.size(); ++i) {
    results[i].outcome = CommitOutcome::kCreated;
    results[i].reservation.reservation_id = claims[i].reservation_id;
  }
  return results;
}

// Answers each batch by the next step of a script, and with "all created" once that has run out. A step may block.
class ScriptedLedger : public ReservationLedger {
 public:
  using Step = std::function<CommitResults(IncarnationId, LockMode, absl::Span<const ReservationClaim>)>;

  void Then(Step step) {
    absl::MutexLock lock(&mutex_);
    script_.push_back(std::move(step));
  }

  CommitResults CommitReservations(IncarnationId incarnation, LockMode mode,
                                   absl::Span<const ReservationClaim> claims) override {
    Step step;
    {
      absl::MutexLock lock(&mutex_);
      sizes_.push_back(claims.size());
      incarnations_.push_back(incarnation);
      modes_.push_back(mode);
      if (!script_.empty()) {
        step = std::move(script_.front());
        script_.pop_front();
      }
    }
    return step ? step(incarnation, mode, claims) : AllCreated(claims);
  }

  absl::StatusOr<Reservation> FindReservation(const Uuid&) override {
    absl::MutexLock lock(&mutex_);
    if (down_) return absl::UnavailableError("down");
    return absl::NotFoundError("none");
  }

  absl::StatusOr<std::vector<Reservation>> FindReplicated(absl::Span<const Uuid>) override {
    return absl::UnimplementedError("the pipeline asks for none");
  }

  void SetDown(bool down) {
    absl::MutexLock lock(&mutex_);
    down_ = down;
  }
  std::vector<size_t> sizes() {
    absl::MutexLock lock(&mutex_);
    return sizes_;
  }
  std::vector<IncarnationId> incarnations() {
    absl::MutexLock lock(&mutex_);
    return incarnations_;
  }
  std::vector<LockMode> modes() {
    absl::MutexLock lock(&mutex_);
    return modes_;
  }

 private:
  absl::Mutex mutex_;
  std::deque<Step> script_ ABSL_GUARDED_BY(mutex_);
  std::vector<size_t> sizes_ ABSL_GUARDED_BY(mutex_);
  std::vector<IncarnationId> incarnations_ ABSL_GUARDED_BY(mutex_);
  std::vector<LockMode> modes_ ABSL_GUARDED_BY(mutex_);
  bool down_ ABSL_GUARDED_BY(mutex_) = false;
};

// Collects the answers in the order in which they come.
class Answers {
 public:
  CommitDone Expect() {
    return [this](absl::StatusOr<CommitResult> result) {
      absl::MutexLock lock(&mutex_);
      answers_.push_back(std::move(result));
    };
  }
  std::vector<absl::StatusOr<CommitResult>> Wait(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return answers_.size() >= count; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(10)));
    return answers_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<absl::StatusOr<CommitResult>> answers_ ABSL_GUARDED_BY(mutex_);
};

PipelineOptions OneLane() {
  PipelineOptions options;
  options.lanes = 1;
  options.retry_interval = absl::Milliseconds(1);
  return options;
}

// Makes a lane busy with one claim until released, so that what follows piles up in the queue.
class BusyLane {
 public:
  BusyLane(ScriptedLedger* ledger, CommitPipeline* pipeline, Answers* answers) {
    ledger->Then([this](IncarnationId, LockMode, absl::Span<const ReservationClaim> claims) -> CommitResults {
      started_.Notify();
      release_.WaitForNotification();
      return AllCreated(claims);
    });
    pipeline->Submit(1, ClaimOf(255), absl::InfiniteFuture(), answers->Expect());
    started_.WaitForNotification();
  }
  void Release() { release_.Notify(); }

 private:
  absl::Notification started_, release_;
};

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

// Their callers may still listen, but not for as long as the ledger may take.
TEST(CommitLaneTest, LateOnesAreRefusedBeforeTheBatchIsSent) {
  ScriptedLedger ledger;
  Answers answers;
  PipelineOptions options = OneLane();
  options.lanes = 0;
  FakeClock clock;
  CommitPipeline pipeline(&ledger, &clock, options);
  CommitLane lane(&pipeline);
  pipeline.Submit(1, ClaimOf(1), clock.Now() + absl::Seconds(1), answers.Expect());
  pipeline.Submit(1, ClaimOf(2), absl::InfiniteFuture(), answers.Expect());
  clock.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(lane.Step(), CommitLane::Next::kStep);
  const auto answered = answers.Wait(2);
  EXPECT_TRUE(absl::IsDeadlineExceeded(answered[0].status())) << answered[0].status();
  EXPECT_TRUE(answered[1].ok()) << answered[1].status();
  EXPECT_EQ(ledger.sizes(), (std::vector<size_t>{1}));
  EXPECT_EQ(pipeline.Stats().unanswered, 0);
}

// Also when the batch stays in doubt: it may be asked for many times.
TEST(CommitLaneTest, LateOnesAreRefusedAfterTheFirstTry) {
  ScriptedLedger ledger;
  Answers late, doubtful;
  PipelineOptions options = OneLane();
  options.lanes = 0;
  FakeClock clock;
  CommitPipeline pipeline(&ledger, &clock, options);
  CommitLane lane(&pipeline);
  pipeline.Submit(1, ClaimOf(1), clock.Now() + absl::Seconds(1), late.Expect());
  pipeline.Submit(1, ClaimOf(2), absl::InfiniteFuture(), doubtful.Expect());
  clock.AdvanceBy(absl::Seconds(1));
  ledger.Then([](auto, auto, auto) -> CommitResults { return UnknownCommitError("lost"); });
  EXPECT_EQ(lane.Step(), CommitLane::Next::kPause);
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.Wait(1)[0].status()));
  EXPECT_EQ(pipeline.Stats().unanswered, 1);
  EXPECT_EQ(lane.Step(), CommitLane::Next::kStep);
  EXPECT_TRUE(doubtful.Wait(1)[0].ok());
}

TEST(CommitLaneTest, OneStepRefusesOnlySoManyLateOnes) {
  constexpr size_t kMost = RequestQueues<ClaimWork>::kMaxDropped;
  ScriptedLedger ledger;
  Answers late, other;
  PipelineOptions options = OneLane();
  options.lanes = 0;
  FakeClock clock;
  CommitPipeline pipeline(&ledger, &clock, options);
  CommitLane lane(&pipeline);
  for (size_t i = 0; i <= kMost; ++i) {
    pipeline.Submit(1, ClaimOf(1), clock.Now() + absl::Seconds(1), late.Expect());
  }
  pipeline.Submit(1, ClaimOf(2), absl::InfiniteFuture(), other.Expect());
  clock.AdvanceBy(absl::Seconds(1));
  lane.Step();
  EXPECT_EQ(pipeline.Stats().queued, 2);
  EXPECT_EQ(late.Wait(kMost).size(), kMost);
  EXPECT_EQ(lane.Step(), CommitLane::Next::kStep);
  EXPECT_TRUE(other.Wait(1)[0].ok());
  EXPECT_EQ(late.Wait(kMost + 1).size(), kMost + 1);
  EXPECT_EQ(pipeline.Stats().unanswered, 0);
}

// Half of the time that its caller gives: a queue as long as that sells to nobody in time.
TEST(CommitLaneTest, AClaimThatWouldWaitTooLongIsRefusedAtOnce) {
  ScriptedLedger ledger;
  Answers accepted, refused;
  PipelineOptions options = OneLane();
  options.lanes = 0;
  options.max_batch = 2;
  FakeClock clock;
  CommitPipeline pipeline(&ledger, &clock, options);
  CommitLane lane(&pipeline);
  ledger.Then([&clock](auto, auto, absl::Span<const ReservationClaim> claims) -> CommitResults {
    clock.AdvanceBy(absl::Milliseconds(800));
    return AllCreated(claims);
  });
  pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), accepted.Expect());
  lane.Step();
  EXPECT_EQ(pipeline.metrics().recent_try(clock.Now()), absl::Milliseconds(100)) << "one try alone tells little";
  pipeline.Submit(1, ClaimOf(2), absl::InfiniteFuture(), accepted.Expect());
  pipeline.Submit(1, ClaimOf(3), clock.Now() + absl::Milliseconds(101), accepted.Expect());
  for (const uint8_t id : {4, 5}) pipeline.Submit(1, ClaimOf(id), absl::InfiniteFuture(), accepted.Expect());
  EXPECT_EQ(pipeline.Stats().queued, 4) << "less than a batch is ahead of whoever has little time";
  pipeline.Submit(1, ClaimOf(6), clock.Now() + absl::Milliseconds(399), refused.Expect());
  ReservationClaim with_token = ClaimOf(7);
  with_token.has_token = true;
  pipeline.Submit(1, with_token, clock.Now() + absl::Milliseconds(266), refused.Expect());
  for (const auto& answer : refused.Wait(2)) EXPECT_TRUE(absl::IsResourceExhausted(answer.status()));
  pipeline.Submit(1, ClaimOf(8), clock.Now() + absl::Milliseconds(400), accepted.Expect());
  EXPECT_EQ(pipeline.Stats().queued, 5) << "two batches are ahead of it, of 100 ms each";
  pipeline.Submit(1, with_token, clock.Now() + absl::Milliseconds(267), accepted.Expect());
  EXPECT_EQ(pipeline.Stats().queued, 6) << "who has a token may wait for longer";
  while (lane.Step() == CommitLane::Next::kStep) {
  }
  for (const auto& answer : accepted.Wait(7)) EXPECT_TRUE(answer.ok()) << answer.status();
  EXPECT_LT(pipeline.metrics().recent_try(clock.Now()), absl::Milliseconds(80)) << "fast tries count as much";
  clock.AdvanceBy(absl::Seconds(11));
  EXPECT_EQ(pipeline.metrics().recent_try(clock.Now()), absl::ZeroDuration()) << "what was long ago tells nothing";
}

// A ledger that hangs takes no batch: who waits for it tells.
TEST(CommitLaneTest, StatsTellHowLongSomebodyHasWaited) {
  ScriptedLedger ledger;
  Answers answers;
  PipelineOptions options = OneLane();
  options.lanes = 0;
  FakeClock clock;
  CommitPipeline pipeline(&ledger, &clock, options);
  CommitLane lane(&pipeline);
  EXPECT_EQ(pipeline.Stats().waited, absl::ZeroDuration());
  pipeline.Submit(1, ClaimOf(1), clock.Now() + absl::Seconds(9), answers.Expect());
  clock.AdvanceBy(absl::Milliseconds(30));
  EXPECT_EQ(pipeline.Stats().waited, absl::Milliseconds(30));
  lane.Step();
  EXPECT_EQ(pipeline.Stats().waited, absl::Milliseconds(30)) << "of the last batch, which left nobody";
  clock.AdvanceBy(absl::Seconds(2));
  EXPECT_EQ(pipeline.Stats().waited, absl::ZeroDuration());
}

// Then those who come are refused soon, and not when they have waited for half of their time.
TEST(CommitLaneTest, AQueueThatStandsIsKeptShort) {
  ScriptedLedger ledger;
  Answers accepted, refused;
  PipelineOptions options = OneLane();
  options.lanes = 0;
  options.max_batch = 1;
  FakeClock clock;
  CommitPipeline pipeline(&ledger, &clock, options);
  CommitLane lane(&pipeline);
  uint8_t id = 0;
  const auto submit = [&](Answers& answers, bool has_token = false) {
    ReservationClaim claim = ClaimOf(++id);
    claim.has_token = has_token;
    pipeline.Submit(1, claim, clock.Now() + absl::Seconds(4), answers.Expect());
  };
  const auto step = [&] {
    ledger.Then([&clock](auto, auto, absl::Span<const ReservationClaim> claims) -> CommitResults {
      clock.AdvanceBy(absl::Milliseconds(80));
      return AllCreated(claims);
    });
    lane.Step();
  };
  // As many come as go, and each waits for about 0.4 s.
  for (int i = 0; i < 5; ++i) submit(accepted);
  int steps = 0;
  for (; steps < 30 && !pipeline.Stats().stands; ++steps) {
    submit(accepted);
    step();
  }
  EXPECT_TRUE(pipeline.Stats().stands);
  EXPECT_GT(steps, 12) << "a burst of a second is none";
  while (pipeline.Stats().queued > 2) step();
  submit(refused);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.Wait(1)[0].status()));
  submit(accepted, /*has_token=*/true);
  EXPECT_EQ(pipeline.Stats().queued, 3) << "who has a token may wait for twice as long";
  submit(refused, /*has_token=*/true);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.Wait(2)[1].status()));
  // Nobody waits any more.
  while (pipeline.Stats().queued > 0) step();
  for (int i = 0; i < 20 && pipeline.Stats().stands; ++i) {
    submit(accepted);
    step();
  }
  EXPECT_FALSE(pipeline.Stats().stands);
}

// They would all be answered when nobody listens any more.
TEST(CommitLaneTest, ASlowLedgerIsAskedByOneAtATime) {
  ScriptedLedger ledger;
  Answers answers;
  PipelineOptions options = OneLane();
  options.lanes = 0;
  FakeClock clock;
  CommitPipeline pipeline(&ledger, &clock, options);
  CommitLane lane(&pipeline);
  const auto slow = [&clock](auto, auto, absl::Span<const ReservationClaim> claims) -> CommitResults {
    clock.AdvanceBy(absl::Seconds(8));
    return AllCreated(claims);
  };
  ledger.Then(slow);
  pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), answers.Expect());
  lane.Step();
  const absl::Time soon = clock.Now() + absl::Milliseconds(900);  // a try takes 1 s, as it seems
  pipeline.Submit(1, ClaimOf(2), soon, answers.Expect());
  EXPECT_EQ(pipeline.Stats().queued, 1) << "somebody has to find out";
  pipeline.Submit(1, ClaimOf(3), soon, answers.Expect());
  EXPECT_TRUE(absl::IsResourceExhausted(answers.Wait(2)[1].status()));
  pipeline.Submit(1, ClaimOf(4), clock.Now() + absl::Seconds(2), answers.Expect());
  EXPECT_EQ(pipeline.Stats().queued, 2) << "who has the time may wait";
  for (int i = 0; i < 20; ++i) {
    lane.Step();
    pipeline.Submit(1, ClaimOf(static_cast<uint8_t>(10 + i)), clock.Now() + absl::Seconds(1), answers.Expect());
  }
  EXPECT_LT(pipeline.metrics().recent_try(clock.Now()), absl::Milliseconds(900));
  pipeline.Submit(1, ClaimOf(40), clock.Now() + absl::Milliseconds(900), answers.Expect());
  EXPECT_EQ(pipeline.Stats().queued, 2) << "it is fast again";
  while (lane.Step() == CommitLane::Next::kStep) {
  }
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

// A lane without a thread: each step is one call of the ledger, and says what to wait for.
TEST(CommitLaneTest, StepsThroughALostAnswerAndAnOutage) {
  ScriptedLedger ledger;
  Answers answers;
  PipelineOptions options = OneLane();
  options.lanes = 0;
  FakeClock clock;
  CommitPipeline pipeline(&ledger, &clock, options);
  CommitLane lane(&pipeline);
  EXPECT_EQ(lane.Step(), CommitLane::Next::kAwaitWork);

  pipeline.Submit(1, ClaimOf(1), clock.Now() + absl::Seconds(1), answers.Expect());
  for (int i = 0; i < 2; ++i) ledger.Then([](auto, auto, auto) -> CommitResults { return UnknownCommitError("lost"); });
  EXPECT_EQ(lane.Step(), CommitLane::Next::kPause) << "to be asked for again";
  EXPECT_FALSE(pipeline.Stats().ledger_answers);
  clock.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(lane.Step(), CommitLane::Next::kStep);
  EXPECT_TRUE(IsUnknownCommit(answers.Wait(1)[0].status())) << "out of time";

  ledger.SetDown(true);
  EXPECT_EQ(lane.Step(), CommitLane::Next::kPause) << "asks whether the ledger is back";
  ledger.SetDown(false);
  EXPECT_EQ(lane.Step(), CommitLane::Next::kStep);
  EXPECT_TRUE(pipeline.Stats().ledger_answers);
  EXPECT_EQ(lane.Step(), CommitLane::Next::kAwaitWork);
}

// An answer was lost, and something is locked when it is asked for again: the ledger is up, so others are accepted
// meanwhile, and what is in doubt stays in doubt.
TEST(CommitLaneTest, ALostAnswerThatALockKeepsOpenStopsNobodyElse) {
  ScriptedLedger ledger;
  Answers doubtful, other;
  PipelineOptions options = OneLane();
  options.lanes = 0;
  FakeClock clock;
  CommitPipeline pipeline(&ledger, &clock, options);
  CommitLane lane(&pipeline);
  pipeline.Submit(1, ClaimOf(1), clock.Now() + absl::Seconds(1), doubtful.Expect());
  ledger.Then([](auto, auto, auto) -> CommitResults { return UnknownCommitError("lost"); });
  for (int i = 0; i < 2; ++i) ledger.Then([](auto, auto, auto) -> CommitResults { return BusyError("lock timeout"); });
  EXPECT_EQ(lane.Step(), CommitLane::Next::kPause);
  EXPECT_FALSE(pipeline.Stats().ledger_answers);
  EXPECT_EQ(lane.Step(), CommitLane::Next::kStep) << "waited for the lock";
  EXPECT_EQ(lane.Step(), CommitLane::Next::kStep) << "skipped it";
  EXPECT_TRUE(pipeline.Stats().ledger_answers);
  ReservationClaim radio = ClaimOf(2);
  radio.sku_id = "radio";
  pipeline.Submit(1, radio, absl::InfiniteFuture(), other.Expect());
  EXPECT_EQ(lane.Step(), CommitLane::Next::kStep);
  EXPECT_TRUE(other.Wait(1)[0].ok());
  clock.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(lane.Step(), CommitLane::Next::kAwaitWork);
  EXPECT_TRUE(IsUnknownCommit(doubtful.Wait(1)[0].status()));
}

// The cancelled wait for a standby leaves a batch in doubt, but the ledger is up: what waits behind it is not refused.
TEST(CommitLaneTest, ADoubtThatLeavesTheConnectionIntactEmptiesNoQueue) {
  ScriptedLedger ledger;
  Answers doubtful, other;
  PipelineOptions options = OneLane();
  options.lanes = 0;
  options.max_batch = 1;
  CommitPipeline pipeline(&ledger, Clock::Real(), options);
  CommitLane lane(&pipeline);
  ledger.Then([](auto, auto, auto) -> CommitResults { return UnsettledCommitError("no standby"); });
  pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), doubtful.Expect());
  pipeline.Submit(1, ClaimOf(2), absl::InfiniteFuture(), other.Expect());
  EXPECT_EQ(lane.Step(), CommitLane::Next::kPause) << "to be asked for again";
  EXPECT_TRUE(pipeline.Stats().ledger_answers);
  EXPECT_EQ(pipeline.Stats().queued, 1);
  EXPECT_EQ(lane.Step(), CommitLane::Next::kStep);
  EXPECT_TRUE(doubtful.Wait(1)[0].ok());
  EXPECT_EQ(lane.Step(), CommitLane::Next::kStep);
  EXPECT_TRUE(other.Wait(1)[0].ok());
}

TEST(CommitLaneTest, TheLogSaysWhyTheLedgerIsDown) {
  ScriptedLedger ledger;
  Answers answers;
  PipelineOptions options = OneLane();
  options.lanes = 0;
  CommitPipeline pipeline(&ledger, Clock::Real(), options);
  CommitLane lane(&pipeline);
  ledger.Then([](auto, auto, auto) -> CommitResults { return absl::UnavailableError("SQLSTATE 53100: disk full"); });
  pipeline.Submit(1, ClaimOf(1), absl::InfiniteFuture(), answers.Expect());
  const testing::LoggedLines log;
  lane.Step();
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_THAT(log.lines()[0], ::testing::HasSubstr("SQLSTATE 53100: disk full"));
}

ReservationClaim TracedClaim(uint8_t id, const std::string& trace_id, const std::string& request_id = "") {
  ReservationClaim claim = ClaimOf(id);
  claim.trace = std::make_shared<const LogTrace>(LogTrace{trace_id, request_id});
  return claim;
}

// One lane that is run by hand, and what it logs.
class TracedBatchTest : public ::testing::Test {
 protected:
  void Submit(ReservationClaim claim) {
    pipeline_.Submit(1, std::move(claim), absl::InfiniteFuture(), answers_.Expect());
  }
  static PipelineOptions NoThreads() {
    PipelineOptions options = OneLane();
    options.lanes = 0;
    return options;
  }
  std::vector<std::string> BatchLines() const {
    std::vector<std::string> lines;
    for (const std::string& line : log_.lines()) {
      if (line.rfind("a batch of ", 0) == 0) lines.push_back(line);
    }
    return lines;
  }

  FakeClock clock_;
  ScriptedLedger ledger_;
  Answers answers_;
  CommitPipeline pipeline_{&ledger_, &clock_, NoThreads()};
  CommitLane lane_{&pipeline_};
  const testing::LoggedLines log_;
};

TEST_F(TracedBatchTest, AFailedBatchNamesUpToThreeOfItsCalls) {
  ledger_.Then([](auto, auto, auto) -> CommitResults { return absl::InternalError("no such column"); });
  Submit(ClaimOf(1));
  Submit(TracedClaim(2, "aa"));
  Submit(TracedClaim(3, "aa"));
  Submit(TracedClaim(4, "", "r 17"));
  Submit(TracedClaim(5, "bb", "r-18"));
  Submit(TracedClaim(6, "cc"));
  lane_.Step();
  EXPECT_THAT(BatchLines(),
              ::testing::ElementsAre("a batch of 6 reservations was not committed at this try, after 0 (no such "
                                     "column); calls in it: trace=aa, request=\"r 17\", trace=bb"));
}

TEST_F(TracedBatchTest, ASlowBatchIsToldWithOrWithoutTraces) {
  ledger_.Then([this](auto, auto, absl::Span<const ReservationClaim> claims) -> CommitResults {
    clock_.AdvanceBy(absl::Milliseconds(1500));
    return AllCreated(claims);
  });
  Submit(ClaimOf(1));
  lane_.Step();
  EXPECT_THAT(BatchLines(), ::testing::ElementsAre("a batch of 1 reservations took 1.5s"));
}

TEST_F(TracedBatchTest, WhatIsWellIsNotTold) {
  Submit(TracedClaim(1, "aa"));
  lane_.Step();
  ledger_.Then([](auto, auto, auto) -> CommitResults { return absl::InternalError("no such column"); });
  Submit(ClaimOf(2));
  lane_.Step();
  EXPECT_THAT(BatchLines(), ::testing::IsEmpty()) << "nobody looks for a call without a trace";
}

TEST_F(TracedBatchTest, FailuresInARowAreToldOnceASecond) {
  for (uint8_t id = 1; id <= 20; ++id) {
    ledger_.Then([](auto, auto, auto) -> CommitResults { return absl::InternalError("no such column"); });
    Submit(TracedClaim(id, "aa"));
    lane_.Step();
    clock_.AdvanceBy(absl::Milliseconds(100));
  }
  EXPECT_EQ(BatchLines().size(), 2u);
}

}  // namespace
}  // namespace tranche::storage
