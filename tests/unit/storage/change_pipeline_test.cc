// What is specific to changes; commit_pipeline_test.cc and commit_lane_test.cc have what all group commits share.
#include "storage/pipeline/change_pipeline.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

using Results = absl::StatusOr<std::vector<ChangeResult>>;

const absl::Time kNoHurry = absl::InfiniteFuture();

Uuid IdOf(uint8_t number) {
  Uuid id;
  id.bytes[15] = number;
  return id;
}

// Notes the batches, such as "confirm 1 2 3", and does them all unless it has statuses to return first, or outcomes.
class NotingLedger : public LifecycleLedger {
 public:
  Results ConfirmReservations(LockMode, absl::Span<const Payment> batch) override { return Note("confirm", batch); }
  Results CancelReservations(LockMode, absl::Span<const Cancellation> batch) override { return Note("cancel", batch); }
  Results ExtendReservations(LockMode, absl::Span<const Extension> batch) override { return Note("extend", batch); }
  absl::StatusOr<ChangeResult> ConfirmLate(const Payment&) override { return absl::UnimplementedError(""); }
  absl::StatusOr<ChangeResult> PreviewChange(const Change&) override { return absl::UnimplementedError(""); }
  absl::StatusOr<CartResult> CommitCart(IncarnationId, LockMode, absl::Span<const ReservationClaim>) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::vector<RefuseResult>> RefuseClaims(absl::Span<const ClaimRefusal>) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::vector<Reservation>> ReadReservations(absl::Span<const Uuid>) override {
    if (down_) return absl::UnavailableError("down");
    return std::vector<Reservation>();
  }
  absl::StatusOr<ReservationPage> ListReservations(const ReservationFilter&, const ReservationCursor&, int) override {
    return absl::UnimplementedError("");
  }

  void Say(absl::Status status) { statuses_.push_back(std::move(status)); }
  // To the next changes of this reservation, one each.
  void SayOf(uint8_t number, std::vector<ChangeOutcome> outcomes) { outcomes_[number] = std::move(outcomes); }
  void SetDown(bool down) { down_ = down; }
  const std::vector<std::string>& batches() const { return batches_; }

 private:
  template <typename Change>
  Results Note(const std::string& kind, absl::Span<const Change> batch) {
    std::string noted = kind;
    std::vector<ChangeResult> results;
    for (const Change& change : batch) {
      noted += " " + std::to_string(change.reservation_id.bytes[15]);
      results.push_back({.outcome = ChangeOutcome::kDone});
      results.back().reservation.reservation_id = change.reservation_id;
      std::vector<ChangeOutcome>& outcomes = outcomes_[change.reservation_id.bytes[15]];
      if (outcomes.empty()) continue;
      results.back().outcome = outcomes.front();
      outcomes.erase(outcomes.begin());
    }
    batches_.push_back(noted);
    if (statuses_.empty()) return results;
    const absl::Status status = statuses_.front();
    statuses_.erase(statuses_.begin());
    return status;
  }

  std::vector<std::string> batches_;
  std::vector<absl::Status> statuses_;
  std::map<uint8_t, std::vector<ChangeOutcome>> outcomes_;
  bool down_ = false;
};

// A pipeline whose only lane is stepped by hand: what is submitted meanwhile waits.
class ChangePipelineTest : public ::testing::Test {
 protected:
  static PipelineOptions NoThreads() {
    PipelineOptions options;
    options.lanes = 0;
    options.max_batch = 3;
    options.max_queue = 8;
    return options;
  }

  ChangeDone Note() {
    return [this](absl::StatusOr<ChangeResult> result) { answers_.push_back(std::move(result)); };
  }
  void Confirm(uint8_t id) { pipeline_.Submit(storage::Payment{IdOf(id), "pay", 1, "EUR"}, kNoHurry, Note()); }
  void Cancel(uint8_t id) { pipeline_.Submit(storage::Cancellation{IdOf(id), "why"}, kNoHurry, Note()); }
  void Extend(uint8_t id) { pipeline_.Submit(storage::Extension{IdOf(id), 1, absl::Seconds(1)}, kNoHurry, Note()); }
  void Run() {
    while (lane_.Step() == LaneNext::kStep) {
    }
  }

  NotingLedger ledger_;
  FakeClock clock_;
  std::vector<absl::StatusOr<ChangeResult>> answers_;
  ChangePipeline pipeline_{&ledger_, &clock_, NoThreads()};
  ChangeLane lane_{&pipeline_};
};

TEST_F(ChangePipelineTest, ABatchIsOfOneKindAndTheKindsTakeTurns) {
  for (const uint8_t id : {1, 2, 3, 4, 5}) Confirm(id);
  Cancel(6);
  Extend(7);
  Cancel(8);
  Run();
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"confirm 1 2 3", "cancel 6 8", "extend 7", "confirm 4 5"}));
  EXPECT_EQ(answers_.size(), 8u);
}

TEST_F(ChangePipelineTest, MixedKindsStillMakeLargeBatches) {
  for (const uint8_t id : {1, 2, 3}) {
    Confirm(id);
    Cancel(static_cast<uint8_t>(id + 10));
  }
  Run();
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"confirm 1 2 3", "cancel 11 12 13"}));
}

TEST_F(ChangePipelineTest, TheSameReservationTwiceIsTwoBatches) {
  Confirm(1);
  Confirm(1);
  Confirm(2);
  Cancel(1);
  Run();
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"confirm 1 2", "cancel 1", "confirm 1"}));
}

// A shop that sends one payment again and again does not delay any other.
TEST_F(ChangePipelineTest, AStormOfOneReservationMakesNoSmallBatches) {
  for (const uint8_t id : {1, 1, 2, 2, 3, 1, 4, 5}) Confirm(id);
  Run();
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"confirm 1 2 3", "confirm 1 2 4", "confirm 1 5"}));
  EXPECT_EQ(answers_.size(), 8u);
  EXPECT_EQ(pipeline_.Stats().queued, 0);
}

TEST_F(ChangePipelineTest, ItIsNotLookedPastEveryRepetition) {
  for (const uint8_t id : {1, 1, 1, 1, 2}) Confirm(id);
  Run();
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"confirm 1", "confirm 1 2", "confirm 1", "confirm 1"}));
}

TEST_F(ChangePipelineTest, EachIsAnsweredWithItsOwnResult) {
  Confirm(1);
  Confirm(2);
  Run();
  ASSERT_EQ(answers_.size(), 2u);
  EXPECT_EQ(answers_[0]->reservation.reservation_id, IdOf(1));
  EXPECT_EQ(answers_[1]->reservation.reservation_id, IdOf(2));
}

// A shop that cancels everything at once keeps no payment out.
TEST_F(ChangePipelineTest, EachKindHasABoundOfItsOwn) {
  for (uint8_t id = 1; id <= 9; ++id) Cancel(id);
  ASSERT_EQ(answers_.size(), 1u) << "eight fit";
  EXPECT_TRUE(absl::IsResourceExhausted(answers_[0].status()));
  for (uint8_t id = 11; id <= 18; ++id) Confirm(id);
  Extend(20);
  EXPECT_EQ(answers_.size(), 1u) << "these have their own room";
  EXPECT_EQ(pipeline_.Stats().queued, 17);
  Confirm(19);
  ASSERT_EQ(answers_.size(), 2u);
  EXPECT_TRUE(absl::IsResourceExhausted(answers_[1].status()));
  Run();
  EXPECT_EQ(answers_.size(), 19u);
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
}

TEST_F(ChangePipelineTest, WhatIsTooLateIsNotSent) {
  pipeline_.Submit(storage::Payment{IdOf(1), "pay", 1, "EUR"}, clock_.Now(), Note());
  Cancel(2);
  Run();
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"cancel 2"}));
  ASSERT_EQ(answers_.size(), 2u);
  EXPECT_TRUE(absl::IsDeadlineExceeded(answers_[0].status())) << "their caller may still listen";
  EXPECT_TRUE(answers_[1].ok());
  EXPECT_EQ(pipeline_.Stats().queued, 0);
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
}

// A queue of late requests is emptied bit by bit, and the other kinds have their turn meanwhile.
TEST_F(ChangePipelineTest, ManyLateOnesKeepNoOtherKindWaiting) {
  constexpr size_t kMost = RequestQueues<ChangeWork>::kMaxDropped;
  PipelineOptions options = NoThreads();
  options.max_queue = static_cast<int>(2 * kMost);
  ChangePipeline pipeline(&ledger_, &clock_, options);
  ChangeLane lane(&pipeline);
  const absl::Time soon = clock_.Now() + absl::Seconds(1);
  for (size_t i = 0; i <= kMost; ++i) pipeline.Submit(storage::Payment{IdOf(1), "pay", 1, "EUR"}, soon, Note());
  pipeline.Submit(storage::Cancellation{IdOf(2), "why"}, kNoHurry, Note());
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(lane.Step(), LaneNext::kStep);
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"cancel 2"}));
  EXPECT_EQ(pipeline.Stats().queued, 1) << "a late one is left";
  EXPECT_EQ(answers_.size(), kMost + 1);
  lane.Step();
  EXPECT_EQ(answers_.size(), kMost + 2);
  EXPECT_EQ(pipeline.Stats().unanswered, 0);
}

// Each kind is searched for late requests, and none is counted twice.
TEST_F(ChangePipelineTest, WhatIsTooLateIsCountedOnce) {
  pipeline_.Submit(storage::Payment{IdOf(1), "pay", 1, "EUR"}, clock_.Now(), Note());
  Run();
  EXPECT_EQ(pipeline_.Stats().queued, 0) << "nothing waits";
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
  Cancel(2);
  EXPECT_EQ(pipeline_.Stats().queued, 1);
  Run();
  EXPECT_EQ(answers_.size(), 2u);
}

TEST_F(ChangePipelineTest, StopAnswersEveryKind) {
  Confirm(1);
  Cancel(2);
  Extend(3);
  pipeline_.Stop();
  ASSERT_EQ(answers_.size(), 3u);
  for (const auto& answer : answers_) EXPECT_TRUE(absl::IsCancelled(answer.status()));
  EXPECT_EQ(pipeline_.Stats().queued, 0);
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
  Confirm(4);
  EXPECT_TRUE(absl::IsCancelled(answers_.back().status()));
  EXPECT_EQ(lane_.Step(), LaneNext::kEnd);
}

TEST_F(ChangePipelineTest, ALostAnswerIsAskedForAgainWithTheSameBatch) {
  ledger_.Say(UnknownCommitError("lost"));
  Confirm(1);
  Confirm(2);
  EXPECT_EQ(lane_.Step(), LaneNext::kPause);
  EXPECT_TRUE(answers_.empty()) << "nobody knows yet";
  Cancel(3);
  EXPECT_TRUE(absl::IsUnavailable(answers_.at(0).status())) << "refused while the ledger does not answer";
  Run();
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"confirm 1 2", "confirm 1 2"}));
  EXPECT_TRUE(answers_.at(1).ok() && answers_.at(2).ok());
}

TEST_F(ChangePipelineTest, WhileTheLedgerIsDownEveryKindIsRefusedAtOnce) {
  ledger_.Say(absl::UnavailableError("down"));
  ledger_.SetDown(true);
  Confirm(1);
  Cancel(2);
  EXPECT_EQ(lane_.Step(), LaneNext::kStep);
  EXPECT_EQ(answers_.size(), 2u);
  for (const auto& answer : answers_) EXPECT_TRUE(absl::IsUnavailable(answer.status()));
  EXPECT_EQ(lane_.Step(), LaneNext::kPause);
  Extend(3);
  EXPECT_TRUE(absl::IsUnavailable(answers_.back().status()));
  ledger_.SetDown(false);
  Run();
  Extend(3);
  Run();
  EXPECT_TRUE(answers_.back().ok());
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"confirm 1", "extend 3"}));
}

TEST_F(ChangePipelineTest, ADeadlockIsTriedAgain) {
  ledger_.Say(RetryTransactionError("deadlock"));
  Cancel(1);
  Run();
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"cancel 1", "cancel 1"}));
  EXPECT_TRUE(answers_.at(0).ok());
}

// What is in doubt goes again by itself; the others of its batch have their answers.
TEST_F(ChangePipelineTest, OneInDoubtGoesAgainWithoutTheOthers) {
  ledger_.SayOf(2, {ChangeOutcome::kInDoubt, ChangeOutcome::kReplayed});
  for (const uint8_t id : {1, 2, 3}) Confirm(id);
  Run();
  ASSERT_EQ(answers_.size(), 2u);
  EXPECT_EQ(answers_[0]->reservation.reservation_id, IdOf(1));
  EXPECT_EQ(answers_[1]->reservation.reservation_id, IdOf(3));
  clock_.AdvanceBy(absl::Seconds(1));
  Run();
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"confirm 1 2 3", "confirm 2"}));
  ASSERT_EQ(answers_.size(), 3u);
  ASSERT_TRUE(answers_[2].ok()) << answers_[2].status();
  EXPECT_EQ(answers_[2]->outcome, ChangeOutcome::kReplayed);
  EXPECT_EQ(pipeline_.Stats().unanswered, 0);
}

// Nobody is told that nothing happened: not when a later try finds it locked, nor at the end of the process.
TEST_F(ChangePipelineTest, WhatStaysInDoubtIsAnsweredAsUnknown) {
  ledger_.SayOf(1, {ChangeOutcome::kInDoubt, ChangeOutcome::kBusy});
  ledger_.SayOf(2, {ChangeOutcome::kInDoubt});
  const absl::Time soon = clock_.Now() + absl::Milliseconds(1200);
  pipeline_.Submit(storage::Payment{IdOf(1), "pay", 1, "EUR"}, soon, Note());
  pipeline_.Submit(storage::Payment{IdOf(3), "pay", 1, "EUR"}, soon, Note());
  Run();
  clock_.AdvanceBy(absl::Seconds(1));
  Run();
  EXPECT_EQ(answers_.size(), 1u) << "that of the other";
  clock_.AdvanceBy(absl::Seconds(1));
  Run();
  EXPECT_EQ(ledger_.batches(), (std::vector<std::string>{"confirm 1 3", "confirm 1"}));
  ASSERT_EQ(answers_.size(), 2u);
  EXPECT_TRUE(IsUnknownCommit(answers_[1].status())) << answers_[1].status();

  Confirm(2);
  Run();
  pipeline_.Stop();
  ASSERT_EQ(answers_.size(), 3u);
  EXPECT_TRUE(IsUnknownCommit(answers_[2].status())) << answers_[2].status();
}

// Holds its first batch until it is released: a stall.
class StallingLedger : public NotingLedger {
 public:
  Results ExtendReservations(LockMode mode, absl::Span<const Extension> batch) override {
    if (!stalled_.HasBeenNotified()) {
      stalled_.Notify();
      release_.WaitForNotification();
    }
    return NotingLedger::ExtendReservations(mode, batch);
  }
  void AwaitStall() { stalled_.WaitForNotification(); }
  void Release() { release_.Notify(); }

 private:
  absl::Notification stalled_, release_;
};

// A sleeping lane is woken by the next change, whatever happened to earlier ones.
TEST(ChangePipelineThreadsTest, AfterAStallEveryKindIsAnsweredAtOnce) {
  StallingLedger ledger;
  absl::Mutex mutex;
  size_t answers = 0;
  const auto count = [&](const absl::StatusOr<ChangeResult>&) {
    absl::MutexLock lock(&mutex);
    ++answers;
  };
  const auto answered = [&](size_t wanted) {
    absl::MutexLock lock(&mutex);
    const auto enough = [&] { return answers >= wanted; };
    return mutex.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(5));
  };
  PipelineOptions options;
  options.lanes = 1;
  ChangePipeline pipeline(&ledger, Clock::Real(), options);
  pipeline.Submit(storage::Extension{IdOf(1), 1, absl::Seconds(1)}, kNoHurry, count);
  ledger.AwaitStall();
  for (const uint8_t id : {2, 3}) {
    pipeline.Submit(storage::Payment{IdOf(id), "pay", 1, "EUR"}, absl::InfinitePast(), count);
    pipeline.Submit(storage::Cancellation{IdOf(id), "why"}, absl::InfinitePast(), count);
  }
  ledger.Release();
  ASSERT_TRUE(answered(5)) << "the one that was sent, and those that were too late";
  for (size_t round = 0; round < 3; ++round) {
    pipeline.Submit(storage::Payment{IdOf(4), "pay", 1, "EUR"}, kNoHurry, count);
    ASSERT_TRUE(answered(6 + 3 * round)) << "a confirmation wakes nobody, round " << round;
    pipeline.Submit(storage::Cancellation{IdOf(5), "why"}, kNoHurry, count);
    ASSERT_TRUE(answered(7 + 3 * round)) << "a cancellation wakes nobody, round " << round;
    pipeline.Submit(storage::Extension{IdOf(6), 1, absl::Seconds(1)}, kNoHurry, count);
    ASSERT_TRUE(answered(8 + 3 * round)) << "an extension wakes nobody, round " << round;
  }
  EXPECT_TRUE(pipeline.Drain(absl::Seconds(5)));
  EXPECT_EQ(pipeline.Stats().queued, 0);
}

// With threads and the ledger's own rules: one payment and one cancellation for each, and one of them wins.
TEST(ChangePipelineThreadsTest, EveryChangeIsAnsweredOnce) {
  constexpr int kHolds = 200;
  FakeLedger ledger(Clock::Real());
  Sku sku;
  sku.sku_id = "tv";
  sku.price_minor = 5;
  sku.currency = "EUR";
  sku.stock = kHolds;
  ASSERT_TRUE(ledger.CreateSku(sku, "test").ok());
  const IncarnationId node = *ledger.RegisterIncarnation("node", "host:1");
  ASSERT_TRUE(ledger.MoveUnits("tv", {{node, kHolds}}, std::nullopt, "test").ok());
  std::vector<ReservationClaim> claims;
  for (int i = 0; i < kHolds; ++i) claims.push_back({IdOf(static_cast<uint8_t>(i)), "tv", std::to_string(i), 1});
  ASSERT_TRUE(ledger.CommitReservations(node, LockMode::kWait, claims).ok());

  absl::Mutex mutex;
  int done = 0, forbidden = 0;
  const auto count = [&](absl::StatusOr<ChangeResult> result) {
    absl::MutexLock lock(&mutex);
    ASSERT_TRUE(result.ok()) << result.status();
    ++(result->outcome == ChangeOutcome::kDone ? done : forbidden);
  };
  PipelineOptions options;
  options.lanes = 3;
  options.max_batch = 16;
  ChangePipeline pipeline(&ledger, Clock::Real(), options);
  for (const ReservationClaim& claim : claims) {
    pipeline.Submit(storage::Payment{claim.reservation_id, "pay", 5, "EUR"}, kNoHurry, count);
    pipeline.Submit(storage::Cancellation{claim.reservation_id, "why"}, kNoHurry, count);
  }
  EXPECT_TRUE(pipeline.Drain(absl::Seconds(30)));
  EXPECT_EQ(done, kHolds);
  EXPECT_EQ(forbidden, kHolds);
  EXPECT_TRUE(ledger.Verify("")->violations.empty());
}

}  // namespace
}  // namespace tranche::storage
