// Carts beside a SKU that another transaction has locked. The test runs the executor's tasks.
#include "storage/pipeline/cart_pipeline.h"

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;

// SKUs can be locked: who waits for one waits in vain.
class LockedSkusLedger : public FakeLedger {
 public:
  using FakeLedger::FakeLedger;

  absl::StatusOr<CartResult> CommitCart(IncarnationId incarnation, LockMode mode,
                                        absl::Span<const ReservationClaim> lines) override {
    modes.push_back(mode);
    if (stuck_insert) return BusyError("an insert waits");
    if (lost > 0 && --lost >= 0) return UnknownCommitError("lost");
    CartResult busy;
    for (const ReservationClaim& line : lines) {
      busy.lines.push_back({locked.contains(line.sku_id) ? CommitOutcome::kBusy : CommitOutcome::kCreated, {}});
    }
    if (!IsBusy(busy)) return FakeLedger::CommitCart(incarnation, mode, lines);
    if (mode == LockMode::kWait) return BusyError("lock timeout");
    return busy;
  }

  std::set<std::string> locked;
  bool stuck_insert = false;
  int lost = 0;
  std::vector<LockMode> modes;
};

class QueueExecutor : public Executor {
 public:
  bool TryRun(absl::AnyInvocable<void()>& task) override {
    if (tasks.size() >= room) return false;
    tasks.push_back(std::move(task));
    return true;
  }
  void RunAll() {
    while (!tasks.empty()) {
      absl::AnyInvocable<void()> task = std::move(tasks.front());
      tasks.pop_front();
      task();
    }
  }
  std::deque<absl::AnyInvocable<void()>> tasks;
  size_t room = 8;
};

class CartPipelineTest : public ::testing::Test {
 protected:
  CartPipelineTest() {
    node_ = *ledger_.RegisterIncarnation("node", "host:1");
    for (const char* sku_id : {"a", "b", "c"}) {
      Sku sku;
      sku.sku_id = sku_id;
      sku.currency = "EUR";
      sku.stock = 100;
      EXPECT_TRUE(ledger_.CreateSku(sku, "test").ok());
      EXPECT_TRUE(ledger_.MoveUnits(sku_id, {{node_, 100}}, std::nullopt, "test").ok());
    }
  }

  // A cart with a unit of each; its answer comes under its number.
  int Buy(const std::vector<std::string>& skus, absl::Duration patience = absl::Seconds(2)) {
    const int number = ++carts_;
    std::vector<ReservationClaim> lines;
    for (const std::string& sku_id : skus) {
      Uuid id;
      id.bytes[6] = 0x40;
      id.bytes[14] = static_cast<uint8_t>(number);
      id.bytes[15] = static_cast<uint8_t>(lines.size());
      lines.push_back({id, sku_id, "user" + std::to_string(number), 1});
    }
    pipeline_.Submit(node_, std::move(lines), clock_.Now() + patience,
                     [this, number](absl::StatusOr<CartResult> result) {
                       const bool first = answers_.emplace(number, std::move(result)).second;
                       EXPECT_TRUE(first) << "answered twice";
                     });
    return number;
  }
  bool Sold(int number) {
    return answers_.contains(number) && answers_.at(number).ok() && answers_.at(number)->committed;
  }
  bool Open(int number) { return !answers_.contains(number); }
  // Lets as much time pass as between two tries.
  void Turn() {
    clock_.AdvanceBy(CartPipeline::kTryInterval);
    pipeline_.TrySlow();
    executor_.RunAll();
  }

  FakeClock clock_;
  LockedSkusLedger ledger_{&clock_};
  QueueExecutor executor_;
  CartPipeline pipeline_{&ledger_, &executor_, &clock_};
  IncarnationId node_ = kPool;
  int carts_ = 0;
  std::map<int, absl::StatusOr<CartResult>> answers_;
};

TEST_F(CartPipelineTest, OfEachSkuTwoAreUnderWayAndTheNextFollow) {
  std::vector<int> carts;
  for (int i = 0; i < 20; ++i) carts.push_back(Buy({"a", "b"}));
  EXPECT_EQ(executor_.tasks.size(), 2u);
  EXPECT_EQ(pipeline_.waiting(), 18u);
  const int other = Buy({"c"});
  EXPECT_EQ(executor_.tasks.size(), 3u);
  executor_.RunAll();
  for (const int cart : carts) EXPECT_TRUE(Sold(cart)) << cart;
  EXPECT_TRUE(Sold(other));
  EXPECT_EQ(pipeline_.waiting(), 0u);
}

TEST_F(CartPipelineTest, EachTryOfACartIsCounted) {
  ledger_.lost = 1;
  const int cart = Buy({"a", "b"});
  executor_.RunAll();
  EXPECT_TRUE(Sold(cart));
  const CommitMetrics& metrics = pipeline_.metrics();
  EXPECT_EQ(metrics.unknown.value(), 1);
  EXPECT_EQ(metrics.committed.value(), 1);
  EXPECT_EQ(metrics.failed.value(), 0);
  EXPECT_EQ(metrics.batch_size.values().sum, 2 + 2);
  // Too late to be tried.
  clock_.AdvanceBy(absl::Seconds(1));
  Buy({"c"}, absl::ZeroDuration());
  executor_.RunAll();
  EXPECT_EQ(metrics.failed.value(), 0);
}

// Carts of one SKU each that keep coming take no place that an earlier one needs.
TEST_F(CartPipelineTest, ACartOfSeveralSkusGetsItsTurn) {
  executor_.room = 100;
  for (int i = 0; i < 2; ++i) Buy({"a"});
  for (int i = 0; i < 2; ++i) Buy({"b"});
  const int both = Buy({"a", "b"});
  for (int i = 0; i < 20; ++i) {
    Buy({i % 2 == 0 ? "a" : "b"});
    ASSERT_FALSE(executor_.tasks.empty());
    absl::AnyInvocable<void()> task = std::move(executor_.tasks.front());
    executor_.tasks.pop_front();
    task();
  }
  EXPECT_TRUE(Sold(both));
}

TEST_F(CartPipelineTest, ALockedSkuIsWaitedForByTwoCartsAndThenByNone) {
  ledger_.locked = {"a"};
  std::vector<int> stuck;
  for (int i = 0; i < 20; ++i) stuck.push_back(Buy({"a", "b"}));
  executor_.RunAll();
  EXPECT_THAT(ledger_.modes, ElementsAre(LockMode::kWait, LockMode::kNoWait, LockMode::kWait, LockMode::kNoWait));
  ledger_.modes.clear();
  const int free = Buy({"b", "c"});
  stuck.push_back(Buy({"a"}));
  executor_.RunAll();
  EXPECT_TRUE(Sold(free)) << "b is not locked, though it is in carts that are slow";
  int waits = 0;
  for (int i = 0; i < 20; ++i) {
    ledger_.modes.clear();
    Turn();
    ASSERT_EQ(ledger_.modes.size(), 16u);
    waits += ledger_.modes[0] == LockMode::kWait ? 1 : 0;
    EXPECT_THAT(std::vector<LockMode>(ledger_.modes.begin() + 1, ledger_.modes.end()),
                ::testing::Each(LockMode::kNoWait));
  }
  EXPECT_GE(waits, 2) << "short transactions that follow each other must not keep it away";
  EXPECT_LE(waits, 4) << "meanwhile it holds b";
  for (const int cart : stuck) EXPECT_TRUE(Open(cart));

  ledger_.locked.clear();
  Turn();
  for (const int cart : stuck) EXPECT_TRUE(Sold(cart)) << cart;
  ledger_.modes.clear();
  const int after = Buy({"a"});
  executor_.RunAll();
  EXPECT_TRUE(Sold(after));
  EXPECT_THAT(ledger_.modes, ElementsAre(LockMode::kWait)) << "nothing is slow any more";
}

TEST_F(CartPipelineTest, ACartThatHoldsNothingElseWaitsInEachTurn) {
  ledger_.locked = {"a"};
  const int stuck = Buy({"a"});
  executor_.RunAll();
  ledger_.modes.clear();
  for (int i = 0; i < 3; ++i) Turn();
  EXPECT_THAT(ledger_.modes, ElementsAre(LockMode::kWait, LockMode::kWait, LockMode::kWait));
  EXPECT_TRUE(Open(stuck));
}

// It would come back from that wait when nobody listens any more.
TEST_F(CartPipelineTest, ASlowCartWithLittleTimeDoesNotWait) {
  ledger_.locked = {"a"};
  const int stuck = Buy({"a"}, absl::Milliseconds(350));
  executor_.RunAll();
  ledger_.modes.clear();
  for (int i = 0; i < 3; ++i) Turn();
  EXPECT_THAT(ledger_.modes, ElementsAre(LockMode::kWait, LockMode::kNoWait, LockMode::kNoWait));
  EXPECT_TRUE(Open(stuck));
}

// Another SKU's lock must not keep a SKU slow that is free again.
TEST_F(CartPipelineTest, OnlyWhatIsStillLockedStaysSlow) {
  ledger_.locked = {"a", "b"};
  const int stuck = Buy({"a", "b"});
  executor_.RunAll();
  const int other = Buy({"c"});
  executor_.RunAll();
  EXPECT_TRUE(Sold(other));
  ledger_.locked = {"b"};
  const int second = Buy({"b"});
  Turn();
  Turn();
  const int free = Buy({"a"});
  executor_.RunAll();
  EXPECT_TRUE(Sold(free)) << "only b is locked by now";
  EXPECT_TRUE(Open(stuck) && Open(second));
}

// Other carts have b for a moment at a time, and nothing is wrong with it.
TEST_F(CartPipelineTest, WhatIsLockedForAMomentDoesNotBecomeSlow) {
  ledger_.locked = {"a"};
  const int stuck = Buy({"a", "b"});
  executor_.RunAll();
  for (int i = 0; i < 5; ++i) {
    ledger_.locked = {"a", "b"};
    Turn();
    ledger_.locked = {"a"};
    const int free = Buy({"b"});
    executor_.RunAll();
    EXPECT_TRUE(Sold(free));
  }
  EXPECT_TRUE(Open(stuck));
}

// At the deadline itself nobody would listen any more.
TEST_F(CartPipelineTest, ALockThatLastsIsToldBeforeTheDeadline) {
  ledger_.locked = {"b"};
  const int cart = Buy({"a", "b"}, absl::Milliseconds(120));
  executor_.RunAll();
  Turn();
  EXPECT_TRUE(Open(cart));
  Turn();
  ASSERT_FALSE(Open(cart)) << "the next turn would come too late";
  const absl::Status status = answers_.at(cart).status();
  EXPECT_TRUE(absl::IsUnavailable(status) && LedgerIsUp(status) && !IsUnknownCommit(status)) << status;
  EXPECT_EQ(pipeline_.waiting(), 0u);
}

TEST_F(CartPipelineTest, ACartThatWaitsInTheQueueUntilItsDeadlineIsNotSent) {
  for (int i = 0; i < 2; ++i) Buy({"a"});
  const int late = Buy({"a"}, absl::Milliseconds(10));
  clock_.AdvanceBy(absl::Milliseconds(10));
  pipeline_.TrySlow();
  ASSERT_FALSE(Open(late));
  EXPECT_TRUE(absl::IsDeadlineExceeded(answers_.at(late).status())) << answers_.at(late).status();
  executor_.RunAll();
  EXPECT_EQ(ledger_.modes.size(), 2u);
}

// What an insert waits for cannot be skipped, and names no SKU.
TEST_F(CartPipelineTest, AnInsertThatWaitsHoldsUpItsOwnCartOnly) {
  ledger_.stuck_insert = true;
  const int stuck = Buy({"a"});
  executor_.RunAll();
  ledger_.stuck_insert = false;
  const int free = Buy({"a"});
  executor_.RunAll();
  EXPECT_TRUE(Open(stuck));
  EXPECT_TRUE(Sold(free));
  Turn();
  EXPECT_TRUE(Sold(stuck));
}

// Busy says nothing about whether the first try was committed.
TEST_F(CartPipelineTest, ALostAnswerIsNotForgottenOverALock) {
  ledger_.locked = {"a"};
  const auto lose = [this](absl::Duration patience) {
    ledger_.lost = 1;
    const int cart = Buy({"a"}, patience);
    executor_.RunAll();
    for (int i = 0; i < 20; ++i) Turn();
    return cart;
  };
  const int late = lose(absl::Seconds(1));
  ASSERT_FALSE(Open(late));
  EXPECT_TRUE(IsUnknownCommit(answers_.at(late).status())) << answers_.at(late).status();
  const int patient = lose(absl::Seconds(2));
  EXPECT_TRUE(Open(patient)) << "whoever asks again would only meet the same lock";
  ledger_.locked.clear();
  Turn();
  EXPECT_TRUE(Sold(patient));
}

TEST_F(CartPipelineTest, AfterAStopNothingWaits) {
  ledger_.locked = {"a"};
  const int slow = Buy({"a"});
  executor_.RunAll();
  for (int i = 0; i < 2; ++i) Buy({"b"});
  const int queued = Buy({"b"});
  const int under_way = Buy({"c"});
  ledger_.locked = {"c"};
  pipeline_.Stop();
  executor_.RunAll();
  for (const int cart : {slow, queued, under_way, Buy({"b"})}) {
    ASSERT_FALSE(Open(cart)) << cart;
    EXPECT_TRUE(absl::IsCancelled(answers_.at(cart).status())) << answers_.at(cart).status();
  }
  EXPECT_EQ(pipeline_.waiting(), 0u);
}

TEST_F(CartPipelineTest, WithoutRoomACartIsRefusedAndMakesRoom) {
  executor_.room = 0;
  for (int i = 0; i < 5; ++i) {
    const int cart = Buy({"a"});
    ASSERT_FALSE(Open(cart));
    EXPECT_TRUE(absl::IsResourceExhausted(answers_.at(cart).status()));
  }
  executor_.room = 8;
  const int cart = Buy({"a"});
  executor_.RunAll();
  EXPECT_TRUE(Sold(cart));
}

}  // namespace
}  // namespace tranche::storage
