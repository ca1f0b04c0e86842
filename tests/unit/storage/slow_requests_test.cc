// What a group commit does when another transaction has locked what some requests need, or when a batch needs more than
// the server has: they stop themselves only.
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "storage/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/pipeline/change_pipeline.h"
#include "storage/pipeline/commit_lane.h"

namespace tranche::storage {
namespace {

using ClaimResults = absl::StatusOr<std::vector<CommitResult>>;

Uuid NumberedId(int number) {
  Uuid id;
  id.bytes[14] = static_cast<uint8_t>(number / 256);
  id.bytes[15] = static_cast<uint8_t>(number % 256);
  return id;
}

std::string WordOf(LockMode mode) {
  return mode == LockMode::kWait ? "wait" : mode == LockMode::kWaitBriefly ? "brief" : "skip";
}

// Creates every claim that nothing stands in the way of. Notes the batches, such as "wait a b".
class LockedLedger : public ReservationLedger {
 public:
  ClaimResults CommitReservations(IncarnationId, LockMode mode, absl::Span<const ReservationClaim> claims) override {
    std::vector<std::string> words = {WordOf(mode)};
    for (const ReservationClaim& claim : claims) words.push_back(claim.sku_id);
    batches.push_back(absl::StrJoin(words, " "));
    sizes.push_back(claims.size());
    if (during_next) std::exchange(during_next, nullptr)();
    if (lose_next) {
      lose_next = false;
      return UnknownCommitError("lost");
    }
    if (no_connection) return NoConnectionError("no connection is left");
    if (claims.size() > room) return NeedsLessError("out of shared memory");
    std::vector<CommitResult> results(claims.size());
    for (size_t i = 0; i < claims.size(); ++i) {
      if (held_up.contains(claims[i].user_id)) return BusyError("an insert waits");
      const bool locked = locked_skus.contains(claims[i].sku_id);
      if (locked && MayWait(mode)) return BusyError("lock timeout");
      const bool depends = i > 0 && dependents.contains(claims[i].user_id);
      results[i].outcome = locked ? CommitOutcome::kBusy : depends ? CommitOutcome::kDepends : CommitOutcome::kCreated;
    }
    return results;
  }
  absl::StatusOr<Reservation> FindReservation(const Uuid&) override { return absl::NotFoundError("none"); }
  absl::StatusOr<std::vector<Reservation>> FindReplicated(absl::Span<const Uuid>) override {
    return std::vector<Reservation>();
  }

  std::set<std::string> locked_skus;
  std::set<std::string> held_up;     // users whose inserts wait for another transaction
  std::set<std::string> dependents;  // users whose claims depend on the first of their batch
  size_t room = 1000;                // claims for which the server has enough locks
  bool lose_next = false;
  bool no_connection = false;
  std::function<void()> during_next;
  std::vector<std::string> batches;
  std::vector<size_t> sizes;
};

class SlowRequestsTest : public ::testing::Test {
 protected:
  static PipelineOptions StepOptions() {
    PipelineOptions options;
    options.lanes = 0;
    options.max_batch = 8;
    options.max_queue = 8;
    return options;
  }

  void Buy(const std::string& sku_id, absl::Duration patience = absl::InfiniteDuration(),
           const std::string& user_id = "u") {
    const ReservationClaim claim{
        .reservation_id = NumberedId(++bought_), .sku_id = sku_id, .user_id = user_id, .quantity = 1};
    pipeline_.Submit(1, claim, clock_.Now() + patience, [this, sku_id](absl::StatusOr<CommitResult> result) {
      answers_.push_back(result.ok() ? sku_id : std::string(result.status().message()));
      last_ = result.status();
    });
  }
  // Until there is nothing to do at once.
  void Run(CommitLane& lane) {
    for (int steps = 0; lane.Step() == LaneNext::kStep; ++steps) ASSERT_LT(steps, 1000);
  }
  void Run() { Run(lane_); }
  std::vector<std::string> TakeBatches() { return std::exchange(ledger_.batches, {}); }
  std::vector<std::string> TakeAnswers() { return std::exchange(answers_, {}); }

  using Words = std::vector<std::string>;
  LockedLedger ledger_;
  FakeClock clock_;
  int bought_ = 0;
  Words answers_;
  absl::Status last_;
  CommitPipeline pipeline_{&ledger_, &clock_, StepOptions()};
  CommitLane lane_{&pipeline_};
};

TEST_F(SlowRequestsTest, ALockedSkuStopsItselfOnly) {
  ledger_.locked_skus = {"a"};
  for (const char* sku_id : {"b", "a", "b"}) Buy(sku_id);
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"wait b a b", "skip b a b"}));
  EXPECT_EQ(TakeAnswers(), (Words{"b", "b"}));
  EXPECT_EQ(pipeline_.Stats().slow, 1);
  EXPECT_TRUE(pipeline_.Stats().ledger_answers);
  // Neither an earlier nor a new claim for it keeps a lane waiting again.
  for (const char* sku_id : {"a", "b", "a"}) Buy(sku_id);
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"wait b"}));
  clock_.AdvanceBy(absl::Milliseconds(50));
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"skip a a a"}));
  EXPECT_EQ(TakeAnswers(), (Words{"b"}));
}

// What it depends on is known with the answer to its batch: neither it nor its SKU is slow.
TEST_F(SlowRequestsTest, WhatDependsOnItsBatchGoesAgainAtOnce) {
  const auto buy_twice = [this] {
    Buy("a");
    Buy("a", absl::InfiniteDuration(), "again");
    Run();
  };
  ledger_.dependents = {"again"};
  buy_twice();
  EXPECT_EQ(TakeBatches(), (Words{"wait a a", "wait a"}));
  EXPECT_EQ(TakeAnswers(), (Words{"a", "a"}));
  // Also without waiting: the lock is free again by then.
  ledger_.locked_skus = {"a"};
  ledger_.during_next = [this] { ledger_.during_next = [this] { ledger_.locked_skus.clear(); }; };
  buy_twice();
  EXPECT_EQ(TakeBatches(), (Words{"wait a a", "skip a a", "wait a"}));
  EXPECT_EQ(TakeAnswers(), (Words{"a", "a"}));
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
}

// It may depend on that. Or it would keep a lane waiting for the lock.
TEST_F(SlowRequestsTest, WhatDependsOnABatchInWhichSomethingIsLockedWaitsWithIt) {
  ledger_.dependents = {"again"};
  ledger_.locked_skus = {"a"};
  Buy("a");
  Buy("b", absl::InfiniteDuration(), "again");
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"wait a b", "skip a b"}));
  EXPECT_EQ(pipeline_.Stats().slow, 2);
  ledger_.locked_skus.clear();
  clock_.AdvanceBy(absl::Milliseconds(50));
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"skip a b", "skip b"}));
  EXPECT_EQ(TakeAnswers(), (Words{"a", "b"}));
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
}

TEST_F(SlowRequestsTest, OnceItIsFreeItIsLikeAnyOther) {
  ledger_.locked_skus = {"a"};
  Buy("a");
  Run();
  Buy("a");
  ledger_.locked_skus.clear();
  clock_.AdvanceBy(absl::Milliseconds(50));
  Run();
  EXPECT_EQ(TakeAnswers(), (Words{"a", "a"}));
  TakeBatches();
  Buy("a");
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"wait a"}));
  EXPECT_EQ(TakeAnswers(), (Words{"a"}));
  EXPECT_EQ(pipeline_.Stats().queued, 0);
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
}

// At its deadline nobody listens any more: the caller would hear that it is unknown whether something has happened.
TEST_F(SlowRequestsTest, WhoCannotBeTriedAgainInTimeIsToldBeforeTheDeadline) {
  ledger_.locked_skus = {"a"};
  Buy("a", absl::Milliseconds(700));
  Buy("a", absl::Milliseconds(740));
  Run();
  clock_.AdvanceBy(absl::Milliseconds(640));
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"wait a a", "skip a a", "skip a a"}));
  EXPECT_TRUE(TakeAnswers().empty()) << "there is time for another try";
  clock_.AdvanceBy(absl::Milliseconds(50));
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"skip a a"})) << "the last one";
  EXPECT_EQ(TakeAnswers(), (Words(2, "another transaction has locked what the request needs")));
  EXPECT_TRUE(absl::IsUnavailable(last_) && LedgerIsUp(last_) && !IsUnknownCommit(last_)) << last_;
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
}

TEST_F(SlowRequestsTest, WhoIsInDoubtAtTheLastTryStaysInDoubt) {
  ledger_.locked_skus = {"a"};
  ledger_.lose_next = true;
  Buy("a", absl::Milliseconds(740));
  EXPECT_EQ(lane_.Step(), LaneNext::kPause);
  clock_.AdvanceBy(absl::Milliseconds(700));
  Run();
  EXPECT_EQ(TakeAnswers().size(), 1u);
  EXPECT_TRUE(IsUnknownCommit(last_)) << last_;
}

// Some are not in the batch of a try: it is too late for them as well.
TEST_F(SlowRequestsTest, NobodyIsKeptPastTheDeadlineUntilTheNextTry) {
  ledger_.locked_skus = {"a"};
  Buy("a");
  Run();
  for (int i = 0; i < 6; ++i) Buy("a");
  Buy("a", absl::Milliseconds(90));
  Buy("a", absl::Milliseconds(20));
  EXPECT_EQ(TakeAnswers().size(), 1u) << "the next try comes in 50 ms";
  EXPECT_TRUE(absl::IsUnavailable(last_) && LedgerIsUp(last_)) << last_;
  ledger_.room = 4;
  clock_.AdvanceBy(absl::Milliseconds(50));
  Run();
  EXPECT_EQ(ledger_.sizes.back(), 4u) << "the first half of them";
  EXPECT_EQ(TakeAnswers().size(), 1u) << "the next try comes in 50 ms";
  EXPECT_EQ(pipeline_.Stats().slow, 7);
}

// Its answer could not be there in time after the longest wait.
TEST_F(SlowRequestsTest, WhoHasLittleTimeMakesItsBatchWaitBriefly) {
  Buy("b");
  Buy("b", absl::Milliseconds(600));
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"wait b b"}));
  ledger_.locked_skus = {"a"};
  Buy("b");
  Buy("b", absl::Milliseconds(300));
  Buy("a");
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"brief b b a", "skip b b a"}));
  EXPECT_EQ(TakeAnswers(), (Words(4, "b")));
}

// Locks of a healthy system are free again in a moment. Who would not wait for them would be refused.
TEST_F(SlowRequestsTest, WhoHasHardlyAnyTimeWaitsToo) {
  Buy("b", absl::Milliseconds(1));
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"brief b"}));
  EXPECT_EQ(TakeAnswers(), (Words{"b"}));
}

TEST_F(SlowRequestsTest, AtItsDeadlineNothingHasHappenedAndTheLedgerIsUp) {
  ledger_.locked_skus = {"a"};
  Buy("a", absl::Seconds(1));
  Run();
  EXPECT_TRUE(TakeAnswers().empty());
  clock_.AdvanceBy(absl::Seconds(1));
  Run();
  EXPECT_EQ(TakeAnswers().size(), 1u);
  EXPECT_TRUE(absl::IsUnavailable(last_) && LedgerIsUp(last_) && !IsUnknownCommit(last_)) << last_;
  EXPECT_TRUE(pipeline_.Stats().ledger_answers);
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
  // Nobody asks for it any more: it is forgotten that it was slow.
  TakeBatches();
  Buy("a");
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"wait a", "skip a"}));
}

// The try whose answer was lost may still hold the lock, and commit in the end.
TEST_F(SlowRequestsTest, WhatIsInDoubtStaysInDoubt) {
  for (const bool stopped : {false, true}) {
    ledger_.locked_skus = {"a"};
    ledger_.lose_next = true;
    Buy("a", absl::Seconds(1));
    EXPECT_EQ(lane_.Step(), LaneNext::kPause);
    Run();
    EXPECT_EQ(pipeline_.Stats().slow, 1);
    EXPECT_TRUE(TakeAnswers().empty());
    if (stopped) {
      pipeline_.Stop();
    } else {
      clock_.AdvanceBy(absl::Seconds(1));
      Run();
    }
    EXPECT_EQ(TakeAnswers().size(), 1u);
    EXPECT_TRUE(IsUnknownCommit(last_)) << last_;
  }
}

// Two would find each other's locks.
TEST_F(SlowRequestsTest, OnlyOneLaneTriesThem) {
  ledger_.locked_skus = {"a"};
  Buy("a");
  Run();
  clock_.AdvanceBy(absl::Milliseconds(50));
  ledger_.locked_skus.clear();
  CommitLane other(&pipeline_);
  ledger_.during_next = [&] {
    Buy("a");
    EXPECT_EQ(other.Step(), LaneNext::kAwaitWork);
  };
  Run();
  EXPECT_EQ(TakeAnswers(), (Words{"a", "a"}));
}

TEST_F(SlowRequestsTest, TheyLeaveTheOthersTheirRoom) {
  ledger_.locked_skus = {"a"};
  Buy("a");
  Run();
  for (int i = 0; i < 8; ++i) Buy("a");
  EXPECT_TRUE(absl::IsResourceExhausted(last_)) << "seven more fit";
  EXPECT_EQ(TakeAnswers().size(), 1u);
  for (int i = 0; i < 8; ++i) Buy("b");
  EXPECT_TRUE(TakeAnswers().empty());
  Run();
  EXPECT_EQ(TakeAnswers().size(), 8u);
}

TEST_F(SlowRequestsTest, ABatchThatNeedsTooMuchIsHalvedUntilItFits) {
  ledger_.room = 2;
  for (int i = 0; i < 8; ++i) Buy("b");
  Run();
  EXPECT_EQ(TakeAnswers().size(), 8u);
  EXPECT_EQ(ledger_.sizes, (std::vector<size_t>{8, 4, 2, 3, 1, 2, 3, 1, 2}));
  EXPECT_TRUE(pipeline_.Stats().ledger_answers);
  // Later batches grow again.
  ledger_.room = 1000;
  ledger_.sizes.clear();
  for (int i = 0; i < 8; ++i) Buy("b");
  Run();
  EXPECT_EQ(ledger_.sizes, (std::vector<size_t>{3, 4, 1}));
}

TEST_F(SlowRequestsTest, WhatNeedsTooMuchAloneIsTriedUntilItsDeadline) {
  ledger_.room = 0;
  Buy("b", absl::Seconds(1));
  Run();
  EXPECT_EQ(pipeline_.Stats().slow, 1);
  ledger_.room = 1;
  clock_.AdvanceBy(absl::Milliseconds(50));
  Run();
  EXPECT_EQ(TakeAnswers(), (Words{"b"}));
}

// A row that an insert waits for cannot be skipped: the claim is found by halves.
TEST_F(SlowRequestsTest, AnInsertThatWaitsKeepsFewOthers) {
  ledger_.held_up = {"stuck"};
  for (int i = 0; i < 3; ++i) Buy("b");
  Buy("a", absl::InfiniteDuration(), "stuck");
  for (int i = 0; i < 4; ++i) Buy("b");
  Run();
  EXPECT_EQ(TakeAnswers(), (Words(7, "b")));
  EXPECT_EQ(pipeline_.Stats().slow, 1);
}

TEST_F(SlowRequestsTest, StoppingAnswersThem) {
  ledger_.locked_skus = {"a"};
  Buy("a");
  Run();
  pipeline_.Stop();
  EXPECT_TRUE(absl::IsCancelled(last_)) << last_;
  EXPECT_EQ(pipeline_.Stats().queued, 0);
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
}

// Confirms and cancels everything but what is locked. Notes the batches, such as "skip confirm 1 2".
class LockedReservations : public LifecycleLedger {
 public:
  using Answer = absl::StatusOr<std::vector<ChangeResult>>;
  Answer ConfirmReservations(LockMode mode, absl::Span<const Payment> batch) override {
    return Try("confirm", mode, batch);
  }
  Answer CancelReservations(LockMode mode, absl::Span<const Cancellation> batch) override {
    return Try("cancel", mode, batch);
  }
  Answer ExtendReservations(LockMode mode, absl::Span<const Extension> batch) override {
    return Try("extend", mode, batch);
  }
  absl::StatusOr<ChangeResult> ConfirmLate(const Payment&) override { return absl::UnimplementedError(""); }
  absl::StatusOr<ChangeResult> PreviewChange(const Change&) override { return absl::UnimplementedError(""); }
  absl::StatusOr<CartResult> CommitCart(IncarnationId, LockMode, absl::Span<const ReservationClaim>) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::vector<RefuseResult>> RefuseClaims(absl::Span<const ClaimRefusal>) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::vector<Reservation>> ReadReservations(absl::Span<const Uuid>) override {
    return std::vector<Reservation>();
  }
  absl::StatusOr<ReservationPage> ListReservations(const ReservationFilter&, const ReservationCursor&, int) override {
    return absl::UnimplementedError("");
  }

  std::set<int> locked;
  std::set<int> locked_members;  // of groups: the wait for these was in vain after the others had been decided
  std::vector<std::string> batches;

 private:
  template <typename Kind>
  Answer Try(const std::string& kind, LockMode mode, absl::Span<const Kind> batch) {
    std::string noted = WordOf(mode) + " " + kind;
    bool waits = false;
    std::vector<ChangeResult> results;
    for (const Kind& change : batch) {
      const int number = change.reservation_id.bytes[15];
      noted += " " + std::to_string(number);
      waits = waits || (MayWait(mode) && locked.contains(number));
      const bool busy = locked.contains(number) || locked_members.contains(number);
      results.push_back({.outcome = busy ? ChangeOutcome::kBusy : ChangeOutcome::kDone});
    }
    batches.push_back(noted);
    if (waits) return BusyError("lock timeout");
    return results;
  }
};

TEST(SlowChangesTest, ALockedReservationStopsItselfOnly) {
  LockedReservations ledger;
  FakeClock clock;
  PipelineOptions options;
  options.lanes = 0;
  ChangePipeline pipeline(&ledger, &clock, options);
  ChangeLane lane(&pipeline);
  int done = 0;
  const auto submit = [&](Change change) {
    pipeline.Submit(std::move(change), absl::InfiniteFuture(),
                    [&done](const absl::StatusOr<ChangeResult>& result) { done += result.ok() ? 1 : 0; });
  };
  const auto confirm = [&](int id) { submit(Payment{NumberedId(id), "pay", 1, "EUR"}); };
  const auto run = [&] {
    while (lane.Step() == LaneNext::kStep) {
    }
    return std::exchange(ledger.batches, {});
  };
  using Words = std::vector<std::string>;
  ledger.locked = {1};
  confirm(1);
  confirm(2);
  EXPECT_EQ(run(), (Words{"wait confirm 1 2", "skip confirm 1 2"}));
  EXPECT_EQ(done, 1);
  // The other kinds go on as before. New confirmations might be about something locked, so they do not wait for locks.
  confirm(3);
  submit(Cancellation{NumberedId(4), "why"});
  EXPECT_EQ(run(), (Words{"wait cancel 4"}));
  clock.AdvanceBy(absl::Milliseconds(50));
  EXPECT_EQ(run(), (Words{"skip confirm 1 3"}));
  EXPECT_EQ(done, 3);
  // Of several slow kinds each has batches of its own.
  ledger.locked = {1, 5};
  submit(Cancellation{NumberedId(5), "why"});
  confirm(6);
  EXPECT_EQ(run(), (Words{"wait cancel 5", "skip cancel 5"}));
  ledger.locked.clear();
  clock.AdvanceBy(absl::Milliseconds(50));
  EXPECT_EQ(run(), (Words{"skip cancel 5", "skip confirm 1 6"})) << "confirmations were tried last";
  EXPECT_EQ(done, 6);
  confirm(7);
  EXPECT_EQ(run(), (Words{"wait confirm 7"}));
}

// The others are answered: a batch with one of them must not fail as a whole, and none waits for it a second time.
TEST(SlowChangesTest, WhatIsBusyAfterAWaitIsSlow) {
  LockedReservations ledger;
  FakeClock clock;
  PipelineOptions options;
  options.lanes = 0;
  ChangePipeline pipeline(&ledger, &clock, options);
  ChangeLane lane(&pipeline);
  std::vector<int> done;
  const auto confirm = [&](int id) {
    pipeline.Submit(Payment{NumberedId(id), "pay", 1, "EUR"}, absl::InfiniteFuture(),
                    [&done, id](const absl::StatusOr<ChangeResult>& result) {
                      if (result.ok()) done.push_back(id);
                    });
  };
  const auto run = [&] {
    for (int steps = 0; steps < 10 && lane.Step() == LaneNext::kStep; ++steps) {
    }
    return std::exchange(ledger.batches, {});
  };
  using Words = std::vector<std::string>;
  ledger.locked_members = {1};
  confirm(1);
  confirm(2);
  EXPECT_EQ(run(), (Words{"wait confirm 1 2"}));
  EXPECT_EQ(done, std::vector<int>{2});
  EXPECT_EQ(pipeline.Stats().slow, 1);
  clock.AdvanceBy(absl::Milliseconds(50));
  EXPECT_EQ(run(), (Words{"skip confirm 1"}));
  ledger.locked_members.clear();
  clock.AdvanceBy(absl::Milliseconds(50));
  EXPECT_EQ(run(), (Words{"skip confirm 1"}));
  EXPECT_EQ(done, (std::vector<int>{2, 1}));
  EXPECT_EQ(pipeline.Stats().unanswered, 0);
}

// Somebody cancels thousands of reservations of a SKU that is locked.
TEST(SlowChangesTest, SlowChangesOfOneKindLeaveTheOthersTheirRoomAndTheirTurn) {
  LockedReservations ledger;
  FakeClock clock;
  PipelineOptions options;
  options.lanes = 0;
  options.max_batch = 4;
  options.max_queue = 4;
  std::vector<absl::Status> refused;  // outlives the pipeline, whose end answers the rest
  ChangePipeline pipeline(&ledger, &clock, options);
  ChangeLane lane(&pipeline);
  const auto submit = [&](Change change) {
    pipeline.Submit(std::move(change), absl::InfiniteFuture(), [&](const absl::StatusOr<ChangeResult>& result) {
      if (!result.ok()) refused.push_back(result.status());
    });
  };
  const auto run = [&] {
    while (lane.Step() == LaneNext::kStep) {
    }
    return std::exchange(ledger.batches, {});
  };
  using Words = std::vector<std::string>;
  ledger.locked = {1, 2};
  submit(Cancellation{NumberedId(2), "why"});
  submit(Payment{NumberedId(1), "pay", 1, "EUR"});
  run();
  EXPECT_EQ(pipeline.Stats().slow, 2);
  for (int id = 11; id <= 13; ++id) submit(Cancellation{NumberedId(id), "why"});
  EXPECT_TRUE(refused.empty());
  submit(Cancellation{NumberedId(14), "why"});
  ASSERT_EQ(refused.size(), 1u) << "four are all that may wait";
  EXPECT_TRUE(absl::IsResourceExhausted(refused[0])) << refused[0];
  submit(Payment{NumberedId(3), "pay", 1, "EUR"});
  EXPECT_EQ(refused.size(), 1u) << "payments have room of their own";
  EXPECT_EQ(pipeline.Stats().slow, 6);
  ledger.locked.clear();
  clock.AdvanceBy(absl::Milliseconds(50));
  const Words batches = run();
  EXPECT_EQ(std::set<std::string>(batches.begin(), batches.end()),
            (std::set<std::string>{"skip confirm 1 3", "skip cancel 2 11 12 13"}));
  EXPECT_EQ(pipeline.Stats().queued, 0);
}

TEST(SlowChangesTest, WhoHasLittleTimeIsToldInTime) {
  LockedReservations ledger;
  FakeClock clock;
  PipelineOptions options;
  options.lanes = 0;
  std::vector<absl::Status> answers;  // outlives the pipeline, whose end answers the rest
  ChangePipeline pipeline(&ledger, &clock, options);
  ChangeLane lane(&pipeline);
  const auto submit = [&](Change change, absl::Duration patience) {
    pipeline.Submit(std::move(change), clock.Now() + patience,
                    [&](const absl::StatusOr<ChangeResult>& result) { answers.push_back(result.status()); });
  };
  const auto run = [&] {
    while (lane.Step() == LaneNext::kStep) {
    }
    return std::exchange(ledger.batches, {});
  };
  using Words = std::vector<std::string>;
  ledger.locked = {1, 2, 3};
  submit(Payment{NumberedId(1), "pay", 1, "EUR"}, absl::Milliseconds(120));
  submit(Cancellation{NumberedId(2), "why"}, absl::Milliseconds(90));
  submit(Extension{NumberedId(3), 1, absl::Seconds(1)}, absl::Seconds(2));
  EXPECT_EQ(run(), (Words{"brief confirm 1", "skip confirm 1", "brief cancel 2", "skip cancel 2", "wait extend 3",
                          "skip extend 3"}));
  EXPECT_TRUE(answers.empty());
  clock.AdvanceBy(absl::Milliseconds(50));
  EXPECT_EQ(run(), (Words{"skip confirm 1"}));
  ASSERT_EQ(answers.size(), 1u) << "the cancellation, whose turn will come too late";
  clock.AdvanceBy(absl::Milliseconds(50));
  run();
  ASSERT_EQ(answers.size(), 2u);
  for (const absl::Status& answer : answers) {
    EXPECT_TRUE(absl::IsUnavailable(answer) && LedgerIsUp(answer) && !IsUnknownCommit(answer)) << answer;
  }
  EXPECT_EQ(pipeline.Stats().slow, 1);
}

// Other pools of the process have the connections: the ledger is up, and one of them will be given up.
TEST_F(SlowRequestsTest, WithoutAConnectionRequestsWaitAndNobodyIsRefusedForIt) {
  ledger_.no_connection = true;
  for (const char* sku_id : {"a", "b"}) Buy(sku_id);
  Buy("c", absl::Seconds(1));
  ASSERT_EQ(lane_.Step(), LaneNext::kStep);
  EXPECT_TRUE(pipeline_.Stats().ledger_answers);
  Buy("d");
  clock_.AdvanceBy(absl::Seconds(2));
  ASSERT_EQ(lane_.Step(), LaneNext::kStep);
  EXPECT_EQ(TakeAnswers(), (Words{"the deadline passed before the request was decided"}));
  ledger_.no_connection = false;
  TakeBatches();
  Run();
  EXPECT_EQ(TakeBatches(), (Words{"wait a b d"}));
  EXPECT_EQ(TakeAnswers(), (Words{"a", "b", "d"}));
}

// Found by the simulation: the node then refused everything for ever.
TEST_F(SlowRequestsTest, ALostAnswerThatALockKeepsOpenUntilItsDeadlineDoesNotKeepTheLedgerDown) {
  ledger_.lose_next = true;
  Buy("a", absl::Seconds(1));
  ASSERT_EQ(lane_.Step(), LaneNext::kPause);
  EXPECT_FALSE(pipeline_.Stats().ledger_answers);
  ledger_.locked_skus = {"a"};
  clock_.AdvanceBy(absl::Seconds(2));
  Run();
  EXPECT_TRUE(pipeline_.Stats().ledger_answers);
  TakeAnswers();
  Buy("b");
  Run();
  EXPECT_EQ(TakeAnswers(), (Words{"b"}));
}

TEST_F(SlowRequestsTest, WhoStopsWithoutAConnectionRefuses) {
  ledger_.no_connection = true;
  ledger_.during_next = [this] { pipeline_.Stop(); };
  Buy("a");
  Run();
  EXPECT_EQ(TakeAnswers(), (Words{"shutting down"}));
  EXPECT_EQ(lane_.Step(), LaneNext::kEnd);
}

}  // namespace
}  // namespace tranche::storage
