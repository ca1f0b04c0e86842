// The books over two shards, each with a ledger in memory.
#include "storage/shards/shard_router.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/fake/fake_draw_ledger.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/ledger_error.h"
#include "tests/support/inline_executor.h"

namespace tranche::storage {
namespace {

using ::testing::UnorderedElementsAre;

// Meets deadlocks when a late payment is decided.
class DeadlockingLedger : public FakeLedger {
 public:
  using FakeLedger::FakeLedger;

  absl::StatusOr<ChangeResult> ConfirmLate(const Payment& payment) override {
    ++late_payments;
    if (late_payments <= deadlocks) return RetryTransactionError("deadlock");
    if (locked) return BusyError("lock timeout");
    return FakeLedger::ConfirmLate(payment);
  }

  int late_payments = 0;
  int deadlocks = 0;
  bool locked = false;
};

// Says of any SKU that it is on its way to another shard.
class MovingDraws : public FakeDrawLedger {
 public:
  using FakeDrawLedger::FakeDrawLedger;

  absl::StatusOr<std::vector<DrawEntryResult>> EnterDraws(LockMode mode,
                                                          absl::Span<const DrawEntryClaim> claims) override {
    ++calls;
    if (!moving) return FakeDrawLedger::EnterDraws(mode, claims);
    return std::vector<DrawEntryResult>(claims.size(), DrawEntryResult{.refusal = Refusal::kSkuMoving});
  }

  std::atomic<int> calls{0};
  std::atomic<bool> moving{false};
};

class FakeShard : public ShardBackend {
 public:
  FakeShard(std::string shard_name, DeadlockingLedger* ledger, DrawLedger* draw_ledger, Clock* clock,
            Executor* blocking)
      : pipeline_(std::make_unique<CommitPipeline>(ledger, clock, OneLane())),
        change_pipeline_(std::make_unique<ChangePipeline>(ledger, clock, OneLane())),
        entry_pipeline_(std::make_unique<EntryPipeline>(draw_ledger, clock, OneLane())),
        cart_pipeline_(ledger, blocking, clock) {
    name = std::move(shard_name);
    reservations = ledger;
    stock = ledger;
    lifecycle = ledger;
    claims = pipeline_.get();
    changes = change_pipeline_.get();
    carts = &cart_pipeline_;
    draws = draw_ledger;
    entries = entry_pipeline_.get();
    executor = blocking;
  }
  void StopPipelines() override {
    pipeline_.reset();
    change_pipeline_.reset();
    entry_pipeline_.reset();
  }

 private:
  static PipelineOptions OneLane() {
    PipelineOptions options;
    options.lanes = 1;
    options.retry_interval = absl::Milliseconds(1);
    return options;
  }

  std::unique_ptr<CommitPipeline> pipeline_;
  std::unique_ptr<ChangePipeline> change_pipeline_;
  std::unique_ptr<EntryPipeline> entry_pipeline_;
  CartPipeline cart_pipeline_;
};

// Home alone; with AddEast a second shard.
class ShardRouterTest : public ::testing::Test {
 protected:
  ShardRouterTest() {
    home_node_ = Stock(home_, "tv");
    east_node_ = Stock(east_, "radio");
  }
  // As in a node: a lane may hold the last reference to a shard, and cannot end itself.
  ~ShardRouterTest() override { shards_.StopPipelines(); }

  IncarnationId Stock(FakeLedger& ledger, const std::string& sku_id) {
    Sku sku;
    sku.sku_id = sku_id;
    sku.price_minor = 5;
    sku.currency = "EUR";
    sku.stock = 10;
    sku.per_user_limit = 10;
    EXPECT_TRUE(ledger.CreateSku(sku, "test").ok());
    const IncarnationId node = *ledger.RegisterIncarnation("n", "a:1");
    EXPECT_TRUE(ledger.MoveUnits(sku_id, {{node, 10}}, std::nullopt, "test").ok());
    return node;
  }
  void AddEast() {
    east_known_ = true;
    ASSERT_TRUE(shards_.Refresh().ok());
  }

  static Uuid IdOf(uint8_t number) {
    Uuid id;
    id.bytes[15] = number;
    return id;
  }
  void Reserve(FakeLedger& ledger, IncarnationId node, const std::string& sku_id, uint8_t number) {
    const ReservationClaim claim{IdOf(number), sku_id, "alice", 1};
    ASSERT_TRUE(ledger.CommitReservations(node, LockMode::kWait, {&claim, 1}).ok());
  }

  // Calls a method of the books, and waits for its answer.
  template <typename Result, typename Call>
  absl::StatusOr<Result> Ask(const Call& call) {
    absl::Mutex mutex;
    std::optional<absl::StatusOr<Result>> answer;
    call([&](absl::StatusOr<Result> result) {
      absl::MutexLock lock(&mutex);
      answer = std::move(result);
    });
    absl::MutexLock lock(&mutex);
    const auto answered = [&] { return answer.has_value(); };
    if (!mutex.AwaitWithTimeout(absl::Condition(&answered), absl::Seconds(10))) return absl::InternalError("no answer");
    return *std::move(answer);
  }
  absl::StatusOr<ChangeResult> Apply(const std::string& shard, Change change) {
    return Ask<ChangeResult>([&](auto done) { router_.Apply(shard, std::move(change), Soon(), std::move(done)); });
  }
  absl::StatusOr<DrawEntryResult> EnterDraw(const std::string& shard, const std::string& sku_id,
                                            const std::string& user_id = "alice") {
    return Ask<DrawEntryResult>(
        [&](auto done) { router_.EnterDraw(shard, {.sku_id = sku_id, .user_id = user_id}, Soon(), std::move(done)); });
  }
  static void BeginDraw(DrawLedger& draws, const std::string& sku_id) {
    const NewDraw asked{.sku_id = sku_id, .winners = 1, .public_source = "a newspaper"};
    ASSERT_TRUE(draws.CreateDraw(asked, /*preview=*/false, "test").ok());
  }
  absl::StatusOr<ChangeResult> ConfirmLate(const Uuid& id, absl::Time deadline, const std::string& sku_id = "tv") {
    return Ask<ChangeResult>([&](auto done) {
      router_.ConfirmLate({id, "pay", 5, "EUR"}, sku_id, deadline, std::move(done));
    });
  }
  absl::Time Soon() { return clock_.Now() + absl::Seconds(2); }

  // Home's list of shards.
  class Directory : public ShardLedger {
   public:
    explicit Directory(const bool* east_known) : east_known_(east_known) {}
    absl::StatusOr<SchemaRange> Schema() override { return SchemaRange{}; }
    absl::StatusOr<ShardIdentity> Identity() override { return ShardIdentity{}; }
    absl::StatusOr<absl::Time> ReadClock() override { return absl::UnixEpoch(); }
    absl::StatusOr<std::vector<Shard>> ListShards() override {
      if (!*east_known_) return std::vector<Shard>{};
      return std::vector<Shard>{{.name = "east", .dsn = "", .added_at = {}}};
    }
    absl::StatusOr<bool> AddShard(const std::string&, const std::string&, const Actor&) override { return false; }
    absl::Status ReserveSku(const std::string&, const std::string&) override { return absl::OkStatus(); }
    absl::StatusOr<bool> Adopt(const std::string&, const std::string&, const std::vector<std::string>&,
                               const Actor&) override {
      return false;
    }
    absl::StatusOr<bool> RegisterIncarnationAs(const Incarnation&) override { return true; }

   private:
    const bool* const east_known_;
  };
  std::unique_ptr<ShardBackend> MakeHome() {
    auto home = std::make_unique<FakeShard>(kHomeShard, &home_, &home_draws_, &clock_, &executor_);
    home->shards = &directory_;
    return home;
  }
  std::unique_ptr<ShardBackend> MakeEast() {
    auto east = std::make_unique<FakeShard>("east", &east_, &east_draws_, &clock_, &executor_);
    east->shards = &directory_;
    return east;
  }

  FakeClock clock_;
  DeadlockingLedger home_{&clock_};
  DeadlockingLedger east_{&clock_};
  MovingDraws home_draws_{&home_, &clock_};
  MovingDraws east_draws_{&east_, &clock_};
  bool east_known_ = false;
  Directory directory_{&east_known_};
  tranche::testing::InlineExecutor executor_;
  ShardSet shards_{MakeHome(), [this](const Shard&) { return MakeEast(); }, {}};
  ShardRouter router_{&shards_, &executor_, &executor_, &clock_};
  IncarnationId home_node_ = kPool;
  IncarnationId east_node_ = kPool;
};

TEST_F(ShardRouterTest, AClaimGoesToTheShardThatItsTermsName) {
  AddEast();
  const auto here = Ask<CommitResult>([&](auto done) {
    router_.Commit(kHomeShard, home_node_, {IdOf(1), "tv", "alice", 1}, Soon(), std::move(done));
  });
  EXPECT_EQ(here->outcome, CommitOutcome::kCreated);
  const auto there = Ask<CommitResult>([&](auto done) {
    router_.Commit("east", east_node_, {IdOf(2), "radio", "alice", 1}, Soon(), std::move(done));
  });
  EXPECT_EQ(there->outcome, CommitOutcome::kCreated);
  const auto nowhere = Ask<CommitResult>([&](auto done) {
    router_.Commit("west", east_node_, {IdOf(3), "radio", "alice", 1}, Soon(), std::move(done));
  });
  EXPECT_TRUE(absl::IsUnavailable(nowhere.status())) << nowhere.status();
}

TEST_F(ShardRouterTest, ACartGoesToTheShardThatItsTermsName) {
  AddEast();
  const auto commit = [&](const std::string& shard, absl::Time deadline) {
    return Ask<CartResult>([&](auto done) {
      router_.CommitCart(shard, east_node_, {{IdOf(2), "radio", "alice", 1}}, deadline, std::move(done));
    });
  };
  EXPECT_TRUE(absl::IsUnavailable(commit("west", Soon()).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(commit("east", clock_.Now()).status()));
  const auto cart = commit("east", Soon());
  ASSERT_TRUE(cart.ok()) << cart.status();
  EXPECT_TRUE(cart->committed);
  const auto read = Ask<std::vector<Reservation>>([&](auto done) {
    router_.FindReplicated("east", {IdOf(1), IdOf(2)}, Soon(), std::move(done));
  });
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().sku_id, "radio");
}

TEST_F(ShardRouterTest, RefusalsGoToTheShardThatIsNamed) {
  AddEast();
  const auto refuse = [&](const std::string& shard, absl::Time deadline) {
    const std::vector<ClaimRefusal> batch = {{.claim = {IdOf(2), "radio", "alice", 1}, .refusal = Refusal::kSoldOut}};
    return Ask<std::vector<RefuseResult>>(
        [&](auto done) { router_.RefuseClaims(shard, batch, deadline, std::move(done)); });
  };
  EXPECT_TRUE(absl::IsUnavailable(refuse("west", Soon()).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(refuse("east", clock_.Now()).status()));
  EXPECT_EQ(refuse(kHomeShard, Soon())->front().outcome, RefuseOutcome::kSkuNotFound);
  const auto refused = refuse("east", Soon());
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->front().outcome, RefuseOutcome::kRefused);
  EXPECT_EQ(RefusalOf(east_.FindReservation(IdOf(2)).value()), Refusal::kSoldOut);
  executor_.full = true;
  EXPECT_TRUE(absl::IsResourceExhausted(refuse("east", Soon()).status()));
  executor_.full = false;
}

TEST_F(ShardRouterTest, ASilentShardIsAskedForNoRefusals) {
  AddEast();
  east_.FailNext(1'000'000);
  const auto claim = Ask<CommitResult>([&](auto done) {
    router_.Commit("east", east_node_, {IdOf(1), "radio", "alice", 1}, Soon(), std::move(done));
  });
  EXPECT_TRUE(absl::IsUnavailable(claim.status())) << claim.status();
  while (shards_.Find("east")->Answers()) std::this_thread::yield();
  executor_.full = true;  // nor does it need a thread to say so
  const std::vector<ClaimRefusal> batch = {{.claim = {IdOf(2), "radio", "alice", 1}, .refusal = Refusal::kSoldOut}};
  const auto refused =
      Ask<std::vector<RefuseResult>>([&](auto done) { router_.RefuseClaims("east", batch, Soon(), std::move(done)); });
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
  executor_.full = false;
}

TEST_F(ShardRouterTest, APoolIsAskedOnTheShardThatIsNamed) {
  AddEast();
  ASSERT_TRUE(east_.AddStock("radio", 4, std::nullopt, "test").ok());
  const auto take = [&](const std::string& shard) {
    return Ask<PoolTake>([&](auto done) { router_.TakeFromPool(shard, {"radio", east_node_, 1}, std::move(done)); });
  };
  const auto taken = take("east");
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->taken, 2);
  EXPECT_EQ(taken->slice.allotted, 12);
  EXPECT_TRUE(absl::IsNotFound(take(kHomeShard).status())) << "the terms are outdated";
  EXPECT_TRUE(absl::IsUnavailable(take("west").status()));
}

TEST_F(ShardRouterTest, ReadsKeepNoPoolWaitingAndThePoolNoRead) {
  ASSERT_TRUE(home_.AddStock("tv", 4, std::nullopt, "test").ok());
  Reserve(home_, home_node_, "tv", 1);
  const auto find = [&] {
    const auto found =
        Ask<Reservation>([&](auto done) { router_.Find(IdOf(1), Assurance::kCommitted, Soon(), std::move(done)); });
    return found.status();
  };
  const auto find_sku = [&] { return Ask<Sku>([&](auto done) { router_.FindSku("tv", std::move(done)); }).status(); };
  const auto take = [&] {
    const auto taken = Ask<PoolTake>([&](auto done) {
      router_.TakeFromPool(kHomeShard, {"tv", home_node_, 1}, std::move(done));
    });
    return taken.status();
  };
  tranche::testing::InlineExecutor full;
  full.full = true;
  shards_.home().read_executor = &full;
  EXPECT_TRUE(absl::IsResourceExhausted(find())) << find();
  EXPECT_TRUE(absl::IsResourceExhausted(find_sku())) << find_sku();
  EXPECT_TRUE(take().ok()) << take();
  shards_.home().read_executor = nullptr;
  shards_.home().pool_executor = &full;
  EXPECT_TRUE(find().ok()) << find();
  EXPECT_TRUE(find_sku().ok()) << find_sku();
  EXPECT_TRUE(absl::IsResourceExhausted(take())) << take();
  shards_.home().pool_executor = nullptr;
}

TEST_F(ShardRouterTest, AChangeFindsItsReservationWhateverTheHint) {
  AddEast();
  Reserve(east_, east_node_, "radio", 2);
  for (const char* hint : {"east", kHomeShard, "west", ""}) {
    const auto result = Apply(hint, Cancellation{IdOf(2), "why"});
    ASSERT_TRUE(result.ok()) << hint << ": " << result.status();
    EXPECT_EQ(result->reservation.state, ReservationState::kCancelled) << hint;
  }
  EXPECT_EQ(Apply("", Cancellation{IdOf(9), "why"})->refusal, Refusal::kReservationNotFound);
  EXPECT_EQ(Apply("east", Extension{IdOf(9), 1, absl::Seconds(1)})->refusal, Refusal::kReservationNotFound);
}

TEST_F(ShardRouterTest, ASilentShardIsNotTakenForOneThatHasNothing) {
  AddEast();
  east_.FailNext(1000);
  const auto result = Apply("", Cancellation{IdOf(9), "why"});
  EXPECT_TRUE(absl::IsUnavailable(result.status())) << result.status();
  const auto found =
      Ask<Reservation>([&](auto done) { router_.Find(IdOf(9), Assurance::kReplicated, Soon(), std::move(done)); });
  EXPECT_TRUE(absl::IsUnavailable(found.status())) << found.status();
  const auto sku = Ask<Sku>([&](auto done) { router_.FindSku("sofa", std::move(done)); });
  EXPECT_TRUE(absl::IsUnavailable(sku.status())) << sku.status();
  const auto here = Ask<Sku>([&](auto done) { router_.FindSku("tv", std::move(done)); });
  EXPECT_TRUE(here.ok()) << here.status();
}

TEST_F(ShardRouterTest, WhatDoesNotExistIsFoundNowhere) {
  AddEast();
  const auto found =
      Ask<Reservation>([&](auto done) { router_.Find(IdOf(9), Assurance::kCommitted, Soon(), std::move(done)); });
  EXPECT_TRUE(absl::IsNotFound(found.status())) << found.status();
  const auto sku = Ask<Sku>([&](auto done) { router_.FindSku("radio", std::move(done)); });
  EXPECT_TRUE(sku.ok()) << sku.status();
}

// Nobody hears the answer. "Not found" would be a lie.
TEST_F(ShardRouterTest, WhatIsLookedUpTooLateIsNotAskedFor) {
  AddEast();
  Reserve(home_, home_node_, "tv", 1);
  const auto find = [&](uint8_t number, absl::Time deadline) {
    return Ask<Reservation>(
        [&](auto done) { router_.Find(IdOf(number), Assurance::kReplicated, deadline, std::move(done)); });
  };
  const auto find_cart = [&](absl::Time deadline) {
    return Ask<std::vector<Reservation>>(
        [&](auto done) { router_.FindReplicated("east", {IdOf(1)}, deadline, std::move(done)); });
  };
  for (FakeLedger* const ledger : {&home_, &east_}) ledger->FailNext(1);
  for (const uint8_t number : {1, 9}) {
    EXPECT_TRUE(absl::IsDeadlineExceeded(find(number, clock_.Now()).status())) << int{number};
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(find_cart(clock_.Now()).status()));
  EXPECT_TRUE(absl::IsUnavailable(find_cart(Soon()).status())) << "this is the first question";
  EXPECT_TRUE(absl::IsUnavailable(find(1, Soon()).status())) << "at home, too";
}

TEST_F(ShardRouterTest, ALatePaymentIsRepeatedAfterDeadlocksAFewTimes) {
  Reserve(home_, home_node_, "tv", 1);
  home_.deadlocks = 2;
  const auto paid = ConfirmLate(IdOf(1), Soon());
  ASSERT_TRUE(paid.ok()) << paid.status();
  EXPECT_EQ(home_.late_payments, 3);
  home_.deadlocks = 1000;
  EXPECT_TRUE(IsRetryTransaction(ConfirmLate(IdOf(1), Soon()).status()));
  EXPECT_EQ(home_.late_payments, 8) << "five tries";
  EXPECT_TRUE(absl::IsDeadlineExceeded(ConfirmLate(IdOf(1), clock_.Now()).status()));
  EXPECT_EQ(home_.late_payments, 8) << "it was sent after its deadline";
  executor_.full = true;
  EXPECT_TRUE(absl::IsResourceExhausted(ConfirmLate(IdOf(1), Soon()).status()));
}

// They share a few threads, so only one now and then waits for the lock.
TEST_F(ShardRouterTest, LatePaymentsOfALockedSkuHoldUpNoOther) {
  Reserve(home_, home_node_, "tv", 1);
  home_.locked = true;
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(FoundLocked(ConfirmLate(IdOf(1), Soon()).status()));
  EXPECT_EQ(home_.late_payments, 1);
  ConfirmLate(IdOf(1), Soon(), "sofa").IgnoreError();
  ConfirmLate(IdOf(1), Soon(), "").IgnoreError();
  ConfirmLate(IdOf(1), Soon(), "").IgnoreError();
  EXPECT_EQ(home_.late_payments, 4);
  clock_.AdvanceBy(absl::Seconds(1));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(FoundLocked(ConfirmLate(IdOf(1), Soon()).status()));
  EXPECT_EQ(home_.late_payments, 5);
  clock_.AdvanceBy(absl::Seconds(1));
  home_.locked = false;
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(ConfirmLate(IdOf(1), Soon()).ok());
}

TEST_F(ShardRouterTest, AListGoesThroughAllShards) {
  AddEast();
  Reserve(home_, home_node_, "tv", 1);
  Reserve(east_, east_node_, "radio", 2);
  std::vector<std::string> skus;
  ReservationCursor after;
  for (int pages = 0; pages < 10; ++pages) {
    const auto page = Ask<ReservationPage>([&](auto done) {
      router_.List({.sku_id = "", .user_id = "alice", .states = {}}, after, 1, Soon(), std::move(done));
    });
    ASSERT_TRUE(page.ok()) << page.status();
    for (const Reservation& one : page->reservations) skus.push_back(one.sku_id);
    if (!page->next.has_value()) break;
    after = *page->next;
  }
  EXPECT_THAT(skus, UnorderedElementsAre("tv", "radio"));
  const auto late = Ask<ReservationPage>([&](auto done) {
    router_.List({.sku_id = "", .user_id = "alice", .states = {}}, {}, 1, clock_.Now(), std::move(done));
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.status()));
}

TEST_F(ShardRouterTest, AnEntryFindsItsDrawWhateverTheHint) {
  AddEast();
  BeginDraw(home_draws_, "tv");
  BeginDraw(east_draws_, "radio");
  std::vector<Uuid> ids;
  for (const char* hint : {"east", kHomeShard, "west", ""}) {
    const auto entered = EnterDraw(hint, "radio");
    ASSERT_TRUE(entered.ok()) << hint << ": " << entered.status();
    EXPECT_EQ(entered->refusal, Refusal::kNone) << hint;
    EXPECT_EQ(entered->replayed, !ids.empty()) << hint;
    ids.push_back(entered->entry_id);
    EXPECT_EQ(ids.back(), ids.front()) << hint;
  }
  EXPECT_EQ(EnterDraw("", "tv")->refusal, Refusal::kNone);
  EXPECT_EQ(EnterDraw("", "sofa")->refusal, Refusal::kSkuNotFound);
  EXPECT_EQ(EnterDraw("east", "sofa")->refusal, Refusal::kSkuNotFound);
}

TEST_F(ShardRouterTest, AnEntryAsksNobodyElseIfTheHintIsRight) {
  AddEast();
  BeginDraw(east_draws_, "radio");
  EXPECT_EQ(EnterDraw("east", "radio")->refusal, Refusal::kNone);
  EXPECT_EQ(home_draws_.calls, 0);
  EXPECT_EQ(east_draws_.calls, 1);
}

TEST_F(ShardRouterTest, WithOneShardAnEntryGetsItsAnswerAsItIs) {
  EXPECT_EQ(EnterDraw("", "tv")->refusal, Refusal::kDrawNotOpen);
  EXPECT_EQ(EnterDraw("west", "radio")->refusal, Refusal::kSkuNotFound);
  BeginDraw(home_draws_, "tv");
  EXPECT_EQ(EnterDraw("", "tv")->refusal, Refusal::kNone);
}

TEST_F(ShardRouterTest, AnEntryForASkuThatMovesIsToldSo) {
  AddEast();
  BeginDraw(east_draws_, "radio");
  home_draws_.moving = true;
  EXPECT_EQ(EnterDraw(kHomeShard, "radio")->refusal, Refusal::kNone) << "it has arrived";
  east_draws_.moving = true;
  EXPECT_EQ(EnterDraw("east", "radio")->refusal, Refusal::kSkuMoving);
}

TEST_F(ShardRouterTest, ASilentShardMayHaveTheDraw) {
  AddEast();
  BeginDraw(home_draws_, "tv");
  east_draws_.FailNext(1000);
  EXPECT_TRUE(absl::IsUnavailable(EnterDraw("", "sofa").status()));
  EXPECT_EQ(EnterDraw("", "tv")->refusal, Refusal::kNone) << "that one is found";
}

// Its pipelines would keep requests waiting that nobody refuses, and its ledger would not be given up.
TEST_F(ShardRouterTest, AShardThatComesWhileTheNodeStopsIsNotTakenUp) {
  shards_.RefuseWaiting();
  AddEast();
  EXPECT_EQ(shards_.All().size(), 1u);
  EXPECT_EQ(shards_.Find("east"), nullptr);
}

}  // namespace
}  // namespace tranche::storage
