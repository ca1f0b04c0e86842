// Draws on real servers: from the first entry to the last payment, and when something ends in between.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <optional>
#include <pqxx/pqxx>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/integration/draw_fixture.h"
#include "tests/support/mini_postgres.h"
#include "tranche/error.h"

namespace tranche::testing {
namespace {

using Step = v1::ChangeDrawRequest;
using Told = v1::GetDrawEntryResponse;

constexpr absl::Duration kLongHold = absl::Minutes(15);

// Wide enough for who enters twice in two draws.
v1::FrontPolicy TokenAndLimit() {
  v1::FrontPolicy policy;
  policy.mutable_purchase_token()->mutable_lifetime()->set_seconds(600);
  v1::RateLimit* limit = policy.add_limits();
  limit->set_key(v1::RateLimit::KEY_USER);
  limit->set_tries(12);
  limit->mutable_per()->set_seconds(3600);
  limit->set_burst(12);
  return policy;
}

class DrawTest : public DrawFixture {
 protected:
  // Each at the node of their number; every fourth again at the other one.
  void EnterWithTokens(const std::string& sku, const std::string& prefix, int buyers) {
    for (int i = 0; i < buyers; ++i) {
      const std::string user = absl::StrCat(prefix, i);
      const int node = i % kDrawNodes;
      const std::string token = TokenOf(sku, user, node);
      Enter(sku, user, node, token);
      if (i % 4 == 0) {
        EXPECT_TRUE(Enter(sku, user, 1 - node, token).replayed);
      }
    }
  }
  Reason ReasonOfEntering(const std::string& user, const std::string& token, int node = 0) {
    return ReasonOf(at(node).EnterDraw({.sku = "tv", .user = user, .purchase_token = token}).status());
  }
  std::vector<v1::DrawAward> PendingOf(const std::string& sku) {
    std::vector<v1::DrawAward> awards = AwardsOf(sku);
    std::erase_if(awards, [](const v1::DrawAward& award) { return award.outcome() != Told::OUTCOME_PENDING; });
    return awards;
  }
  void CloseAndSeed(const std::string& sku) {
    Change(sku, Step::STEP_CLOSE);
    AwaitState(sku, v1::Draw::STATE_CLOSED);
    Change(sku, Step::STEP_SEED, SeedOf(sku));
  }

  void CheckWhoIsRefused();
  void CheckAClosedDraw();
  void CheckWhatBuyersAreTold(DrawState state);
  void DrawAgain(const std::string& earlier_winner);
};

// While the draw is open.
void DrawTest::CheckWhoIsRefused() {
  for (int node = 0; node < kDrawNodes; ++node) {
    const absl::Status claimed = at(node).Create({.sku = "tv", .user = absl::StrCat("hasty-", node)}).status();
    EXPECT_EQ(ReasonOf(claimed), Reason::kDrawDecides) << claimed;
    EXPECT_EQ(ReasonOfEntering("tokenless", "", node), Reason::kPurchaseTokenRequired);
  }
  EXPECT_EQ(ReasonOfEntering("bob", TokenOf("tv", "carol", 0)), Reason::kPurchaseTokenInvalid);
  const std::string token = TokenOf("tv", "pest", 0);
  Enter("tv", "pest", 0, token);
  bool limited = false;
  for (int i = 0; i < 100 && !limited; ++i) limited = ReasonOfEntering("pest", token) == Reason::kRateLimited;
  EXPECT_TRUE(limited) << "entries are tries, too";
  EXPECT_EQ(ReasonOf(client_->GetDrawEntry({.sku = "tv", .user = "bob"}).status()), Reason::kDrawEntryNotFound);
}

void DrawTest::CheckAClosedDraw() {
  const std::string token = TokenOf("tv", "late", 1);
  const absl::Status late = at(1).EnterDraw({.sku = "tv", .user = "late", .purchase_token = token}).status();
  EXPECT_EQ(ReasonOf(late), Reason::kDrawNotOpen) << late;
  EXPECT_EQ(ErrorMetadata(late, "state"), "CLOSED");
  CheckSealed("tv");
  const absl::Status wrong = TryChange("tv", Step::STEP_SEED, SeedOf("another"));
  EXPECT_EQ(ReasonOf(wrong), Reason::kDrawSeedMismatch) << wrong;
  EXPECT_EQ(DrawOf("tv").state(), v1::Draw::STATE_CLOSED);
  const DrawEntry waiting = AwaitEntry("tv", "buyer-1", DrawOutcome::kWaiting, DrawState::kClosed);
  CheckProof(waiting);
  EXPECT_EQ(waiting.draw.seed, "");
}

// Who has the last award, and one who has none.
void DrawTest::CheckWhatBuyersAreTold(DrawState state) {
  const std::vector<v1::DrawAward> awards = AwardsOf("tv");
  ASSERT_FALSE(awards.empty());
  const DrawEntry won = AwaitEntry("tv", awards.back().user_id(), DrawOutcome::kPending, state);
  EXPECT_EQ(won.reservation_id, awards.back().reservation_id());
  CheckProof(won);
  std::set<std::string> awarded;
  for (const v1::DrawAward& award : awards) awarded.insert(award.user_id());
  const auto without = std::find_if(entries_["tv"].begin(), entries_["tv"].end(),
                                    [&](const auto& entry) { return !awarded.contains(entry.first); });
  ASSERT_NE(without, entries_["tv"].end());
  const DrawEntry other = AwaitEntry(
      "tv", without->first, state == DrawState::kFinished ? DrawOutcome::kNotDrawn : DrawOutcome::kWaiting, state);
  EXPECT_EQ(other.reservation_id, "");
  EXPECT_GT(other.rank, other.draw.cutoff);
  CheckProof(other);
}

// With as many units as new buyers, and one who has all that they may have.
void DrawTest::DrawAgain(const std::string& earlier_winner) {
  CreateDraw("tv", 4);
  EXPECT_EQ(DrawOf("tv").number(), 2);
  Enter("tv", earlier_winner, 1, tokens_[earlier_winner]);
  EnterWithTokens("tv", "again-", 3);
  CloseAndSeed("tv");
  AwaitDraw("tv", "three have won", [](const v1::Draw& draw) { return draw.pending() == 3 && draw.lapsed() == 1; });
  AwaitEntry("tv", earlier_winner, DrawOutcome::kPassedOver, DrawState::kDrawn);
  for (const v1::DrawAward& award : PendingOf("tv")) Pay("tv", award);
  const v1::Draw draw = AwaitState("tv", v1::Draw::STATE_FINISHED);
  EXPECT_EQ(draw.confirmed(), 3);
  CheckAwards("tv", 4);
  EXPECT_EQ(UnitsOf("tv"), 0);
}

TEST_F(DrawTest, FromTheFirstEntryToTheLastPayment) {
  constexpr int kStock = 23, kBuyers = 200, kWinners = 20, kPaid = 12, kCancelled = 5;
  OpenDrawnSale("tv", kStock, kLongHold, TokenAndLimit());
  EXPECT_EQ(ReasonOfEntering("early", TokenOf("tv", "early", 0)), Reason::kDrawNotOpen) << "there is none yet";
  CreateDraw("tv", kWinners);
  EnterWithTokens("tv", "buyer-", kBuyers);
  CheckWhoIsRefused();
  EXPECT_EQ(PoolOf("tv"), kStock) << "entries and refused claims move no unit to the nodes";
  Change("tv", Step::STEP_CLOSE);
  EXPECT_EQ(AwaitState("tv", v1::Draw::STATE_CLOSED).entries(), kBuyers + 1);
  CheckAClosedDraw();

  Change("tv", Step::STEP_SEED, SeedOf("tv"));
  AwaitDraw("tv", "all have won", [](const v1::Draw& draw) { return draw.pending() == kWinners; });
  CheckAwards("tv", kWinners);
  EXPECT_EQ(UnitsOf("tv"), kStock - kWinners);
  std::vector<v1::DrawAward> winners = PendingOf("tv");
  ASSERT_EQ(winners.size(), static_cast<size_t>(kWinners));
  CheckWhatBuyersAreTold(DrawState::kDrawn);
  for (int i = 0; i < kPaid + kCancelled; ++i) {
    const v1::DrawAward& award = winners[static_cast<size_t>(i)];
    if (i < kPaid) {
      Pay("tv", award);
    } else {
      Cancel("tv", award);
    }
  }
  AwaitDraw("tv", "the next have won", [](const v1::Draw& draw) {
    return draw.confirmed() == kPaid && draw.lapsed() == kCancelled && draw.pending() == kWinners - kPaid;
  });
  CheckAwards("tv", kWinners + kCancelled);
  AwaitEntry("tv", winners[0].user_id(), DrawOutcome::kConfirmed, DrawState::kDrawn);
  AwaitEntry("tv", winners[kPaid].user_id(), DrawOutcome::kLapsed, DrawState::kDrawn);

  for (const v1::DrawAward& award : PendingOf("tv")) Pay("tv", award);
  EXPECT_EQ(AwaitState("tv", v1::Draw::STATE_FINISHED).confirmed(), kWinners);
  CheckAwards("tv", kWinners + kCancelled);
  EXPECT_EQ(UnitsOf("tv"), kStock - kWinners);
  CheckLedger();

  // The pest has no try left.
  DrawAgain(winners[winners[0].user_id() == "pest" ? 1 : 0].user_id());
  Change("tv", Step::STEP_REMOVE);
  EXPECT_EQ(DrawOf("tv").number(), 1);
}

class DrawFaultTest : public DrawTest {
 protected:
  // While it lives, nobody else gets the locks that the statement takes.
  class Lock {
   public:
    Lock(const MiniPostgres& postgres, const std::string& statement) : connection_(postgres.dsn()), work_(connection_) {
      work_.exec(statement);
    }

   private:
    pqxx::connection connection_;
    pqxx::work work_;
  };

  void KillWorker() {
    const absl::Status killed = cluster_->worker(cluster_->workers() - 1).Kill();
    ASSERT_TRUE(killed.ok()) << killed;
  }
  void StartWorker() {
    const auto started = cluster_->StartWorker();
    ASSERT_TRUE(started.ok()) << started.status();
  }
  // Until a call of this procedure waits for a lock.
  void AwaitBlocked(const std::string& procedure) {
    pqxx::connection connection(cluster_->postgres().dsn());
    AwaitTrue(absl::StrCat(procedure, " waits"), [&] {
      pqxx::nontransaction look(connection);
      return look.exec_params1("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1",
                               absl::StrCat("%", procedure, "%"))[0]
                 .as<int>() > 0;
    });
  }

  // Ranks are added to no other table. A worker that finds the draw's row locked does not wait.
  static constexpr char kLockRanks[] = "LOCK TABLE tranche.draw_rank IN SHARE MODE";
  static constexpr char kLockSlots[] = "SELECT FROM tranche.stock_slot WHERE sku_id = 'tv' ORDER BY slot_no FOR UPDATE";
};

// More entries than one chunk of the sealed list has. Workers are killed while they seal, rank and award: what they had
// asked for may still be done by the database, after them.
TEST_F(DrawFaultTest, KilledWorkersAndARestartedDatabaseChangeNothing) {
  constexpr int kBuyers = 1500, kWinners = 30;
  OpenDrawnSale("tv", kWinners, kLongHold, {});
  CreateDraw("tv", kWinners);
  EnterMany("tv", "buyer-", kBuyers);
  KillWorker();
  Change("tv", Step::STEP_CLOSE);
  EXPECT_EQ(DrawOf("tv").state(), v1::Draw::STATE_CLOSING);
  StartWorker();
  EXPECT_EQ(AwaitState("tv", v1::Draw::STATE_CLOSED).entries(), kBuyers);
  CheckSealed("tv");

  KillWorker();
  const absl::Status restarted = cluster_->postgres().KillAndRestart();
  ASSERT_TRUE(restarted.ok()) << restarted;
  Change("tv", Step::STEP_SEED, SeedOf("tv"));
  std::optional<Lock> ranking(std::in_place, cluster_->postgres(), kLockRanks);
  StartWorker();
  AwaitBlocked("rank_draw");
  KillWorker();
  std::optional<Lock> awarding(std::in_place, cluster_->postgres(), kLockSlots);
  ranking.reset();
  StartWorker();
  AwaitBlocked("award_draw");
  EXPECT_EQ(DrawOf("tv").state(), v1::Draw::STATE_DRAWN);
  EXPECT_EQ(AwardsOf("tv").size(), 0u);
  KillWorker();
  awarding.reset();
  StartWorker();

  AwaitDraw("tv", "all have won", [](const v1::Draw& draw) { return draw.pending() == kWinners; });
  CheckAwards("tv", kWinners);
  EXPECT_EQ(UnitsOf("tv"), 0);
  EXPECT_EQ(RowsOf("tv").size(), static_cast<size_t>(kWinners)) << "each has one reservation";
  CheckWhatBuyersAreTold(DrawState::kDrawn);
}

// The other draw shows how often the worker has looked: whom it awards a unit never pay, so that it goes on to its end.
TEST_F(DrawTest, APauseStopsAwardsAndNoOtherDraw) {
  constexpr int kWinners = 3;
  OpenDrawnSale("tv", kWinners, kLongHold, {});
  OpenDrawnSale("radio", 1, absl::Seconds(1), {});
  CreateDraw("tv", kWinners);
  CreateDraw("radio", 1);
  EnterMany("tv", "buyer-", 10);
  EnterMany("radio", "buyer-", 3);
  CloseAndSeed("tv");
  AwaitDraw("tv", "all have won", [](const v1::Draw& draw) { return draw.pending() == kWinners; });
  SetPaused("tv", true);
  for (const v1::DrawAward& award : PendingOf("tv")) Cancel("tv", award);

  CloseAndSeed("radio");
  const v1::Draw radio = AwaitState("radio", v1::Draw::STATE_FINISHED);
  EXPECT_EQ(radio.confirmed(), 0);
  EXPECT_EQ(radio.lapsed(), 3);
  CheckAwards("radio", 3);
  EXPECT_EQ(UnitsOf("radio"), 1);
  const v1::Draw paused = DrawOf("tv");
  EXPECT_EQ(paused.state(), v1::Draw::STATE_DRAWN);
  EXPECT_EQ(paused.pending(), 0);
  EXPECT_EQ(paused.lapsed(), kWinners) << "it is seen who has lapsed";
  CheckAwards("tv", kWinners);

  SetPaused("tv", false);
  AwaitDraw("tv", "the next have won", [](const v1::Draw& draw) { return draw.pending() == kWinners; });
  CheckAwards("tv", 2 * kWinners);
  Change("tv", Step::STEP_FINISH);
  CheckWhatBuyersAreTold(DrawState::kFinished);
  Pay("tv", PendingOf("tv").at(0));
  EXPECT_EQ(UnitsOf("tv"), 0) << "winners keep their reservations";
}

}  // namespace
}  // namespace tranche::testing
