#include "storage/ledger/ledger_error.h"

#include <gtest/gtest.h>

namespace tranche::storage {
namespace {

TEST(LedgerError, UnknownCommitIsUnavailableAndMarked) {
  const absl::Status status = UnknownCommitError("connection lost");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "connection lost");
  EXPECT_TRUE(IsUnknownCommit(status));
  EXPECT_FALSE(IsRetryTransaction(status));
}

TEST(LedgerError, RetryTransactionIsAbortedAndMarked) {
  const absl::Status status = RetryTransactionError("deadlock");
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(IsRetryTransaction(status));
  EXPECT_FALSE(IsUnknownCommit(status));
}

TEST(LedgerError, BusyIsUnavailableOfALedgerThatIsUp) {
  const absl::Status status = BusyError("a lock");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(LedgerIsUp(status));
  EXPECT_FALSE(IsUnknownCommit(status));
}

TEST(LedgerError, WithoutAConnectionTheLedgerIsBusy) {
  EXPECT_TRUE(IsNoConnection(NoConnectionError("none is left")));
  EXPECT_TRUE(LedgerIsUp(NoConnectionError("none is left")));
  EXPECT_FALSE(IsNoConnection(BusyError("a lock")));
}

TEST(LedgerError, UnsettledIsAnUnknownCommitOfALedgerThatIsUp) {
  EXPECT_TRUE(IsUnknownCommit(UnsettledCommitError("no standby")));
  EXPECT_TRUE(LedgerIsUp(UnsettledCommitError("no standby")));
}

TEST(LedgerError, RefusalsOfTheFrontDoorKeepTheirNumbers) {
  const absl::Status shrinks = LotteryShrinksError(250'000);
  EXPECT_EQ(shrinks.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(LotteryShrinksTo(shrinks), 250'000);
  EXPECT_FALSE(KeyRotatedRecently(shrinks).has_value());
  const absl::Status recent = KeyRotatedRecentlyError(absl::Milliseconds(1500));
  EXPECT_EQ(recent.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(KeyRotatedRecently(recent), absl::Milliseconds(1500));
  EXPECT_FALSE(LotteryShrinksTo(recent).has_value());
  EXPECT_FALSE(LotteryShrinksTo(absl::FailedPreconditionError("something else")).has_value());
}

TEST(LedgerError, RefusalsOfDrawsAreToldApart) {
  const absl::Status none = NoDrawError();
  const absl::Status no_entry = NoDrawEntryError();
  const absl::Status state = DrawStateError({.number = 7, .state = "OPEN"}, "one is open");
  const absl::Status seed = SeedMismatchError();
  for (const absl::Status& status : {none, no_entry, state, seed}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_EQ(IsNoDraw(status), status == none);
    EXPECT_EQ(IsNoDrawEntry(status), status == no_entry);
    EXPECT_EQ(DrawStateConflictOf(status).has_value(), status == state);
    EXPECT_EQ(IsSeedMismatch(status), status == seed);
  }
  EXPECT_EQ(DrawStateConflictOf(state)->number, 7);
  EXPECT_EQ(DrawStateConflictOf(state)->state, "OPEN");
  const auto about_none = DrawStateConflictOf(DrawStateError({}, "the SKU is on its way"));
  ASSERT_TRUE(about_none.has_value());
  EXPECT_EQ(about_none->number, 0);
  EXPECT_EQ(about_none->state, "");
  EXPECT_FALSE(DrawStateConflictOf(absl::FailedPreconditionError("something else")).has_value());
}

TEST(LedgerError, TheCodeAloneMarksNothing) {
  EXPECT_FALSE(IsUnknownCommit(absl::UnavailableError("down")));
  EXPECT_FALSE(LedgerIsUp(absl::UnavailableError("down")));
  EXPECT_FALSE(LedgerIsUp(UnknownCommitError("lost")));
  EXPECT_FALSE(IsRetryTransaction(absl::AbortedError("another version")));
  EXPECT_FALSE(IsUnknownCommit(absl::OkStatus()));
  EXPECT_FALSE(IsRetryTransaction(absl::OkStatus()));
}

TEST(LedgerError, ALedgerIsAwayThatWasNotReachedOrWhoseAnswerWasLost) {
  EXPECT_TRUE(LedgerIsAway(NotReachedError("no route")));
  EXPECT_TRUE(LedgerIsAway(UnknownCommitError("connection lost")));
  EXPECT_FALSE(LedgerIsAway(UnsettledCommitError("no standby")));
  EXPECT_FALSE(LedgerIsAway(NoConnectionError("others have them")));
  EXPECT_FALSE(LedgerIsAway(BusyError("locked")));
  EXPECT_FALSE(LedgerIsAway(absl::UnavailableError("ZooKeeper")));
  EXPECT_FALSE(LedgerIsAway(absl::OkStatus()));
}

}  // namespace
}  // namespace tranche::storage
