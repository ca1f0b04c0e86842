// Moves of a SKU between two shards on real databases, with the mover killed between any two of its steps.
#include "storage/shards/sku_move.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "storage/postgres/postgres_draw_ledger.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "storage/postgres/postgres_shard_ledger.h"
#include "storage/postgres/postgres_sku_move_ledger.h"
#include "storage/postgres/postgres_upkeep_ledger.h"
#include "storage/shards/older_copies.h"
#include "tests/support/lent_database.h"
#include "tests/support/mini_postgres.h"

namespace tranche::storage {
namespace {

using ::testing::IsEmpty;

PoolOptions ToPool(const testing::LentDatabase& database) {
  PoolOptions options;
  options.dsn = database.node_dsn();
  options.max_connections = 4;
  return options;
}

struct ShardUnderTest {
  explicit ShardUnderTest(std::string shard_name) : name(std::move(shard_name)) {}

  const std::string name;
  testing::LentDatabase database;
  ConnectionPool pool{ToPool(database)};
  PostgresLedger sales{&pool};
  PostgresStockLedger stock{&pool};
  PostgresLifecycleLedger life{&pool};
  PostgresUpkeepLedger upkeep{&pool};
  PostgresShardLedger shards{&pool};
  PostgresSkuMoveLedger moves{&pool};
  PostgresDrawLedger draws{&pool};
};

// Other things happen between the mover's calls, and after some call the mover dies.
struct MoverFate {
  int calls = 0;
  int dies_after = -1;            // -1: never
  bool refuses_the_last = false;  // the call after which it dies is lost on the way to the server
  std::function<void()> meanwhile = [] {};

  bool Dead() const { return dies_after >= 0 && calls >= dies_after; }

  template <typename Call>
  auto Do(const Call& call) -> decltype(call()) {
    if (Dead()) return absl::UnavailableError("the mover is dead");
    meanwhile();
    ++calls;
    if (Dead() && refuses_the_last) return absl::UnavailableError("lost on the way");
    return call();
  }
};

class MortalMoveLedger : public SkuMoveLedger {
 public:
  MortalMoveLedger(SkuMoveLedger* real, MoverFate* fate) : real_(real), fate_(fate) {}

  absl::StatusOr<SkuWhereabouts> Where(const std::string& sku_id) override {
    return fate_->Do([&] { return real_->Where(sku_id); });
  }
  absl::StatusOr<std::vector<ListedWhereabouts>> ListWhereabouts(const std::string& after, int limit) override {
    return real_->ListWhereabouts(after, limit);
  }
  absl::StatusOr<PreparedLeave> PrepareLeave(const std::string& sku_id, const std::string& token) override {
    return fate_->Do([&] { return real_->PrepareLeave(sku_id, token); });
  }
  absl::StatusOr<std::string> Snapshot() override {
    return fate_->Do([&] { return real_->Snapshot(); });
  }
  absl::Status BeginLeave(const std::string& sku_id, const std::string& token, const std::string& target,
                          const Actor& actor) override {
    return fate_->Do([&] { return real_->BeginLeave(sku_id, token, target, actor); });
  }
  absl::StatusOr<SkuPage> ExportPage(const std::string& sku_id, SkuPart part, const std::string& since,
                                     const PageCursor& after, int limit) override {
    return fate_->Do([&] { return real_->ExportPage(sku_id, part, since, after, limit); });
  }
  absl::StatusOr<ExportedSku> ExportSku(const std::string& sku_id, const std::string& token) override {
    return fate_->Do([&] { return real_->ExportSku(sku_id, token); });
  }
  absl::StatusOr<bool> CancelLeave(const std::string& sku_id, const std::string& token, const Actor& actor) override {
    return fate_->Do([&] { return real_->CancelLeave(sku_id, token, actor); });
  }
  absl::Status FinishLeave(const std::string& sku_id, const std::string& target, const std::string& token,
                           const Actor& actor) override {
    return fate_->Do([&] { return real_->FinishLeave(sku_id, target, token, actor); });
  }
  absl::StatusOr<bool> GiveUpOlderCopy(const std::string& sku_id, const std::string& shard, int64_t moves,
                                       const Actor& actor) override {
    return real_->GiveUpOlderCopy(sku_id, shard, moves, actor);
  }
  absl::Status BeginArrival(const std::string& sku_row, const std::string& source, const std::string& token) override {
    return fate_->Do([&] { return real_->BeginArrival(sku_row, source, token); });
  }
  absl::Status ImportPage(const std::string& sku_id, const std::string& token, SkuPart part,
                          const std::string& rows) override {
    return fate_->Do([&] { return real_->ImportPage(sku_id, token, part, rows); });
  }
  absl::Status FinishArrival(const ExportedSku& sku, const std::string& token, const Actor& actor) override {
    return fate_->Do([&] { return real_->FinishArrival(sku, token, actor); });
  }
  absl::StatusOr<bool> CancelArrival(const std::string& sku_id) override {
    return fate_->Do([&] { return real_->CancelArrival(sku_id); });
  }
  absl::StatusOr<int64_t> Purge(const std::string& sku_id, int limit) override {
    return fate_->Do([&] { return real_->Purge(sku_id, limit); });
  }
  absl::Status NoteWhereabouts(const std::string& sku_id, const std::string& shard) override {
    return fate_->Do([&] { return real_->NoteWhereabouts(sku_id, shard); });
  }

 private:
  SkuMoveLedger* const real_;
  MoverFate* const fate_;
};

class SkuMoveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Copies of one template would look like one database.
    const absl::Status renumbered =
        testing::ExecuteSql(b_.database.owner_dsn(), "UPDATE tranche.shard_identity SET ledger_id = gen_random_uuid()");
    ASSERT_TRUE(renumbered.ok()) << renumbered;
    const auto home = home_.shards.Identity();
    ASSERT_TRUE(home.ok()) << home.status();
    const auto adopted = b_.shards.Adopt("b", home->ledger_id, {"default"}, "test");
    ASSERT_TRUE(adopted.ok()) << adopted.status();
    ASSERT_TRUE(home_.shards.AddShard("b", b_.database.node_dsn(), "test").ok());
    const auto node = home_.stock.RegisterIncarnation("node", "host:1");
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = *node;
    ASSERT_TRUE(b_.shards.RegisterIncarnationAs({node_, "node", "host:1", absl::Now(), false}).ok());
  }

  void Create(const std::string& sku_id, int64_t stock, int32_t per_user_limit = 1) {
    Sku sku;
    sku.sku_id = sku_id;
    sku.title = "A \"thing\", (really) \\ {yes}";
    sku.price_minor = 500;
    sku.currency = "EUR";
    sku.stock = stock;
    sku.per_user_limit = per_user_limit;
    sku.slots_per_slice = 2;
    const auto created = home_.stock.CreateSku(sku, "test");
    ASSERT_TRUE(created.ok()) << created.status();
    const auto moved = home_.stock.MoveUnits(sku_id, {{QuotaDelta{node_, stock - 5}}}, std::nullopt, "test");
    ASSERT_TRUE(moved.ok()) << moved.status();
  }

  // A new claim; remembers the id if it was created.
  CommitResult Claim(ShardUnderTest& shard, const std::string& sku_id) {
    ReservationClaim claim{Uuid{}, sku_id, absl::StrCat("user \"", ++serial_, "\", {x}\\"), 1};
    for (size_t i = 0; i < 4; ++i) claim.reservation_id.bytes[i] = static_cast<uint8_t>(serial_ >> (8 * i));
    const auto result = shard.sales.CommitReservations(node_, LockMode::kWait, {&claim, 1});
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return {};
    if (result->front().outcome == CommitOutcome::kCreated) created_.push_back(claim.reservation_id);
    return result->front();
  }

  // Some calls of every kind, on the shard that accepts them. Never on two shards.
  void DoBusiness(const std::string& sku_id) {
    const bool at_home = Claim(home_, sku_id).outcome == CommitOutcome::kCreated;
    const bool at_b = Claim(b_, sku_id).outcome == CommitOutcome::kCreated;
    EXPECT_FALSE(at_home && at_b) << "for sale on both shards";
    if (at_home || at_b) ++sold_while_moving_;
    if (created_.size() < 3) return;
    const Uuid& id = created_[static_cast<size_t>(serial_) % created_.size()];
    int found = 0, leaving = 0;
    for (ShardUnderTest* shard : {&home_, &b_}) {
      const Cancellation cancellation{id, "x"};
      const auto result = serial_ % 4 == 0 ? shard->life.ConfirmReservations({{Payment{id, "ref, \"1\"", 500, "EUR"}}})
                                           : shard->life.CancelReservations({&cancellation, 1});
      EXPECT_TRUE(result.ok()) << result.status();
      if (!result.ok() || result->front().refusal == Refusal::kReservationNotFound) continue;
      // Where it has left, and nobody has said so yet.
      const bool moving = result->front().refusal == Refusal::kSkuMoving;
      (moving ? leaving : found) += 1;
    }
    EXPECT_LE(found, 1) << "a reservation is changed at one shard only";
    EXPECT_EQ(std::max(found, leaving), 1) << "and always known to one";
  }

  absl::Status Run(MoverFate& fate, const std::string& sku_id, const std::string& target, bool abort = false) {
    MortalMoveLedger home(&home_.moves, &fate), b(&b_.moves, &fate);
    SkuMoveOptions options;
    options.page_rows = 7;
    options.purge_rows = 5;
    options.few_changes = 2;
    options.max_rounds = 2;
    options.max_pause = absl::InfiniteDuration();  // slowness of a busy machine must not end the move
    SkuMove move(
        {{kHomeShard, &home}, {"b", &b}}, Clock::Real(), options, [](const SkuMoveProgress&) {},
        [](const std::string&, bool) {});
    return abort ? move.Abort(sku_id, target, "test") : move.Run(sku_id, target, "test");
  }

  void RestoreHome(const std::string& sku_id);

  // The SKU is complete on exactly one shard, and the books of both balance.
  void ExpectWhole(const std::string& sku_id) {
    const auto place_at = [&](ShardUnderTest& shard) {
      const auto where = shard.moves.Where(sku_id);
      EXPECT_TRUE(where.ok()) << where.status();
      return where.ok() ? where->place : SkuWhereabouts::Place::kNowhere;
    };
    const bool decided =
        place_at(home_) == SkuWhereabouts::Place::kHere || place_at(b_) == SkuWhereabouts::Place::kHere;
    int owners = 0;
    for (ShardUnderTest* shard : {&home_, &b_}) {
      const auto where = shard->moves.Where(sku_id);
      ASSERT_TRUE(where.ok()) << where.status();
      // The shard that it is leaving has it until it is at the other one.
      const bool leaving = where->place == SkuWhereabouts::Place::kLeaving;
      const bool owner = where->place == SkuWhereabouts::Place::kHere || (leaving && !decided);
      owners += owner;
      EXPECT_EQ(shard->stock.GetSku(sku_id).ok(), owner || leaving);
      if (!leaving || owner) {
        for (const Uuid& id : created_) EXPECT_EQ(shard->sales.FindReservation(id).ok(), owner) << shard->name;
      }
      const auto report = shard->stock.Verify("");
      ASSERT_TRUE(report.ok()) << report.status();
      for (const LedgerViolation& violation : report->violations) {
        ADD_FAILURE() << shard->name << ": " << violation.rule << " of " << violation.sku_id << ": "
                      << violation.detail;
      }
    }
    EXPECT_EQ(owners, 1);
  }

  // No part of it is left.
  void ExpectGone(ShardUnderTest& shard, const std::string& sku_id) {
    const auto where = shard.moves.Where(sku_id);
    ASSERT_TRUE(where.ok()) << where.status();
    EXPECT_NE(where->place, SkuWhereabouts::Place::kHere);
    EXPECT_FALSE(where->leftovers);
    EXPECT_EQ(where->token, "");
  }

  ShardUnderTest home_{kHomeShard}, b_{"b"};
  IncarnationId node_ = kPool;
  int serial_ = 0;
  int sold_while_moving_ = 0;
  std::vector<Uuid> created_;
};

TEST_F(SkuMoveTest, MovesThereAndBackWhileItSells) {
  Create("tv", 1000);
  for (int i = 0; i < 40; ++i) DoBusiness("tv");
  for (const std::string target : {"b", "home", "b"}) {
    MoverFate fate;
    fate.meanwhile = [&] { DoBusiness("tv"); };
    const absl::Status moved = Run(fate, "tv", target);
    ASSERT_TRUE(moved.ok()) << moved;
    ExpectWhole("tv");
    ExpectGone(target == "b" ? home_ : b_, "tv");
    EXPECT_EQ(Claim(target == "b" ? b_ : home_, "tv").outcome, CommitOutcome::kCreated) << "with the slots of before";
    EXPECT_EQ(Claim(target == "b" ? home_ : b_, "tv").refusal, Refusal::kSkuMoving);
  }
  EXPECT_GT(sold_while_moving_, 20);
}

TEST_F(SkuMoveTest, KilledAfterAnyStepItIsWholeAndTheNextRunEndsIt) {
  int steps = 0;
  for (int dies_after = 1;; ++dies_after) {
    const std::string sku = absl::StrCat("sku-", dies_after);
    Create(sku, 200);
    created_.clear();
    for (int i = 0; i < 10; ++i) DoBusiness(sku);
    MoverFate fate;
    fate.dies_after = dies_after;
    fate.meanwhile = [&] { DoBusiness(sku); };
    const absl::Status died = Run(fate, sku, "b");
    ExpectWhole(sku);
    DoBusiness(sku);
    // Every second one is undone in between, if possible.
    if (dies_after % 2 == 0) {
      MoverFate back;
      const absl::Status aborted = Run(back, sku, "b", /*abort=*/true);
      EXPECT_TRUE(aborted.ok() || b_.stock.GetSku(sku).ok()) << aborted;
      ExpectWhole(sku);
      if (aborted.ok()) {
        EXPECT_EQ(Claim(home_, sku).outcome, CommitOutcome::kCreated);
      }
    }
    MoverFate again;
    const absl::Status moved = Run(again, sku, "b");
    ASSERT_TRUE(moved.ok()) << "died after call " << dies_after << ": " << moved;
    ExpectWhole(sku);
    ExpectGone(home_, sku);
    EXPECT_EQ(Claim(b_, sku).outcome, CommitOutcome::kCreated);
    if (!fate.Dead()) break;
    steps = dies_after;
    if (HasFailure()) FAIL() << "with the mover dying after call " << dies_after << " (" << died << ")";
  }
  EXPECT_GT(steps, 20);
}

TEST_F(SkuMoveTest, GroupsMoveWhileTheyForm) {
  Create("tv", 1000);
  for (int i = 0; i < 60; ++i) EXPECT_EQ(Claim(home_, "tv").outcome, CommitOutcome::kCreated);
  // Twenty groups of three, as joins make them.
  const auto run = [](ShardUnderTest& shard, const std::string& sql) {
    const absl::Status done = testing::ExecuteSql(shard.database.owner_dsn(), sql);
    EXPECT_TRUE(done.ok()) << shard.name << ": " << done;
  };
  run(home_, R"(
    INSERT INTO tranche.group_offer VALUES ('tv', 'o', 3, 400, 3600, 600, 'REFUND', 1, now(), NULL);
    INSERT INTO tranche.group_buy (group_id, sku_id, offer_id, seats, opened_by, created_at, deadline_at)
    SELECT gen_random_uuid(), 'tv', 'o', 3, 'opener ' || i, now(), now() + interval '1 hour'
    FROM generate_series(1, 20) AS i;
    UPDATE tranche.reservation r SET group_id = g.group_id
    FROM (SELECT group_id, row_number() OVER () - 1 AS nth FROM tranche.group_buy) AS g,
         (SELECT reservation_id, row_number() OVER () - 1 AS nth FROM tranche.reservation) AS m
    WHERE r.reservation_id = m.reservation_id AND g.nth = m.nth / 3;
    INSERT INTO tranche.group_member (group_id, user_id, reservation_id, joined_at)
    SELECT r.group_id, r.user_id, r.reservation_id, now() FROM tranche.reservation r)");
  // Before each step of the mover one of them pays, while that is allowed.
  MoverFate fate;
  fate.meanwhile = [&] {
    const auto where = home_.moves.Where("tv");
    ASSERT_TRUE(where.ok()) << where.status();
    if (where->place != SkuWhereabouts::Place::kHere) return;
    run(home_, R"(
      WITH paid AS (
        UPDATE tranche.group_member SET seat_no = 1, payment_reference = 'p', paid_at = clock_timestamp()
        WHERE group_id = (SELECT group_id FROM tranche.group_buy WHERE seats_taken = 0 ORDER BY random() LIMIT 1)
          AND user_id = (SELECT max(m.user_id) FROM tranche.group_member m WHERE m.group_id = group_member.group_id)
        RETURNING group_id
      )
      UPDATE tranche.group_buy SET seats_taken = 1, revision = revision + 1
      WHERE group_id IN (SELECT group_id FROM paid))");
  };
  const absl::Status moved = Run(fate, "tv", "b");
  ASSERT_TRUE(moved.ok()) << moved;
  ExpectWhole("tv");
  ExpectGone(home_, "tv");
  run(b_, R"(
    DO $$ BEGIN
      ASSERT (SELECT count(*) FROM tranche.group_offer) = 1;
      ASSERT (SELECT count(*) FROM tranche.group_buy) = 20;
      ASSERT (SELECT count(*) FROM tranche.group_member) = 60;
      ASSERT (SELECT sum(seats_taken) FROM tranche.group_buy) > 3;
    END $$)");
  run(home_, R"(
    DO $$ BEGIN
      ASSERT NOT EXISTS (SELECT FROM tranche.group_offer);
      ASSERT NOT EXISTS (SELECT FROM tranche.group_buy);
      ASSERT NOT EXISTS (SELECT FROM tranche.group_member);
    END $$)");
}

TEST_F(SkuMoveTest, AFailingStepIsUndoneAndItSellsOn) {
  // The same id at the target, for another SKU: it cannot be copied.
  Create("tv", 100);
  Create("other", 100);
  MoverFate fate;
  ASSERT_TRUE(Run(fate, "other", "b").ok());
  EXPECT_EQ(Claim(b_, "other").outcome, CommitOutcome::kCreated);
  --serial_;
  EXPECT_EQ(Claim(home_, "tv").outcome, CommitOutcome::kCreated);
  const absl::Status moved = Run(fate, "tv", "b");
  EXPECT_EQ(moved.code(), absl::StatusCode::kInvalidArgument) << moved;
  EXPECT_EQ(Claim(home_, "tv").outcome, CommitOutcome::kCreated);
  EXPECT_EQ(b_.stock.GetSku("tv").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SkuMoveTest, UnitsOfAnIncarnationThatEndedMeanwhileAreInThePool) {
  Create("tv", 100);
  EXPECT_EQ(Claim(home_, "tv").outcome, CommitOutcome::kCreated);
  ASSERT_TRUE(b_.stock.ReclaimIncarnation(node_).ok());
  MoverFate fate;
  ASSERT_TRUE(Run(fate, "tv", "b").ok());
  const auto quota = b_.stock.ReadQuota("tv");
  ASSERT_TRUE(quota.ok()) << quota.status();
  ASSERT_EQ(quota->slices.size(), 1u);
  EXPECT_EQ(quota->slices[0].remaining, 99);
  ExpectWhole("tv");
}

TEST_F(SkuMoveTest, OneThatEndsDuringThePauseIsPooledWhenTheMoveIsTakenBack) {
  Create("tv", 100);
  MoverFate fate;
  std::set<std::string> tokens;
  fate.meanwhile = [&] {
    const auto where = home_.moves.Where("tv");
    if (where.ok() && where->place == SkuWhereabouts::Place::kLeaving && fate.dies_after < 0) {
      fate.dies_after = fate.calls + 1;
      EXPECT_TRUE(home_.stock.ReclaimIncarnation(node_).ok());
    }
  };
  EXPECT_FALSE(Run(fate, "tv", "b").ok());
  EXPECT_EQ(home_.stock.AddStock("tv", 1, std::nullopt, "test").status().code(), absl::StatusCode::kUnavailable);
  MoverFate back;
  ASSERT_TRUE(Run(back, "tv", "b", /*abort=*/true).ok());
  ExpectWhole("tv");
  const auto quota = home_.stock.ReadQuota("tv");
  ASSERT_TRUE(quota.ok()) << quota.status();
  EXPECT_EQ(quota->slices[0].remaining, 100);
}

TEST_F(SkuMoveTest, StepsOfAnAttemptThatIsOverDoNothing) {
  Create("tv", 100);
  const std::string t1 = "11111111-1111-1111-1111-111111111111", t2 = "22222222-2222-2222-2222-222222222222";
  const auto first = home_.moves.PrepareLeave("tv", t1);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(b_.moves.BeginArrival(first->sku_row, kHomeShard, t1).ok());
  ASSERT_TRUE(home_.moves.BeginLeave("tv", t1, "b", "test").ok());
  const auto exported = home_.moves.ExportSku("tv", t1);
  ASSERT_TRUE(exported.ok()) << exported.status();
  // Another mover takes over.
  ASSERT_TRUE(b_.moves.CancelArrival("tv").ok());
  ASSERT_TRUE(home_.moves.CancelLeave("tv", t1, "test").value_or(false));
  const auto second = home_.moves.PrepareLeave("tv", t2);
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_TRUE(b_.moves.BeginArrival(second->sku_row, kHomeShard, t2).ok());
  ASSERT_TRUE(home_.moves.BeginLeave("tv", t2, "b", "test").ok());
  // Then the first one continues.
  EXPECT_EQ(b_.moves.FinishArrival(*exported, t1, "test").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(home_.moves.CancelLeave("tv", t1, "test").value_or(true));
  EXPECT_TRUE(home_.moves.FinishLeave("tv", "b", t1, "test").ok());
  EXPECT_EQ(home_.moves.BeginLeave("tv", t1, "b", "test").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(b_.moves.ImportPage("tv", t1, SkuPart::kLive, "{}").code(), absl::StatusCode::kFailedPrecondition);
  ExpectWhole("tv");
  MoverFate fate;
  EXPECT_TRUE(Run(fate, "tv", "b").ok());
  ExpectWhole("tv");
}

// As if home had been restored to before the move of this SKU.
void SkuMoveTest::RestoreHome(const std::string& sku_id) {
  const absl::Status restored = testing::ExecuteSql(home_.database.owner_dsn(), absl::Substitute(R"(
    UPDATE tranche.sku SET whereabouts = 'HERE', other_shard = NULL, pool_waiting = true WHERE sku_id = '$0';
    INSERT INTO tranche.stock_slot (sku_id, slot_no, holder, allotted, remaining, version)
    VALUES ('$0', 0, NULL, 100, 100, 1))",
                                                                                                 sku_id));
  ASSERT_TRUE(restored.ok()) << restored;
}

TEST_F(SkuMoveTest, EachMoveIsCountedUnlessItIsTakenBack) {
  Create("tv", 100);
  const auto moves_at = [&](ShardUnderTest& shard) { return shard.moves.Where("tv")->moves; };
  EXPECT_EQ(moves_at(home_), 0);
  MoverFate fate;
  ASSERT_TRUE(Run(fate, "tv", "b").ok());
  EXPECT_EQ(moves_at(b_), 1);
  MoverFate dying;
  dying.dies_after = 6;
  EXPECT_FALSE(Run(dying, "tv", "home").ok());
  ASSERT_TRUE(Run(fate, "tv", "home", /*abort=*/true).ok());
  EXPECT_EQ(moves_at(b_), 1);
  ASSERT_TRUE(Run(fate, "tv", "home").ok());
  EXPECT_EQ(moves_at(home_), 2);
  EXPECT_EQ(b_.moves.ListWhereabouts("", 1)->front().where.moves, 1) << "when it left";
}

TEST_F(SkuMoveTest, AnOlderCopyThatCameBackIsGivenUpAndTheNewerOneIsNot) {
  Create("tv", 100);
  EXPECT_EQ(Claim(home_, "tv").outcome, CommitOutcome::kCreated);
  MoverFate fate;
  ASSERT_TRUE(Run(fate, "tv", "b").ok());
  RestoreHome("tv");
  const auto other = [](const std::string& name, SkuMoveLedger& ledger) {
    return [name, &ledger]() -> absl::StatusOr<std::vector<OlderCopies::OtherShard>> {
      return std::vector<OlderCopies::OtherShard>{{name, {std::shared_ptr<void>(), &ledger}}};
    };
  };
  OlderCopies at_b("b", &b_.moves, other("home", home_.moves), Clock::Real());
  OlderCopies at_home("home", &home_.moves, other("b", b_.moves), Clock::Real());
  EXPECT_EQ(at_b.Judge("tv", "home").value(), CopyCheck::Verdict::kCounts);
  EXPECT_EQ(at_home.Judge("tv", "b").value(), CopyCheck::Verdict::kGivenUp);
  EXPECT_EQ(at_home.Judge("tv", "b").value(), CopyCheck::Verdict::kOpen) << "it has gone";
  EXPECT_EQ(Claim(home_, "tv").refusal, Refusal::kSkuMoving);
  EXPECT_EQ(Claim(b_, "tv").outcome, CommitOutcome::kCreated);
  ASSERT_TRUE(Run(fate, "tv", "b").ok()) << "which clears the rows of the older copy away";
  ExpectWhole("tv");
  ExpectGone(home_, "tv");
}

// It may have a newer copy: what leaves now would look like the newest at its target.
TEST_F(SkuMoveTest, NothingLeavesWhileAShardIsSilent) {
  Create("tv", 100);
  MoverFate fate, dead;
  dead.dies_after = 0;
  MortalMoveLedger silent(&b_.moves, &dead);
  std::vector<bool> certain;
  SkuMove move(
      {{kHomeShard, &home_.moves}, {"b", &b_.moves}, {"c", &silent}}, Clock::Real(), SkuMoveOptions(),
      [](const SkuMoveProgress&) {}, [&](const std::string&, bool all_say_so) { certain.push_back(all_say_so); });
  const absl::Status refused = move.Run("tv", "b", "test");
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_EQ(home_.moves.Where("tv")->place, SkuWhereabouts::Place::kHere);
  EXPECT_TRUE(certain.empty());
  // Where it is already, it is not announced against the silent one's word.
  EXPECT_TRUE(absl::IsUnavailable(move.Run("tv", "home", "test")));
  EXPECT_EQ(certain, std::vector<bool>{false});
  ASSERT_TRUE(Run(fate, "tv", "b").ok());
  ExpectWhole("tv");
}

// While shards are being migrated one after the other.
TEST_F(SkuMoveTest, ARowOfAnotherSchemaIsRefusedAndTheSkuSellsOn) {
  Create("tv", 100);
  b_.database.KeepFromOthers();
  ASSERT_TRUE(
      testing::ExecuteSql(b_.database.owner_dsn(), "ALTER TABLE tranche.sku ADD COLUMN of_the_next_version integer")
          .ok());
  MoverFate fate;
  const absl::Status refused = Run(fate, "tv", "b");
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << refused;
  EXPECT_EQ(Claim(home_, "tv").outcome, CommitOutcome::kCreated);
  EXPECT_EQ(b_.moves.Where("tv")->place, SkuWhereabouts::Place::kNowhere);
}

TEST_F(SkuMoveTest, AnOlderCopyThatCameBackStopsEveryMove) {
  Create("tv", 100);
  EXPECT_EQ(Claim(home_, "tv").outcome, CommitOutcome::kCreated);
  MoverFate fate;
  ASSERT_TRUE(Run(fate, "tv", "b").ok());
  RestoreHome("tv");
  for (const char* target : {"b", "home"}) {
    for (const bool abort : {false, true}) {
      const absl::Status refused = Run(fate, "tv", target, abort);
      EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << target;
      EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("it is on home and b"));
    }
  }
  EXPECT_EQ(b_.moves.Where("tv")->place, SkuWhereabouts::Place::kHere) << "nothing was done";
  EXPECT_EQ(home_.moves.Where("tv")->place, SkuWhereabouts::Place::kHere);
}

// Its entries are not copied, and an award and its reservation are one transaction.
TEST_F(SkuMoveTest, ASkuWithADrawStaysUntilTheDrawIsRemoved) {
  Create("tv", 100);
  const NewDraw asked{.sku_id = "tv", .winners = 1, .public_source = "a newspaper"};
  ASSERT_TRUE(home_.draws.CreateDraw(asked, /*preview=*/false, "test").ok());
  const DrawEntryClaim alice{.sku_id = "tv", .user_id = "alice"};
  const auto refused = [&] {
    MoverFate fate;
    return Run(fate, "tv", "b");
  };
  const auto change = [&](DrawStep step) {
    const auto changed = home_.draws.ChangeDraw({"tv", 1}, step, "", /*preview=*/false, "test");
    ASSERT_TRUE(changed.ok()) << changed.status();
  };
  EXPECT_EQ(refused().code(), absl::StatusCode::kFailedPrecondition) << refused();
  EXPECT_EQ(Claim(home_, "tv").outcome, CommitOutcome::kCreated) << "it sells on";
  EXPECT_EQ(home_.draws.EnterDraws(LockMode::kWait, {&alice, 1})->front().refusal, Refusal::kNone);
  change(DrawStep::kCancel);
  EXPECT_EQ(refused().code(), absl::StatusCode::kFailedPrecondition) << "its entries would be lost";
  EXPECT_EQ(home_.moves.Where("tv")->place, SkuWhereabouts::Place::kHere);
  EXPECT_EQ(b_.moves.Where("tv")->place, SkuWhereabouts::Place::kNowhere);
  change(DrawStep::kRemove);
  MoverFate fate;
  const absl::Status moved = Run(fate, "tv", "b");
  ASSERT_TRUE(moved.ok()) << moved;
  ExpectWhole("tv");
  const auto next = b_.draws.CreateDraw(asked, /*preview=*/false, "test");
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->key.number, 2) << "numbers are not used again, there neither";
  EXPECT_TRUE(absl::IsNotFound(home_.draws.GetDraw({"tv", 0}).status()));
}

TEST_F(SkuMoveTest, AShardIsAddedOnceUnderOneNameToOneHome) {
  const auto home = home_.shards.Identity();
  ASSERT_TRUE(home.ok());
  const auto code = [](const absl::StatusOr<bool>& result) { return result.status().code(); };
  EXPECT_EQ(b_.shards.Adopt("b", home->ledger_id, {"default"}, "test").value_or(true), false) << "again";
  EXPECT_EQ(code(b_.shards.Adopt("c", home->ledger_id, {}, "test")), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(home_.shards.Adopt("c", home->ledger_id, {}, "test")), absl::StatusCode::kFailedPrecondition);
  ShardUnderTest used("used");
  ASSERT_TRUE(
      testing::ExecuteSql(used.database.owner_dsn(), "UPDATE tranche.shard_identity SET ledger_id = gen_random_uuid()")
          .ok());
  ASSERT_TRUE(used.stock.RegisterIncarnation("n", "a:1").ok());
  EXPECT_EQ(code(used.shards.Adopt("c", home->ledger_id, {}, "test")), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(used.shards.Adopt("home", home->ledger_id, {}, "test")), absl::StatusCode::kInvalidArgument);
  // It numbers no incarnations of its own.
  EXPECT_EQ(b_.stock.RegisterIncarnation("n", "a:1").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SkuMoveTest, AnIdIsOneSkusOverAllShards) {
  EXPECT_TRUE(home_.shards.ReserveSku("tv", "b").ok());
  EXPECT_TRUE(home_.shards.ReserveSku("tv", "b").ok()) << "an earlier try got no further";
  Sku sku;
  sku.sku_id = "tv";
  sku.title = "t";
  sku.currency = "EUR";
  EXPECT_EQ(home_.stock.CreateSku(sku, "test").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(b_.stock.CreateSku(sku, "test").ok());
  Create("radio", 10);
  EXPECT_EQ(home_.shards.ReserveSku("radio", "b").code(), absl::StatusCode::kAlreadyExists);
}

}  // namespace
}  // namespace tranche::storage
