// The expirer and the retirer, on a ledger with scripted answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "server/worker/audit_retirer.h"
#include "server/worker/expirer.h"
#include "server/worker/expiry_pause.h"
#include "server/worker/reminder.h"
#include "server/worker/retirer.h"
#include "storage/fake/fake_front_ledger.h"

namespace tranche::server {
namespace {

using storage::ExpiredHolds;
using storage::RemindedHolds;

class ScriptedUpkeep : public storage::UpkeepLedger {
 public:
  explicit ScriptedUpkeep(storage::FakeClock* clock) : clock_(clock) {}

  absl::StatusOr<ExpiredHolds> ExpireDue(int limit) override {
    limits.push_back(limit);
    clock_->AdvanceBy(takes);
    auto answer = expired.front();
    expired.pop_front();
    return answer;
  }
  absl::StatusOr<RemindedHolds> RemindHolds(absl::Duration within, int limit) override {
    ages.push_back(within);
    limits.push_back(limit);
    clock_->AdvanceBy(takes);
    auto answer = reminded.front();
    reminded.pop_front();
    return answer;
  }
  absl::StatusOr<int64_t> RetireReservations(absl::Duration age, int limit, storage::Retired retired) override {
    ages.push_back(age);
    kinds.push_back(retired);
    auto answer = taken.front();
    taken.pop_front();
    return answer;
  }
  absl::StatusOr<int64_t> RetireAudit(absl::Duration age, int limit, absl::Time now) override {
    EXPECT_EQ(now, clock_->Now()) << "the worker's own";
    ages.push_back(age);
    limits.push_back(limit);
    auto answer = taken.front();
    taken.pop_front();
    return answer;
  }

  absl::Duration takes;  // each call
  std::deque<absl::StatusOr<ExpiredHolds>> expired;
  std::deque<absl::StatusOr<RemindedHolds>> reminded;
  std::deque<absl::StatusOr<int64_t>> taken;
  std::vector<int> limits;
  std::vector<absl::Duration> ages;
  std::vector<storage::Retired> kinds;

 private:
  storage::FakeClock* const clock_;
};

// So many, and there are more.
ExpiredHolds MoreAfter(int64_t expired) {
  ExpiredHolds holds;
  holds.expired = expired;
  holds.more = true;
  return holds;
}

double NoJitter() { return 0.5; }

class UpkeepTest : public ::testing::Test {
 protected:
  // What the expirer waits after this answer.
  absl::Duration After(absl::StatusOr<ExpiredHolds> answer) {
    ledger_.expired.push_back(std::move(answer));
    return expirer_.Step();
  }

  storage::FakeClock clock_;
  ScriptedUpkeep ledger_{&clock_};
  Expirer expirer_{&ledger_, &clock_, NoJitter, {.batch = 1000, .holds_per_s = 10000, .poll = absl::Milliseconds(200)}};
};

TEST_F(UpkeepTest, TheExpirerSleepsUntilTheNextHoldLapsesButNotLongerThanThePoll) {
  EXPECT_EQ(After(ExpiredHolds{.until_next = absl::Milliseconds(70)}), absl::Milliseconds(70));
  EXPECT_EQ(After(ExpiredHolds{.until_next = absl::Hours(1)}), absl::Milliseconds(200));
  EXPECT_EQ(After(ExpiredHolds{.until_next = absl::InfiniteDuration()}), absl::Milliseconds(200));
  EXPECT_EQ(After(ExpiredHolds{.until_next = -absl::Seconds(1)}), absl::Milliseconds(1)) << "never a busy loop";
  EXPECT_THAT(ledger_.limits, ::testing::Each(1000));
}

TEST_F(UpkeepTest, TheExpirerKnowsWhenItLastSucceeded) {
  EXPECT_FALSE(expirer_.succeeded_at().has_value());
  After(absl::UnavailableError("down"));
  EXPECT_FALSE(expirer_.succeeded_at().has_value());
  After(ExpiredHolds{.until_next = absl::InfiniteDuration()});
  const absl::Time succeeded_at = clock_.Now();
  clock_.AdvanceBy(absl::Seconds(5));
  After(absl::UnavailableError("down"));
  EXPECT_EQ(expirer_.succeeded_at(), succeeded_at);
}

TEST_F(UpkeepTest, WhileItIsPausedTheExpirerAsksNothingAndIsWell) {
  bool paused = true;
  ExpirerOptions options;
  options.poll = absl::Milliseconds(150);
  options.paused = [&paused] { return paused; };
  Expirer expirer(&ledger_, &clock_, NoJitter, options);
  EXPECT_EQ(expirer.Step(), absl::Milliseconds(150));
  EXPECT_THAT(ledger_.limits, ::testing::IsEmpty());
  EXPECT_EQ(expirer.succeeded_at(), clock_.Now()) << "nobody is to be woken";
  paused = false;
  ledger_.expired.push_back(ExpiredHolds{.until_next = absl::InfiniteDuration()});
  expirer.Step();
  EXPECT_THAT(ledger_.limits, ::testing::SizeIs(1));
}

class ReminderTest : public ::testing::Test {
 protected:
  // What the reminder waits after this answer.
  absl::Duration After(absl::StatusOr<RemindedHolds> answer) {
    ledger_.reminded.push_back(std::move(answer));
    return reminder_.Step();
  }

  bool paused_ = false;
  storage::FakeClock clock_;
  ScriptedUpkeep ledger_{&clock_};
  Reminder reminder_{
      &ledger_, &clock_, NoJitter, {.within = absl::Minutes(2), .batch = 100, .holds_per_s = 1000, .paused = [this] {
                                      return paused_;
                                    }}};
};

TEST_F(ReminderTest, TellsOfHoldsThatLapseSoonAtABoundedRate) {
  EXPECT_EQ(After(RemindedHolds{.reminded = 3, .more = false}), absl::Seconds(1)) << "the poll";
  EXPECT_EQ(After(RemindedHolds{.reminded = 100, .more = true}), absl::Milliseconds(100));
  EXPECT_EQ(After(RemindedHolds{.reminded = 0, .more = true}), absl::Milliseconds(100)) << "it went through as many";
  ledger_.takes = absl::Milliseconds(70);
  EXPECT_EQ(After(RemindedHolds{.reminded = 100, .more = true}), absl::Milliseconds(30));
  EXPECT_THAT(ledger_.ages, ::testing::Each(absl::Minutes(2)));
  EXPECT_THAT(ledger_.limits, ::testing::Each(100));
}

TEST_F(ReminderTest, WaitsForALedgerThatDoesNotAnswer) {
  EXPECT_GT(After(absl::UnavailableError("down")), absl::ZeroDuration());
  EXPECT_EQ(After(RemindedHolds{}), absl::Seconds(1));
}

TEST_F(ReminderTest, WhileNothingExpiresNobodyIsTold) {
  paused_ = true;
  EXPECT_EQ(reminder_.Step(), absl::Seconds(1));
  EXPECT_THAT(ledger_.limits, ::testing::IsEmpty());
}

class ExpiryPauseTest : public ::testing::Test {
 protected:
  void SetMode(storage::ServiceMode::Kind kind) {
    ASSERT_TRUE(home_.SetServiceMode({.kind = kind}, /*preview=*/false, "test").ok());
  }
  bool PausedNow() {
    clock_.AdvanceBy(ExpiryPause::kLookEvery);
    pause_.LookIfDue();
    return pause_.paused();
  }

  storage::FakeClock clock_;
  storage::FakeFrontLedger home_{&clock_};
  ExpiryPause pause_{&home_, &clock_};
};

TEST_F(ExpiryPauseTest, HoldsExpireUnlessNobodyCanPay) {
  EXPECT_TRUE(pause_.paused()) << "before anything is known";
  EXPECT_FALSE(PausedNow()) << "the mode was never set";
  SetMode(storage::ServiceMode::Kind::kChangesOnly);
  EXPECT_FALSE(PausedNow());
  SetMode(storage::ServiceMode::Kind::kReadOnly);
  EXPECT_TRUE(PausedNow());
}

TEST_F(ExpiryPauseTest, AfterItBuyersHaveAMomentToPay) {
  SetMode(storage::ServiceMode::Kind::kReadOnly);
  ASSERT_TRUE(PausedNow());
  SetMode(storage::ServiceMode::Kind::kChangesOnly);
  EXPECT_TRUE(PausedNow());
  clock_.AdvanceBy(ExpiryPause::kGrace - absl::Seconds(2));
  EXPECT_TRUE(PausedNow());
  EXPECT_FALSE(PausedNow());
}

TEST_F(ExpiryPauseTest, WhileHomeIsAwayWhatWasKnownHolds) {
  ASSERT_FALSE(PausedNow());
  home_.FailNext(1);
  EXPECT_FALSE(PausedNow());
  SetMode(storage::ServiceMode::Kind::kReadOnly);
  ASSERT_TRUE(PausedNow());
  home_.FailNext(1000);
  clock_.AdvanceBy(absl::Hours(1));
  EXPECT_TRUE(PausedNow());
}

TEST_F(ExpiryPauseTest, UntilHomeAnswersNothingExpiresForAWhile) {
  home_.FailNext(1000);
  ASSERT_TRUE(PausedNow());
  clock_.AdvanceBy(ExpiryPause::kFirstAnswer - absl::Seconds(2));
  EXPECT_TRUE(PausedNow());
  EXPECT_FALSE(PausedNow()) << "home may be away for hours";
}

TEST_F(ExpiryPauseTest, AWorkerThatBeginsAfterItGivesBuyersTheirMoment) {
  SetMode(storage::ServiceMode::Kind::kReadOnly);
  clock_.AdvanceBy(absl::Hours(1));
  for (const auto kind : {storage::ServiceMode::Kind::kChangesOnly, storage::ServiceMode::Kind::kNormal}) {
    SetMode(kind);
    clock_.AdvanceBy(absl::Seconds(10));
    ExpiryPause begun(&home_, &clock_);
    begun.LookIfDue();
    EXPECT_TRUE(begun.paused());
    clock_.AdvanceBy(ExpiryPause::kGrace - absl::Seconds(11));
    EXPECT_TRUE(begun.paused());
    clock_.AdvanceBy(absl::Seconds(1));
    EXPECT_FALSE(begun.paused());
    ExpiryPause late(&home_, &clock_);
    late.LookIfDue();
    EXPECT_FALSE(late.paused()) << "it was set long ago";
  }
}

TEST_F(ExpiryPauseTest, WhatWasMissedWhileHomeWasAwayMayHaveBeenReadOnly) {
  ASSERT_FALSE(PausedNow());
  SetMode(storage::ServiceMode::Kind::kReadOnly);
  SetMode(storage::ServiceMode::Kind::kNormal);
  home_.FailNext(1);
  ASSERT_FALSE(PausedNow());
  clock_.AdvanceBy(absl::Seconds(10));
  EXPECT_TRUE(PausedNow());
}

TEST_F(ExpiryPauseTest, HomeIsAskedOnceASecond) {
  for (int i = 0; i < 10; ++i) pause_.LookIfDue();
  EXPECT_EQ(home_.calls(), 1);
  clock_.AdvanceBy(ExpiryPause::kLookEvery);
  for (int i = 0; i < 10; ++i) pause_.LookIfDue();
  EXPECT_EQ(home_.calls(), 2);
}

TEST_F(UpkeepTest, MoreThanABatchGoesOnAtTheBoundedRate) {
  EXPECT_EQ(After(MoreAfter(1000)), absl::Milliseconds(100));
  ledger_.takes = absl::Milliseconds(30);
  EXPECT_EQ(After(MoreAfter(1000)), absl::Milliseconds(70));
  ledger_.takes = absl::Milliseconds(300);
  EXPECT_EQ(After(MoreAfter(1000)), absl::ZeroDuration());
}

TEST_F(UpkeepTest, WhatOthersExpireIsNotAskedForAtFullSpeed) { EXPECT_EQ(After(MoreAfter(0)), absl::Milliseconds(10)); }

TEST_F(UpkeepTest, ALockedSkuIsTriedAgainSoonAndToldOfOnceAMinuteIfItLasts) {
  ExpiredHolds locked{.until_next = absl::Hours(1), .locked = "tv"};
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(After(locked), absl::Milliseconds(50));
    clock_.AdvanceBy(absl::Milliseconds(100));
  }
  EXPECT_EQ(expirer_.told_locked(), 0) << "other workers and sales have it, too, again and again";
  locked.waited_in_vain = true;
  for (int i = 0; i < 49; ++i) {
    EXPECT_EQ(After(locked), absl::Milliseconds(50));
    clock_.AdvanceBy(absl::Milliseconds(100));
  }
  EXPECT_EQ(expirer_.told_locked(), 0) << "that may be other workers";
  for (int second = 0; second < 70; ++second) {
    After(locked);
    clock_.AdvanceBy(absl::Seconds(1));
  }
  EXPECT_EQ(expirer_.told_locked(), 2);
  clock_.AdvanceBy(absl::Minutes(5));
  After(locked);
  EXPECT_EQ(expirer_.told_locked(), 2) << "it was free meanwhile";
}

TEST_F(UpkeepTest, TheExpirerCountsHoldsAndRounds) {
  const auto rounds = [&](ExpiryOutcome outcome) {
    return expirer_.counts().rounds[static_cast<size_t>(outcome)].value();
  };
  EXPECT_EQ(expirer_.counts().succeeded_at.Get(), absl::InfinitePast());
  After(MoreAfter(1000));
  After(ExpiredHolds{.expired = 7, .until_next = absl::Hours(1), .locked = "tv", .waited_in_vain = true});
  EXPECT_EQ(expirer_.counts().succeeded_at.Get(), clock_.Now());
  const absl::Time succeeded_at = clock_.Now();
  clock_.AdvanceBy(absl::Seconds(1));
  After(absl::UnavailableError("gone"));
  EXPECT_EQ(expirer_.counts().succeeded_at.Get(), succeeded_at);
  EXPECT_EQ(expirer_.counts().expired.value(), 1007);
  EXPECT_EQ(rounds(ExpiryOutcome::kDone), 1);
  EXPECT_EQ(rounds(ExpiryOutcome::kLocked), 1);
  EXPECT_EQ(rounds(ExpiryOutcome::kFailed), 1);
}

TEST_F(UpkeepTest, AnOutageIsWaitedForLongerEachTimeAndForgottenAfterwards) {
  EXPECT_EQ(After(absl::UnavailableError("gone")), absl::Milliseconds(100));
  EXPECT_EQ(After(absl::UnavailableError("gone")), absl::Milliseconds(200));
  for (int i = 0; i < 20; ++i) EXPECT_LE(After(absl::UnavailableError("gone")), absl::Seconds(2));
  EXPECT_EQ(After(ExpiredHolds{.until_next = absl::Milliseconds(70)}), absl::Milliseconds(70));
  EXPECT_EQ(After(absl::UnavailableError("gone")), absl::Milliseconds(100));
}

TEST_F(UpkeepTest, AnOutageIsToldAgainEachMinuteAndWhenItChanges) {
  LedgerTrouble trouble("trying", &clock_, NoJitter);
  for (int second = 0; second < 150; ++second) {
    trouble.Failed(absl::UnavailableError("gone"));
    clock_.AdvanceBy(absl::Seconds(1));
  }
  EXPECT_EQ(trouble.told(), 3) << "at once, and after each minute";
  trouble.Failed(absl::PermissionDeniedError("no GRANT"));
  trouble.Failed(absl::PermissionDeniedError("no GRANT"));
  EXPECT_EQ(trouble.told(), 4);
  trouble.Answered();
  trouble.Failed(absl::PermissionDeniedError("no GRANT"));
  EXPECT_EQ(trouble.told(), 5);
}

TEST_F(UpkeepTest, TheAuditLogIsRetiredInBatches) {
  AuditRetirer retirer(
      &ledger_, &clock_, NoJitter,
      {.age = absl::Hours(48), .batch = 500, .pause = absl::Milliseconds(300), .interval = absl::Minutes(2)});
  ledger_.taken = {500, absl::UnavailableError("gone"), 499};
  EXPECT_EQ(retirer.Step(), absl::Milliseconds(300));
  EXPECT_EQ(retirer.Step(), absl::Seconds(30));
  EXPECT_EQ(retirer.Step(), absl::Minutes(2));
  EXPECT_EQ(ledger_.ages.back(), absl::Hours(48));
  EXPECT_EQ(ledger_.limits.back(), 500);
}

TEST_F(UpkeepTest, TheRetirerTakesBatchesWithPausesUntilThereIsNoMore) {
  Retirer retirer(&ledger_, &clock_, NoJitter,
                  {.age = absl::Hours(48),
                   .retired = storage::Retired::kDrop,
                   .batch = 500,
                   .pause = absl::Milliseconds(300),
                   .interval = absl::Minutes(2)});
  ledger_.taken = {500, absl::UnavailableError("gone"), 500, 499};
  EXPECT_EQ(retirer.Step(), absl::Milliseconds(300));
  EXPECT_EQ(retirer.Step(), absl::Seconds(30)) << "half of the first pause: nothing is in a hurry";
  EXPECT_EQ(retirer.Step(), absl::Milliseconds(300));
  EXPECT_EQ(retirer.Step(), absl::Minutes(2));
  EXPECT_EQ(retirer.taken(), 500 + 500 + 499);
  EXPECT_THAT(ledger_.ages, ::testing::Each(absl::Hours(48)));
  EXPECT_THAT(ledger_.kinds, ::testing::Each(storage::Retired::kDrop));
}

}  // namespace
}  // namespace tranche::server
