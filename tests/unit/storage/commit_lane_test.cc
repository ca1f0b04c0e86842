// What a lane does in each of its steps.

#include "storage/pipeline/commit_lane.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger/ledger_error.h"
#include "tests/support/logged_lines.h"
#include "tests/unit/storage/commit_fixture.h"

namespace tranche::storage {
namespace {

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

}  // namespace
}  // namespace tranche::storage
