// Another transaction has locked something of a group for long: it stops only who needs that.
#include <gtest/gtest.h>

#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/postgres/postgres_group_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "tests/contract/postgres_outage_fixture.h"
#include "tests/support/claims.h"

namespace tranche::storage {
namespace {

using testing::NewId;

// Groups of two of the SKUs "a" and "b".
class PostgresGroupLockTest : public PostgresOutageTest {
 protected:
  static constexpr int64_t kUnits = 1'000;

  void SetUp() override {
    PostgresOutageTest::SetUp();
    groups_ = std::make_unique<PostgresGroupLedger>(pool_.get());
    lifecycle_ = std::make_unique<PostgresLifecycleLedger>(pool_.get());
    for (const char* sku_id : {"a", "b"}) {
      Sku sku;
      sku.sku_id = sku_id;
      sku.currency = "EUR";
      sku.stock = kUnits;
      ASSERT_TRUE(stock_->CreateSku(sku, "test").ok());
      ASSERT_TRUE(stock_->MoveUnits(sku_id, {{node_, kUnits}}, std::nullopt, "test").ok());
      const auto offered = groups_->CreateGroupOffer({.sku_id = sku_id,
                                                      .offer_id = "pair",
                                                      .seats = 2,
                                                      .price_minor = 100,
                                                      .open_for = absl::Hours(1),
                                                      .pay_within = absl::Hours(1),
                                                      .created_at = {}},
                                                     /*preview=*/false, "test");
      ASSERT_TRUE(offered.ok()) << offered.status();
    }
  }
  void TearDown() override {
    const auto report = stock_->Verify("");
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->violations.empty());
  }

  // Of a new buyer, who opens the group if there is none.
  Payment Join(const std::string& sku_id, const Uuid& group_id) {
    ReservationClaim claim = testing::Claim(sku_id, absl::StrCat("user", ++users_));
    claim.group = std::make_shared<const GroupJoin>(GroupJoin{.group_id = group_id, .offer_id = "pair"});
    const auto results = ledger_->CommitReservations(node_, LockMode::kWait, {&claim, 1});
    EXPECT_TRUE(results.ok() && results->front().outcome == CommitOutcome::kCreated) << results.status();
    return {claim.reservation_id, absl::StrCat("pay-", users_), 100, "EUR"};
  }
  ChangeResult Pay(const Payment& payment) {
    const auto paid = lifecycle_->ConfirmReservations({payment});
    EXPECT_TRUE(paid.ok()) << paid.status();
    return paid.ok() ? paid->front() : ChangeResult{};
  }
  // Groups, each with one who has paid.
  std::vector<Payment> OpenPaid(const std::string& sku_id, int count) {
    std::vector<Payment> paid;
    for (int i = 0; i < count; ++i) {
      paid.push_back(Join(sku_id, NewId()));
      EXPECT_EQ(Pay(paid.back()).outcome, ChangeOutcome::kDone);
    }
    return paid;
  }
  void MakeDue(const std::string& sku_id, const std::string& since) {
    const absl::Status done = testing::ExecuteSql(
        postgres_.dsn(), absl::StrCat("UPDATE tranche.group_buy SET created_at = created_at - interval '2 h', "
                                      "deadline_at = now() - interval '",
                                      since, "' WHERE state = 'FORMING' AND sku_id = '", sku_id, "'"));
    ASSERT_TRUE(done.ok()) << done;
  }
  int64_t Forming(const std::string& sku_id) {
    pqxx::connection connection(postgres_.dsn());
    pqxx::nontransaction query(connection);
    return query
        .exec1(absl::StrCat("SELECT count(*) FROM tranche.group_buy WHERE state = 'FORMING' AND sku_id = '", sku_id,
                            "'"))[0]
        .as<int64_t>();
  }
  // Ends groups as a worker does, until so many of the SKU form. False if that never ends. A call that waits for a lock
  // fails.
  bool ExpireUntil(const std::string& sku_id, int64_t forming) {
    const absl::Time until = absl::Now() + absl::Seconds(60);
    while (Forming(sku_id) > forming) {
      if (absl::Now() > until) return false;
      const auto expired = groups_->ExpireGroups(10);
      EXPECT_TRUE(expired.ok()) << expired.status();
    }
    return true;
  }
  template <typename Action>
  void WhileLocked(const std::string& query, const Action& action) {
    pqxx::connection connection(postgres_.dsn());
    pqxx::work lock(connection);
    lock.exec(query);
    action();
    lock.abort();
  }

  int users_ = 0;
  std::unique_ptr<PostgresGroupLedger> groups_;
  std::unique_ptr<PostgresLifecycleLedger> lifecycle_;
};

TEST_F(PostgresGroupLockTest, ALockedSkuHoldsUpTheEndOfItsOwnGroupsOnly) {
  OpenPaid("a", 40);
  MakeDue("a", "30 min");
  for (const char* table : {"sku", "stock_slot"}) {
    OpenPaid("b", 20);
    MakeDue("b", "1 s");
    WhileLocked(absl::StrCat("SELECT FROM tranche.", table, " WHERE sku_id = 'a' FOR UPDATE"), [&] {
      EXPECT_TRUE(ExpireUntil("b", 0)) << table << ": " << Forming("b") << " wait behind it";
      EXPECT_EQ(Forming("a"), 40);
      const auto waits = groups_->ExpireGroups(10);
      ASSERT_TRUE(waits.ok()) << waits.status();
      EXPECT_EQ(waits->failed + waits->settled, 0);
      EXPECT_TRUE(waits->more) << "it is not done";
      EXPECT_LE(waits->until_next, -absl::Minutes(30)) << "so long ago the oldest was due";
    });
  }
  EXPECT_TRUE(ExpireUntil("a", 0)) << "once it is free";
}

// All of its paid members are settled in one transaction, or none is.
TEST_F(PostgresGroupLockTest, ALockedMemberHoldsUpTheEndOfTheirGroupOnly) {
  const std::vector<Payment> paid = OpenPaid("a", 10);
  MakeDue("a", "1 min");
  WhileLocked(absl::StrCat("SELECT FROM tranche.reservation WHERE reservation_id = '",
                           paid[0].reservation_id.ToString(), "' FOR UPDATE"),
              [&] {
                EXPECT_TRUE(ExpireUntil("a", 1)) << Forming("a") << " wait behind it";
                ASSERT_TRUE(groups_->ExpireGroups(10).ok());
                EXPECT_EQ(Forming("a"), 1);
              });
  EXPECT_TRUE(ExpireUntil("a", 0)) << "once it is free";
}

// A payment for a seat moves no unit, so neither a sale nor a move of units keeps it waiting, nor do joins.
TEST_F(PostgresGroupLockTest, SeatsArePaidWhateverElseOfTheSkuIsLocked) {
  const Uuid group_id = NewId();
  const std::vector<Payment> members = {Join("a", group_id), Join("a", group_id)};
  pqxx::connection connection(postgres_.dsn());
  pqxx::work lock(connection);
  lock.exec("SELECT FROM tranche.sku WHERE sku_id = 'a' FOR UPDATE");
  lock.exec("SELECT FROM tranche.stock_slot WHERE sku_id = 'a' FOR UPDATE");
  for (const Payment& member : members) EXPECT_EQ(Pay(member).outcome, ChangeOutcome::kDone);
  lock.abort();
  EXPECT_EQ(groups_->GetGroup(group_id, {})->group.state, GroupState::kFilled);
}

TEST_F(PostgresGroupLockTest, WithoutWaitingALockedGroupIsBusyAndOthersAreNot) {
  const Uuid locked_id = NewId();
  const Payment locked = Join("a", locked_id), other = Join("a", NewId());
  WhileLocked(absl::StrCat("SELECT FROM tranche.group_buy WHERE group_id = '", locked_id.ToString(), "' FOR UPDATE"),
              [&] {
                const auto paid = lifecycle_->ConfirmReservations(LockMode::kNoWait, {locked, other});
                ASSERT_TRUE(paid.ok()) << paid.status();
                EXPECT_EQ((*paid)[0].outcome, ChangeOutcome::kBusy);
                EXPECT_EQ((*paid)[1].outcome, ChangeOutcome::kDone);
                const auto left = lifecycle_->CancelReservations(
                    LockMode::kNoWait, {{locked.reservation_id, "why"}, {other.reservation_id, "why"}});
                ASSERT_TRUE(left.ok()) << left.status();
                EXPECT_EQ((*left)[0].outcome, ChangeOutcome::kBusy);
                EXPECT_EQ((*left)[1].outcome, ChangeOutcome::kDone);
              });
  EXPECT_EQ(Pay(locked).outcome, ChangeOutcome::kDone) << "nothing was decided about it";
}

}  // namespace
}  // namespace tranche::storage
