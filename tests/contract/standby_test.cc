// A synchronous standby that does not answer: nothing is acknowledged that it lacks, neither a change nor what a
// look-up finds. No standby is needed for that: the server waits for one of a name that nobody has.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "tests/contract/postgres_outage_fixture.h"
#include "tests/support/claims.h"
#include "tests/support/mini_postgres.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::ExecuteSql;
using testing::NewId;

// Of the sessions whose commits the tests cancel.
constexpr char kApplication[] = "standby";

class StandbyTest : public PostgresOutageTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(PostgresOutageTest::SetUp());
    // A default that would keep the warning from us.
    ASSERT_TRUE(ExecuteSql(postgres_.dsn(), "ALTER ROLE tranche_node SET client_min_messages = error").ok());
    PoolOptions options;
    options.dsn = postgres_.node_dsn();
    options.application_name = kApplication;
    waiting_pool_ = std::make_unique<ConnectionPool>(options);
    ledger_ = std::make_unique<PostgresLedger>(waiting_pool_.get());
    lifecycle_ = std::make_unique<PostgresLifecycleLedger>(waiting_pool_.get());
  }

  void TearDown() override { SetStandby(""); }

  // "" for none. Returns when new sessions see it; the others, and the wait itself, follow within moments.
  void SetStandby(const std::string& name) {
    // Not in one statement: ALTER SYSTEM does not run in a transaction block.
    ASSERT_TRUE(
        ExecuteSql(postgres_.dsn(), absl::StrCat("ALTER SYSTEM SET synchronous_standby_names = '", name, "'")).ok());
    ASSERT_TRUE(ExecuteSql(postgres_.dsn(), "SELECT pg_reload_conf()").ok());
    pqxx::connection connection(postgres_.dsn());
    pqxx::nontransaction query(connection);
    while (query.exec1("SHOW synchronous_standby_names")[0].as<std::string>() != name) std::this_thread::yield();
  }

  // Runs this query about a session that waits for the standby, once there is one. False if none comes in time.
  bool AwaitWaiting(const std::string& select) {
    pqxx::connection connection(postgres_.dsn());
    pqxx::nontransaction query(connection);
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (absl::Now() < deadline) {
      if (!query
               .exec(absl::StrCat("SELECT ", select,
                                  " FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = '",
                                  kApplication, "'"))
               .empty()) {
        return true;
      }
      std::this_thread::yield();
    }
    return false;
  }
  bool CancelAWait() { return AwaitWaiting("pg_cancel_backend(pid)"); }

  std::string Backends() { return BackendsOf(postgres_, kApplication); }

  // A claim that is committed and can be read, but that no standby has: the wait for it was cancelled. The standby is
  // still missing. `created` counts the claims that were committed with this one.
  ReservationClaim CommitWithoutStandby(int64_t* created = nullptr) {
    SetStandby("nobody");
    ReservationClaim claim;
    absl::Status claimed;
    int64_t count = 0;
    // Commits wait once the checkpointer has noticed the setting.
    std::thread buyer([&] {
      for (; claimed.ok(); ++count) {
        claim = Claim("tv", NewId().ToString());
        claimed = ledger_->CommitReservations(node_, LockMode::kWait, {claim}).status();
      }
    });
    EXPECT_TRUE(CancelAWait());
    buyer.join();
    EXPECT_TRUE(IsUnknownCommit(claimed)) << claimed;
    EXPECT_TRUE(LedgerIsUp(claimed)) << claimed;
    if (created != nullptr) *created = count;
    return claim;
  }

  // Runs `look_up` on another thread, and expects that it does not end before the standby is no longer waited for.
  void ExpectItWaits(const std::function<void()>& look_up) {
    absl::Notification ended;
    std::thread asker([&] {
      look_up();
      ended.Notify();
    });
    EXPECT_TRUE(AwaitWaiting("pid"));
    EXPECT_FALSE(ended.HasBeenNotified());
    SetStandby("");
    asker.join();
  }

  std::unique_ptr<ConnectionPool> waiting_pool_;
  std::unique_ptr<PostgresLifecycleLedger> lifecycle_;
};

// When the wait for the synchronous standby is cancelled, the server reports success with a warning. Acknowledged, the
// order would be gone if the standby took over.
TEST_F(StandbyTest, ACommitThatNoStandbyConfirmedIsUnknown) {
  const ReservationClaim hold = Claim("tv", "bob");
  ASSERT_TRUE(ledger_->CommitReservations(node_, LockMode::kWait, {hold}).ok());
  const std::string before = Backends();
  int64_t created = 0;
  const ReservationClaim claim = CommitWithoutStandby(&created);
  absl::Status confirmed;
  std::thread payer([&] {
    confirmed = lifecycle_->ConfirmReservations({{hold.reservation_id, "pay-1", 0, "EUR"}}).status();
  });
  EXPECT_TRUE(CancelAWait());
  payer.join();
  SetStandby("");
  EXPECT_TRUE(IsUnknownCommit(confirmed)) << confirmed;
  EXPECT_TRUE(LedgerIsUp(confirmed)) << confirmed;
  EXPECT_EQ(Backends(), before) << "the connection is intact";
  // Sent again under the same id, it becomes known, and nothing is doubled.
  const auto settled = ledger_->CommitReservations(node_, LockMode::kWait, {claim});
  ASSERT_TRUE(settled.ok()) << settled.status();
  EXPECT_EQ(settled->front().outcome, CommitOutcome::kReplayed);
  EXPECT_EQ(stock_->GetSku("tv")->unsold, kStock - created - 1);
}

// What can be read may be gone after a failover.
TEST_F(StandbyTest, ALookUpAfterALostAnswerFindsOnlyWhatTheStandbyHas) {
  const ReservationClaim claim = CommitWithoutStandby();
  EXPECT_TRUE(ledger_->FindReservation(claim.reservation_id).ok()) << "others may read it";
  const auto none = ledger_->FindReplicated({NewId()});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->empty()) << "that nothing is found waits for nobody";
  absl::StatusOr<std::vector<Reservation>> found;
  ExpectItWaits([&] { found = ledger_->FindReplicated({claim.reservation_id, NewId()}); });
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->front().user_id, claim.user_id);
}

TEST_F(StandbyTest, ALookUpWhoseWaitIsCancelledLeavesTheDoubt) {
  const ReservationClaim claim = CommitWithoutStandby();
  absl::Status looked_up;
  absl::Notification ended;
  std::thread asker([&] {
    looked_up = ledger_->FindReplicated({claim.reservation_id}).status();
    ended.Notify();
  });
  while (!ended.HasBeenNotified()) {
    if (!AwaitWaiting("pg_cancel_backend(pid)") || ended.WaitForNotificationWithTimeout(absl::Milliseconds(1))) break;
  }
  asker.join();
  EXPECT_TRUE(IsUnknownCommit(looked_up)) << looked_up;
}

// A repeated claim is a look-up, too. It locks the slots of its SKU, and so waits at its end; unless the incarnation
// holds none.
TEST_F(StandbyTest, ARepeatedClaimIsKnownOnlyWhenTheStandbyHasIt) {
  const IncarnationId without_units = *stock_->RegisterIncarnation("other", "host:2");
  for (const IncarnationId incarnation : {node_, without_units}) {
    for (const LockMode mode : {LockMode::kWait, LockMode::kSkipLocked}) {
      const ReservationClaim claim = CommitWithoutStandby();
      absl::StatusOr<std::vector<CommitResult>> repeated;
      ExpectItWaits([&] { repeated = ledger_->CommitReservations(incarnation, mode, {claim}); });
      ASSERT_TRUE(repeated.ok()) << repeated.status();
      EXPECT_EQ(repeated->front().outcome, CommitOutcome::kReplayed);
    }
  }
}

}  // namespace
}  // namespace tranche::storage
