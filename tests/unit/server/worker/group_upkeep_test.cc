// Who ends groups and who deletes old ones, on a ledger with scripted answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "server/worker/group_expirer.h"
#include "server/worker/group_retirer.h"
#include "tests/support/scripted_groups.h"

namespace tranche::server {
namespace {

using storage::ExpiredGroups;

double NoJitter() { return 0.5; }

// From when on a lock is told of, with nothing done meanwhile.
constexpr absl::Duration kLateForLong = absl::Seconds(5);

class GroupExpirerTest : public ::testing::Test {
 protected:
  // What the expirer waits after this answer.
  absl::Duration After(absl::StatusOr<ExpiredGroups> answer) {
    ledger_.expired.push_back(std::move(answer));
    return expirer_.Step();
  }

  bool paused_ = false;
  storage::FakeClock clock_;
  tranche::testing::ScriptedGroups ledger_{&clock_};
  GroupExpirer expirer_{
      &ledger_,
      &clock_,
      NoJitter,
      {.batch = 1000, .holds_per_s = 10000, .poll = absl::Milliseconds(200), .paused = [this] { return paused_; }}};
};

TEST_F(GroupExpirerTest, SleepsUntilTheNextDeadlineButNotLongerThanThePoll) {
  EXPECT_EQ(After(ExpiredGroups{.until_next = absl::Milliseconds(70)}), absl::Milliseconds(70));
  EXPECT_EQ(After(ExpiredGroups{.until_next = absl::Hours(1)}), absl::Milliseconds(200));
  EXPECT_EQ(After(ExpiredGroups{}), absl::Milliseconds(200)) << "no group forms";
  EXPECT_EQ(After(ExpiredGroups{.until_next = -absl::Seconds(1)}), absl::Milliseconds(1)) << "never a busy loop";
  EXPECT_THAT(ledger_.limits, ::testing::Each(1000));
}

TEST_F(GroupExpirerTest, MoreThanABatchGoesOnAtTheBoundedRate) {
  const ExpiredGroups more{.failed = 300, .ended = 1000, .more = true};
  EXPECT_EQ(After(more), absl::Milliseconds(100));
  ledger_.takes = absl::Milliseconds(30);
  EXPECT_EQ(After(more), absl::Milliseconds(70));
  ledger_.takes = absl::Milliseconds(300);
  EXPECT_EQ(After(more), absl::ZeroDuration());
  ledger_.takes = absl::ZeroDuration();
  EXPECT_EQ(After(ExpiredGroups{.ended = 1050, .more = true}), absl::Milliseconds(105)) << "one group beyond it";
}

// Of these it is not known how many, but that a batch is not larger by more than one group.
TEST_F(GroupExpirerTest, HoldsThatAreConfirmedCountAsThoseThatEnd) {
  EXPECT_EQ(After(ExpiredGroups{.filled = 1, .more = true}), absl::Milliseconds(100));
  EXPECT_EQ(After(ExpiredGroups{.filled = 500, .more = true}), absl::Milliseconds(110));
  EXPECT_EQ(After(ExpiredGroups{.filled = 1, .ended = 950, .more = true}), absl::Milliseconds(105));
  EXPECT_EQ(After(ExpiredGroups{.filled = 3, .ended = 1080, .more = true}), absl::Milliseconds(110));
}

TEST_F(GroupExpirerTest, WhatOthersHaveIsNotAskedForAtFullSpeed) {
  EXPECT_EQ(After(ExpiredGroups{.more = true, .until_next = absl::ZeroDuration()}), absl::Milliseconds(50));
}

// In such groups nobody was any more, or all holds had lapsed before.
TEST_F(GroupExpirerTest, GroupsThatAreSettledWithoutAHoldAreWorkThatWasDone) {
  EXPECT_EQ(After(ExpiredGroups{.settled = 1, .more = true}), absl::Milliseconds(100)) << "not as what others have";
  for (int second = 0; second < 70; ++second) {
    After(ExpiredGroups{.settled = 1, .more = true});
    clock_.AdvanceBy(absl::Seconds(1));
  }
  EXPECT_EQ(expirer_.told_late(), 0) << "nothing is locked";
}

TEST_F(GroupExpirerTest, WhileHoldsDoNotExpireGroupsDoNotEnd) {
  paused_ = true;
  EXPECT_EQ(expirer_.Step(), absl::Milliseconds(200));
  EXPECT_THAT(ledger_.limits, ::testing::IsEmpty());
  paused_ = false;
  After(ExpiredGroups{});
  EXPECT_THAT(ledger_.limits, ::testing::SizeIs(1));
}

TEST_F(GroupExpirerTest, AnOutageIsWaitedForLongerEachTimeAndForgottenAfterwards) {
  EXPECT_EQ(After(absl::UnavailableError("gone")), absl::Milliseconds(100));
  EXPECT_EQ(After(absl::UnavailableError("gone")), absl::Milliseconds(200));
  for (int i = 0; i < 20; ++i) EXPECT_LE(After(absl::UnavailableError("gone")), absl::Seconds(2));
  EXPECT_EQ(After(ExpiredGroups{.until_next = absl::Milliseconds(70)}), absl::Milliseconds(70));
  EXPECT_EQ(After(absl::UnavailableError("gone")), absl::Milliseconds(100));
}

TEST_F(GroupExpirerTest, CountsGroupsAndHolds) {
  After(ExpiredGroups{.filled = 1, .failed = 2, .ended = 7, .more = true});
  After(ExpiredGroups{.failed = 3, .ended = 5});
  After(absl::UnavailableError("gone"));
  EXPECT_EQ(expirer_.counts().filled.value(), 1);
  EXPECT_EQ(expirer_.counts().failed.value(), 5);
  EXPECT_EQ(expirer_.counts().holds_ended.value(), 12);
}

TEST_F(GroupExpirerTest, KnowsTheFirstDeadlineOfTheGroupsThatForm) {
  EXPECT_EQ(expirer_.counts().due_at.Get(), absl::InfinitePast()) << "nothing is known";
  After(ExpiredGroups{.until_next = absl::Seconds(3)});
  const absl::Time deadline = clock_.Now() + absl::Seconds(3);
  EXPECT_EQ(expirer_.counts().due_at.Get(), deadline);
  clock_.AdvanceBy(absl::Seconds(5));
  After(absl::UnavailableError("gone"));
  EXPECT_EQ(expirer_.counts().due_at.Get(), deadline) << "nobody has ended it, as far as is known";
  After(ExpiredGroups{.failed = 1, .more = true, .until_next = -absl::Seconds(1)});
  EXPECT_EQ(expirer_.counts().due_at.Get(), clock_.Now() - absl::Seconds(1)) << "another one is due";
  After(ExpiredGroups{.until_next = absl::Milliseconds(20)});
  EXPECT_EQ(expirer_.counts().due_at.Get(), clock_.Now() + absl::Milliseconds(20));
}

// Groups that are filled all the time leave something to settle at every look.
TEST_F(GroupExpirerTest, WhatIsOnlyToBeSettledIsNotPastItsDeadline) {
  for (int second = 0; second < 100; ++second) {
    After(ExpiredGroups{.ended = 3, .settled = 1, .more = true, .until_next = absl::Hours(1)});
    EXPECT_EQ(expirer_.counts().due_at.Get(), clock_.Now() + absl::Hours(1));
    clock_.AdvanceBy(absl::Seconds(1));
  }
  const ExpiredGroups locked{.more = true, .until_next = absl::Hours(1)};
  After(locked);
  clock_.AdvanceBy(kLateForLong - absl::Seconds(1) - absl::Milliseconds(1));
  After(locked);
  EXPECT_EQ(expirer_.told_late(), 0) << "a moment ago it went on";
  clock_.AdvanceBy(absl::Milliseconds(1));
  After(locked);
  EXPECT_EQ(expirer_.told_late(), 1) << "now it is locked, and units wait";
}

TEST_F(GroupExpirerTest, WhileSomethingIsDoneNobodyIsToldThatGroupsAreLate) {
  const ExpiredGroups locked{.more = true, .until_next = absl::ZeroDuration()};
  for (const ExpiredGroups& done :
       {ExpiredGroups{.filled = 1, .more = true}, ExpiredGroups{.failed = 1, .more = true},
        ExpiredGroups{.ended = 1, .more = true}, ExpiredGroups{.settled = 1, .more = true}}) {
    for (int i = 0; i < 10; ++i) {
      clock_.AdvanceBy(kLateForLong - absl::Milliseconds(1));
      After(locked);
      After(done);
    }
  }
  EXPECT_EQ(expirer_.told_late(), 0);
  clock_.AdvanceBy(kLateForLong);
  After(locked);
  EXPECT_EQ(expirer_.told_late(), 1);
}

TEST_F(GroupExpirerTest, GroupsThatStayLateAreToldOfOnceAMinute) {
  const ExpiredGroups locked{.more = true, .until_next = absl::ZeroDuration()};
  for (int i = 0; i < 49; ++i) {
    After(locked);
    clock_.AdvanceBy(absl::Milliseconds(100));
  }
  EXPECT_EQ(expirer_.told_late(), 0) << "that may be other workers";
  for (int second = 0; second < 70; ++second) {
    After(locked);
    clock_.AdvanceBy(absl::Seconds(1));
  }
  EXPECT_EQ(expirer_.told_late(), 2);
  After(ExpiredGroups{});
  After(locked);
  EXPECT_EQ(expirer_.told_late(), 2) << "they are new";
}

TEST(GroupRetirerTest, DeletesBatchesWithPausesUntilThereIsNoMore) {
  storage::FakeClock clock;
  tranche::testing::ScriptedGroups ledger(&clock);
  GroupRetirer retirer(
      &ledger, &clock, NoJitter,
      {.age = absl::Hours(48), .batch = 150, .pause = absl::Milliseconds(300), .interval = absl::Minutes(2)});
  ledger.retired = {150, absl::UnavailableError("gone"), 150, 149};
  EXPECT_EQ(retirer.Step(), absl::Milliseconds(300));
  EXPECT_EQ(retirer.Step(), absl::Seconds(30)) << "half of the first pause: nothing is in a hurry";
  EXPECT_EQ(retirer.Step(), absl::Milliseconds(300));
  EXPECT_EQ(retirer.Step(), absl::Minutes(2));
  EXPECT_EQ(retirer.deleted(), 150 + 150 + 149);
  EXPECT_THAT(ledger.ages, ::testing::Each(absl::Hours(48)));
  EXPECT_THAT(ledger.limits, ::testing::Each(150));
}

TEST(GroupRetirerTest, ABatchHasAFewHundredGroupsWhateverIsAskedFor) {
  storage::FakeClock clock;
  tranche::testing::ScriptedGroups ledger(&clock);
  GroupRetirer retirer(
      &ledger, &clock, NoJitter,
      {.age = absl::Hours(48), .batch = 10000, .pause = absl::Milliseconds(300), .interval = absl::Minutes(2)});
  ledger.retired = {200, 199};
  EXPECT_EQ(retirer.Step(), absl::Milliseconds(300)) << "there may be more";
  EXPECT_EQ(retirer.Step(), absl::Minutes(2));
  EXPECT_THAT(ledger.limits, ::testing::Each(200));
}

}  // namespace
}  // namespace tranche::server
