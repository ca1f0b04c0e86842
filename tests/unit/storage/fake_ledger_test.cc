// What only the fake can do: its clock and its faults. Its rules are checked by tests/contract.
#include "storage/fake/fake_ledger.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

class FakeLedgerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Sku sku;
    sku.sku_id = "tv";
    sku.title = "A television";
    sku.currency = "EUR";
    sku.stock = 10;
    sku.hold = absl::Minutes(5);
    sku.opens_at = clock_.Now() + absl::Minutes(1);
    sku.closes_at = clock_.Now() + absl::Minutes(2);
    ASSERT_TRUE(ledger_.CreateSku(sku, "test").ok());
    node_ = *ledger_.RegisterIncarnation("node", "host:1");
    ASSERT_TRUE(ledger_.MoveUnits("tv", {{node_, 10}}, std::nullopt, "test").ok());
  }

  absl::StatusOr<std::vector<CommitResult>> Commit(uint8_t id) {
    ReservationClaim claim{.reservation_id = {}, .sku_id = "tv", .user_id = std::string(1, 'a' + id), .quantity = 1};
    claim.reservation_id.bytes[15] = id;
    return ledger_.CommitReservations(node_, LockMode::kWait, {claim});
  }

  FakeClock clock_;
  FakeLedger ledger_{&clock_};
  IncarnationId node_ = kPool;
};

TEST_F(FakeLedgerTest, ItsClockOpensAndClosesTheSale) {
  EXPECT_EQ(Commit(1)->front().refusal, Refusal::kSaleNotOpen);
  clock_.AdvanceBy(absl::Minutes(1));
  const CommitResult created = Commit(1)->front();
  EXPECT_EQ(created.outcome, CommitOutcome::kCreated);
  EXPECT_EQ(created.reservation.created_at, clock_.Now());
  EXPECT_EQ(created.reservation.expires_at, clock_.Now() + absl::Minutes(5));
  clock_.AdvanceBy(absl::Minutes(1));
  EXPECT_EQ(Commit(2)->front().refusal, Refusal::kSaleClosed);
  EXPECT_EQ(Commit(1)->front().outcome, CommitOutcome::kReplayed);
}

TEST_F(FakeLedgerTest, FailsAsOftenAsTold) {
  clock_.AdvanceBy(absl::Minutes(1));
  ledger_.FailNext(2);
  EXPECT_EQ(Commit(1).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(IsUnknownCommit(ledger_.GetSku("tv").status()));
  EXPECT_EQ(Commit(1)->front().outcome, CommitOutcome::kCreated) << "the failed call did nothing";
  EXPECT_EQ(ledger_.commit_calls(), 2);
}

TEST_F(FakeLedgerTest, LosesACommitThatWasPerformed) {
  clock_.AdvanceBy(absl::Minutes(1));
  ledger_.LoseNextCommit(/*performed=*/true);
  EXPECT_TRUE(IsUnknownCommit(Commit(1).status()));
  EXPECT_EQ(Commit(1)->front().outcome, CommitOutcome::kReplayed);
  EXPECT_EQ(ledger_.GetSku("tv")->unsold, 9);
}

TEST_F(FakeLedgerTest, LosesACommitThatWasNotPerformed) {
  clock_.AdvanceBy(absl::Minutes(1));
  ledger_.LoseNextCommit(/*performed=*/false);
  EXPECT_TRUE(IsUnknownCommit(Commit(1).status()));
  EXPECT_EQ(ledger_.GetSku("tv")->unsold, 10);
  EXPECT_EQ(Commit(1)->front().outcome, CommitOutcome::kCreated);
}

TEST_F(FakeLedgerTest, ARestoredBackupHasItsGroups) {
  clock_.AdvanceBy(absl::Minutes(1));
  const GroupOffer offer{.sku_id = "tv",
                         .offer_id = "pair",
                         .seats = 2,
                         .price_minor = 100,
                         .open_for = absl::Hours(1),
                         .pay_within = absl::Hours(1),
                         .created_at = {}};
  ASSERT_TRUE(ledger_.CreateGroupOffer(offer, /*preview=*/false, "test").ok());
  const Uuid group_id{.bytes = {7}};
  const auto join = [&](uint8_t id) {
    ReservationClaim claim{.reservation_id = {.bytes = {id}},
                           .sku_id = "tv",
                           .user_id = std::string(1, static_cast<char>('a' + id)),
                           .quantity = 1,
                           .group = std::make_shared<const GroupJoin>(GroupJoin{group_id, "pair"})};
    EXPECT_EQ(ledger_.CommitReservations(node_, LockMode::kWait, {claim})->front().outcome, CommitOutcome::kCreated);
    const auto paid = ledger_.ConfirmReservations({{claim.reservation_id, "pay", 100, "EUR"}});
    EXPECT_EQ(paid->front().outcome, ChangeOutcome::kDone);
  };
  join(1);
  const auto backup = ledger_.Save();
  join(2);
  EXPECT_EQ(ledger_.GetGroup(group_id, {})->group.state, GroupState::kFilled);
  ledger_.Restore(*backup, FakeLedger::Line::kSame);
  EXPECT_EQ(ledger_.GetGroup(group_id, {})->group.state, GroupState::kForming);
  EXPECT_EQ(ledger_.GetGroup(group_id, {})->group.seats_taken, 1);
  EXPECT_EQ(ledger_.GetGroup(group_id, {.members = GroupLookup::Members::kAll})->members.size(), 1u);
  join(2);
  EXPECT_EQ(ledger_.GetGroup(group_id, {})->group.state, GroupState::kFilled);
}

TEST_F(FakeLedgerTest, BlocksCallsUntilReleased) {
  clock_.AdvanceBy(absl::Minutes(1));
  ledger_.BlockCalls();
  std::thread first([this] { EXPECT_EQ(Commit(1)->front().outcome, CommitOutcome::kCreated); });
  std::thread second([this] { EXPECT_EQ(Commit(2)->front().outcome, CommitOutcome::kCreated); });
  ledger_.AwaitBlocked(2);
  ledger_.ReleaseCalls();
  first.join();
  second.join();
  EXPECT_EQ(ledger_.GetSku("tv")->unsold, 8);
}

}  // namespace
}  // namespace tranche::storage
