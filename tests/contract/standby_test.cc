// A synchronous standby that does not answer: nothing is acknowledged that it lacks, neither a change nor what a
// look-up finds. No standby is needed for that: the server waits for one of a name that nobody has.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_draw_ledger.h"
#include "storage/postgres/postgres_health_ledger.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "tests/contract/postgres_outage_fixture.h"
#include "tests/support/between_looks.h"
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
    while (query.exec1("SHOW synchronous_standby_names")[0].as<std::string>() != name) testing::RestBetweenLooks();
  }

  // Runs this query about a session that waits for the standby, once there is one. False if none comes in time, or
  // before `ended`.
  bool AwaitWaiting(const std::string& select, const absl::Notification* ended = nullptr) {
    pqxx::connection connection(postgres_.dsn());
    pqxx::nontransaction query(connection);
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (absl::Now() < deadline && (ended == nullptr || !ended->HasBeenNotified())) {
      if (!query
               .exec(absl::StrCat("SELECT ", select,
                                  " FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = '",
                                  kApplication, "'"))
               .empty()) {
        return true;
      }
      testing::RestBetweenLooks();
    }
    return false;
  }
  bool CancelAWait(const absl::Notification* ended = nullptr) { return AwaitWaiting("pg_cancel_backend(pid)", ended); }

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

  // Runs `call` while the standby is missing, and cancels its waits, however often it is tried: what it does is
  // committed and can be read, but no standby has it. Commits wait already (CommitWithoutStandby).
  void ExpectLeftInDoubt(const std::function<absl::Status()>& call) {
    absl::Status status;
    absl::Notification ended;
    std::thread caller([&] {
      status = call();
      ended.Notify();
    });
    while (CancelAWait(&ended)) {
    }
    caller.join();
    EXPECT_TRUE(IsUnknownCommit(status)) << status;
  }

  // Of one buyer, committed; the standby is missing afterwards.
  ReservationClaim HoldThenLoseTheStandby() {
    const ReservationClaim hold = Claim("tv", NewId().ToString());
    EXPECT_TRUE(ledger_->CommitReservations(node_, LockMode::kWait, {hold}).ok());
    CommitWithoutStandby();
    return hold;
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
  ExpectLeftInDoubt([&] { return ledger_->FindReplicated({claim.reservation_id}).status(); });
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

TEST_F(StandbyTest, ARepeatedChangeIsKnownOnlyWhenTheStandbyHasIt) {
  using Results = absl::StatusOr<std::vector<ChangeResult>>;
  using Change = std::function<Results(LockMode, const Uuid&)>;
  const std::vector<Change> changes = {
      [&](LockMode mode, const Uuid& id) {
        return lifecycle_->ConfirmReservations(mode, {Payment{id, "pay-1", 0, "EUR"}});
      },
      [&](LockMode mode, const Uuid& id) {
        return lifecycle_->CancelReservations(mode, {Cancellation{id, "changed their mind"}});
      },
      [&](LockMode mode, const Uuid& id) {
        return lifecycle_->ExtendReservations(mode, {Extension{id, 1, absl::Seconds(60)}});
      }};
  for (size_t kind = 0; kind < changes.size(); ++kind) {
    for (const LockMode mode : {LockMode::kWait, LockMode::kNoWait}) {
      const Uuid id = HoldThenLoseTheStandby().reservation_id;
      ExpectLeftInDoubt([&] { return changes[kind](LockMode::kWait, id).status(); });
      Results repeated;
      ExpectItWaits([&] { repeated = changes[kind](mode, id); });
      ASSERT_TRUE(repeated.ok()) << repeated.status();
      EXPECT_EQ(repeated->front().outcome, ChangeOutcome::kReplayed) << "change " << kind;
    }
  }
}

TEST_F(StandbyTest, WhatBecameOfALatePaymentIsKnownOnlyWhenTheStandbyHasIt) {
  const auto pay = [&](const Uuid& id) { return lifecycle_->ConfirmLate({id, "pay-1", 0, "EUR"}); };
  const ReservationClaim cancelled = Claim("tv", "alice"), expired = Claim("tv", "bob");
  ASSERT_TRUE(ledger_->CommitReservations(node_, LockMode::kWait, {cancelled, expired}).ok());
  ASSERT_TRUE(lifecycle_->CancelReservations({Cancellation{cancelled.reservation_id, ""}}).ok());
  ASSERT_TRUE(ExecuteSql(postgres_.dsn(),
                         "UPDATE tranche.reservation SET created_at = created_at - interval '2 h', "
                         "expires_at = now() - interval '1 s' WHERE state = 'PENDING'")
                  .ok());
  ASSERT_TRUE(ExecuteSql(postgres_.dsn(), "SELECT tranche.expire_due(10)").ok());
  const std::map<Uuid, ChangeOutcome> outcomes = {{cancelled.reservation_id, ChangeOutcome::kRefused},
                                                  {expired.reservation_id, ChangeOutcome::kRebooked}};
  for (const auto& late : outcomes) {
    CommitWithoutStandby();
    ExpectLeftInDoubt([&] { return pay(late.first).status(); });
    absl::StatusOr<ChangeResult> repeated;
    ExpectItWaits([&] { repeated = pay(late.first); });
    ASSERT_TRUE(repeated.ok()) << repeated.status();
    EXPECT_EQ(repeated->outcome, late.second);
    EXPECT_TRUE(repeated->replayed) << "it was recorded by the first try";
  }
}

TEST_F(StandbyTest, ARepeatedCartIsKnownOnlyWhenTheStandbyHasIt) {
  ASSERT_TRUE(stock_->CreateSku({.sku_id = "bag", .title = "", .currency = "EUR", .stock = 100}, "test").ok());
  ASSERT_TRUE(stock_->MoveUnits("bag", {{node_, 100}}, std::nullopt, "test").ok());
  const IncarnationId without_units = *stock_->RegisterIncarnation("other", "host:2");
  for (const IncarnationId incarnation : {node_, without_units}) {
    for (const LockMode mode : {LockMode::kWait, LockMode::kNoWait}) {
      const std::string buyer = NewId().ToString();
      const std::vector<ReservationClaim> cart = {Claim("bag", buyer), Claim("tv", buyer)};
      CommitWithoutStandby();
      ExpectLeftInDoubt([&] { return lifecycle_->CommitCart(node_, LockMode::kWait, cart).status(); });
      absl::StatusOr<CartResult> repeated;
      ExpectItWaits([&] { repeated = lifecycle_->CommitCart(incarnation, mode, cart); });
      ASSERT_TRUE(repeated.ok()) << repeated.status();
      EXPECT_TRUE(repeated->committed);
      for (const CommitResult& line : repeated->lines) EXPECT_EQ(line.outcome, CommitOutcome::kReplayed);
    }
  }
}

TEST_F(StandbyTest, ARefusedClaimIsKnownOnlyWhenTheStandbyHasIt) {
  CommitWithoutStandby();
  const std::vector<ClaimRefusal> batch = {{.claim = Claim("tv", NewId().ToString()), .refusal = Refusal::kSoldOut}};
  ExpectLeftInDoubt([&] { return lifecycle_->RefuseClaims(batch).status(); });
  absl::StatusOr<std::vector<RefuseResult>> repeated;
  ExpectItWaits([&] { repeated = lifecycle_->RefuseClaims(batch); });
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_EQ(repeated->front().outcome, RefuseOutcome::kReplayed);
}

TEST_F(StandbyTest, ARepeatedStepOfADrawIsKnownOnlyWhenTheStandbyHasIt) {
  PostgresDrawLedger draws(waiting_pool_.get());
  const DrawKey key{"tv", 1};
  const auto change = [&](DrawStep step) {
    return draws.ChangeDraw(key, step, "", /*preview=*/false, "test").status();
  };
  const NewDraw asked{.sku_id = "tv", .winners = 1, .public_source = "a public value", .expected_number = 1};
  const std::vector<std::function<absl::Status()>> steps = {
      [&] { return draws.CreateDraw(asked, /*preview=*/false, "test").status(); },
      [&] { return draws.EnterDraws(LockMode::kWait, {DrawEntryClaim{.sku_id = "tv", .user_id = "alice"}}).status(); },
      [&] { return change(DrawStep::kClose); }, [&] { return change(DrawStep::kCancel); },
      [&] { return change(DrawStep::kRemove); }};
  for (size_t step = 0; step < steps.size(); ++step) {
    CommitWithoutStandby();
    ExpectLeftInDoubt(steps[step]);
    absl::Status repeated;
    ExpectItWaits([&] { repeated = steps[step](); });
    EXPECT_TRUE(repeated.ok()) << "step " << step << ": " << repeated;
  }
}

TEST_F(StandbyTest, ASealIsKnownOnlyWhenTheStandbyHasIt) {
  PostgresDrawLedger draws(waiting_pool_.get());
  const DrawKey key{"tv", 1};
  ASSERT_TRUE(draws.CreateDraw({.sku_id = "tv", .winners = 1, .public_source = "a public value"}, false, "test").ok());
  ASSERT_TRUE(draws.ChangeDraw(key, DrawStep::kClose, "", false, "test").ok());
  const auto seal = [&] { return draws.SealDraw(key, 0, std::string(32, 'r')); };
  CommitWithoutStandby();
  const auto refused = draws.EnterDraws(LockMode::kWait, {DrawEntryClaim{.sku_id = "tv", .user_id = "alice"}});
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->front().refusal, Refusal::kDrawNotOpen) << "that waits for nobody";
  ExpectLeftInDoubt(seal);
  absl::Status repeated;
  ExpectItWaits([&] { repeated = seal(); });
  EXPECT_TRUE(repeated.ok()) << repeated;
}

// Nothing of such a cart is committed, but its answer says of one line that it was.
TEST_F(StandbyTest, ACartWithALineOfAnotherIsAnsweredWhenTheStandbyHasThatLine) {
  const IncarnationId without_units = *stock_->RegisterIncarnation("other", "host:2");
  for (const IncarnationId incarnation : {node_, without_units}) {
    const ReservationClaim claim = CommitWithoutStandby();
    absl::StatusOr<CartResult> mixed;
    ExpectItWaits([&] {
      mixed = lifecycle_->CommitCart(incarnation, LockMode::kWait, {claim, Claim("tv", claim.user_id)});
    });
    ASSERT_TRUE(mixed.ok()) << mixed.status();
    EXPECT_FALSE(mixed->committed);
    EXPECT_EQ(mixed->lines.front().outcome, CommitOutcome::kReplayed);
  }
}

TEST_F(StandbyTest, HeartbeatsDoNotWaitAndTheHealthSaysThatOthersDo) {
  CommitWithoutStandby();
  PostgresHealthLedger health(waiting_pool_.get());
  Heartbeat heartbeat;
  heartbeat.name = "worker";
  heartbeat.version = "1";
  const absl::Status beaten = health.Beat(heartbeat);
  EXPECT_TRUE(beaten.ok()) << beaten;
  EXPECT_TRUE(health.EndBeat(heartbeat.kind, heartbeat.instance).ok());
  const absl::StatusOr<LedgerHealth> found = health.Health();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->standbys_needed, 1);
  EXPECT_EQ(found->standbys, 0);
  EXPECT_EQ(found->synchronous_standbys, 0);
}

}  // namespace
}  // namespace tranche::storage
