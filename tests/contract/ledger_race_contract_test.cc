// The ledger's rules under concurrency and under long random histories, on the fake and on PostgreSQL.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <random>
#include <thread>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "tests/contract/ledger_fixture.h"
#include "tests/contract/race.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::Retrying;
using testing::RunThreads;

class LedgerRaceContract : public LedgerContractTest {
 protected:
  std::vector<CommitResult> CommitRetrying(IncarnationId incarnation, LockMode mode,
                                           const std::vector<ReservationClaim>& claims) {
    auto results = Retrying([&] { return reservations().CommitReservations(incarnation, mode, claims); });
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? *std::move(results) : std::vector<CommitResult>();
  }
};
INSTANTIATE_TEST_SUITE_P(Both, LedgerRaceContract, BothLedgers(), LedgerName);

TEST_P(LedgerRaceContract, SameBuyersOnSeveralIncarnationsGetOneEach) {
  constexpr int kThreads = 4;
  constexpr int kBuyers = 120;
  Create(SkuOf("tv", 10'000));
  std::array<IncarnationId, kThreads> nodes;
  for (IncarnationId& node : nodes) node = HolderOf("tv", 1000);
  std::atomic<int> created{0};
  RunThreads(kThreads, [&](int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    std::vector<int> buyers(kBuyers);
    for (int i = 0; i < kBuyers; ++i) buyers[static_cast<size_t>(i)] = i;
    std::shuffle(buyers.begin(), buyers.end(), random);
    for (size_t start = 0; start < buyers.size(); start += 20) {
      std::vector<ReservationClaim> batch;
      for (size_t i = start; i < start + 20; ++i) batch.push_back(Claim("tv", absl::StrCat("u", buyers[i])));
      for (const CommitResult& result : CommitRetrying(nodes[static_cast<size_t>(thread)], LockMode::kWait, batch)) {
        if (result.outcome == CommitOutcome::kCreated) {
          ++created;
        } else {
          EXPECT_EQ(result.refusal, Refusal::kUserLimitReached);
        }
      }
    }
  });
  EXPECT_EQ(created, kBuyers);
  EXPECT_EQ(stock().GetSku("tv")->unsold, 10'000 - kBuyers);
}

TEST_P(LedgerRaceContract, LimitsAboveOneHoldAcrossIncarnations) {
  constexpr int kThreads = 4;
  constexpr int kBuyers = 10;
  constexpr int kLimit = 5;
  Create(SkuOf("tv", 10'000, kLimit, /*slots=*/2));
  std::array<IncarnationId, kThreads> nodes;
  for (IncarnationId& node : nodes) node = HolderOf("tv", 1000);
  std::array<std::atomic<int>, kBuyers> units{};
  RunThreads(kThreads, [&](int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    for (int round = 0; round < 10; ++round) {
      std::vector<ReservationClaim> batch;
      std::vector<size_t> buyers;
      for (int i = 0; i < 12; ++i) {
        buyers.push_back(random() % kBuyers);
        batch.push_back(Claim("tv", absl::StrCat("u", buyers.back()), static_cast<int32_t>(random() % 3) + 1));
      }
      const auto results = CommitRetrying(nodes[static_cast<size_t>(thread)], LockMode::kWait, batch);
      for (size_t i = 0; i < results.size(); ++i) {
        if (results[i].outcome == CommitOutcome::kCreated) units[buyers[i]] += batch[i].quantity;
      }
    }
  });
  for (const std::atomic<int>& bought : units) EXPECT_EQ(bought, kLimit) << "demand is far above the limit";
}

TEST_P(LedgerRaceContract, TwoWritersOfOneSliceNeverOversell) {
  constexpr int kThreads = 4;
  constexpr int kStock = 150;
  Create(SkuOf("tv", kStock, /*per_user_limit=*/1, /*slots=*/3));
  const IncarnationId node = HolderOf("tv", kStock);
  std::atomic<int> created{0};
  RunThreads(kThreads, [&](int thread) {
    for (int round = 0; round < 8; ++round) {
      auto waiting = testing::ClaimsOf("tv", absl::StrCat("u", thread, "-", round, "-"), 10);
      for (const LockMode mode : {LockMode::kSkipLocked, LockMode::kWait}) {
        const auto results = CommitRetrying(node, mode, waiting);
        std::vector<ReservationClaim> busy;
        for (size_t i = 0; i < results.size(); ++i) {
          if (results[i].outcome == CommitOutcome::kCreated) {
            ++created;
          } else if (results[i].outcome == CommitOutcome::kBusy) {
            busy.push_back(waiting[i]);
          } else {
            EXPECT_EQ(results[i].outcome, CommitOutcome::kShort);
          }
        }
        waiting = busy;
      }
      EXPECT_TRUE(waiting.empty()) << "waiting decides";
    }
  });
  EXPECT_EQ(created, kStock);
  EXPECT_EQ(stock().GetSku("tv")->unsold, 0);
}

TEST_P(LedgerRaceContract, SameBatchSentByTwoIsCommittedOnce) {
  Create(SkuOf("tv", 1000));
  const IncarnationId a = HolderOf("tv", 500);
  const IncarnationId b = HolderOf("tv", 500);
  for (int round = 0; round < 20; ++round) {
    const auto batch = testing::ClaimsOf("tv", absl::StrCat("u", round, "-"), 10);
    std::array<std::vector<CommitResult>, 2> results;
    RunThreads(2, [&](int thread) {
      results[static_cast<size_t>(thread)] = CommitRetrying(thread == 0 ? a : b, LockMode::kWait, batch);
    });
    for (size_t i = 0; i < batch.size(); ++i) {
      ASSERT_EQ(results[0].size(), batch.size());
      ASSERT_EQ(results[1].size(), batch.size());
      const bool first = results[0][i].outcome == CommitOutcome::kCreated;
      EXPECT_EQ(results[first ? 0 : 1][i].outcome, CommitOutcome::kCreated);
      EXPECT_EQ(results[first ? 1 : 0][i].outcome, CommitOutcome::kReplayed);
    }
  }
  EXPECT_EQ(stock().GetSku("tv")->unsold, 800);
}

TEST_P(LedgerRaceContract, SalesMovesAndReclaimsAtOnceConserve) {
  constexpr int kStock = 400;
  Create(SkuOf("tv", kStock, /*per_user_limit=*/1, /*slots=*/2));
  std::array<std::atomic<IncarnationId>, 2> nodes{};
  for (auto& node : nodes) node = HolderOf("tv", 50);
  std::atomic<int> created{0};
  std::atomic<bool> selling{true};
  RunThreads(4, [&](int thread) {
    if (thread < 2) {
      for (int round = 0; round < 40; ++round) {
        const auto batch = testing::ClaimsOf("tv", absl::StrCat("u", thread, "-", round, "-"), 10);
        const auto results = CommitRetrying(nodes[static_cast<size_t>(thread)], LockMode::kWait, batch);
        for (const CommitResult& result : results) created += result.outcome == CommitOutcome::kCreated ? 1 : 0;
      }
      selling = false;
    } else if (thread == 2) {
      while (selling) {
        const auto moved = stock().MoveUnits("tv", {{nodes[0], -3}, {nodes[1], 20}}, std::nullopt, "test");
        EXPECT_TRUE(moved.ok()) << moved.status();
        const auto taken = stock().TakeFromPool({"tv", nodes[0], 5});
        EXPECT_TRUE(taken.ok()) << taken.status();
      }
    } else {
      while (selling) {
        EXPECT_TRUE(stock().ReclaimIncarnation(nodes[0]).ok());
        nodes[0] = HolderOf("tv", 30);
      }
    }
  });
  EXPECT_GT(created, 0);
  EXPECT_EQ(stock().GetSku("tv")->unsold, kStock - created);
}

TEST_P(LedgerRaceContract, NodesThatTakeAtOnceShareThePool) {
  // All run dry together, sell what they get, and ask again until the pool is empty.
  constexpr int kThreads = 8;
  constexpr int kStock = 500;
  Create(SkuOf("tv", kStock, /*per_user_limit=*/1, /*slots=*/2));
  std::array<IncarnationId, kThreads> nodes;
  for (IncarnationId& node : nodes) node = Register();
  std::atomic<int64_t> taken{0};
  std::atomic<int> created{0};
  RunThreads(kThreads, [&](int thread) {
    const IncarnationId node = nodes[static_cast<size_t>(thread)];
    for (int round = 0;; ++round) {
      const auto take = stock().TakeFromPool({"tv", node, 1});
      // Where the disk is slow, the others may hold the row for longer than a node waits: it asks again.
      if (absl::IsUnavailable(take.status()) && LedgerIsUp(take.status())) continue;
      ASSERT_TRUE(take.ok()) << take.status();
      if (take->taken == 0) break;
      taken += take->taken;
      const auto batch =
          testing::ClaimsOf("tv", absl::StrCat("u", thread, "-", round, "-"), static_cast<int>(take->taken));
      for (const CommitResult& result : CommitRetrying(node, LockMode::kWait, batch)) {
        created += result.outcome == CommitOutcome::kCreated ? 1 : 0;
      }
    }
  });
  EXPECT_EQ(taken, kStock);
  EXPECT_EQ(created, kStock);
  EXPECT_EQ(stock().GetSku("tv")->unsold, 0);
}

TEST_P(LedgerRaceContract, BatchesAndReclaimsAtOnceConserve) {
  // Every writer wants many SKUs and several incarnations, in its own order. The ledger's order must prevent deadlocks:
  // a call is repeated only a few times, and here none may fail.
  constexpr int kSkus = 12;
  constexpr int kStock = 200;
  std::vector<std::string> skus;
  for (int i = 0; i < kSkus; ++i) {
    skus.push_back(absl::StrCat("sku-", i));
    Create(SkuOf(skus.back(), kStock, /*per_user_limit=*/1, /*slots=*/2));
  }
  std::array<std::atomic<IncarnationId>, 3> nodes{};
  for (auto& node : nodes) node = Register();
  std::atomic<int> created{0};
  std::atomic<bool> moving{true};
  RunThreads(5, [&](int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    const auto pick = [&random](int below) { return static_cast<int>(random() % static_cast<uint32_t>(below)); };
    if (thread < 2) {
      // On the fake, all rounds can be over before a seller has had its turn: they go on until one has.
      for (int round = 0; round < 60 || (created == 0 && round < 100000); ++round) {
        std::vector<QuotaMove> moves;
        for (const std::string& sku_id : skus) {
          const IncarnationId other = nodes[static_cast<size_t>(1 + pick(2))];
          moves.push_back({sku_id, {{other, pick(21) - 8}, {nodes[0], pick(21) - 8}}, std::nullopt});
        }
        std::shuffle(moves.begin(), moves.end(), random);
        const auto results = stock().MoveUnitsBatch(moves, "test");
        ASSERT_TRUE(results.ok()) << results.status();
        for (const auto& result : *results) EXPECT_TRUE(result.ok()) << result.status();
      }
      moving = false;
    } else if (thread < 4) {
      for (int round = 0; moving; ++round) {
        std::vector<ReservationClaim> batch;
        for (const std::string& sku_id : skus) batch.push_back(Claim(sku_id, absl::StrCat("u", thread, "-", round)));
        for (const CommitResult& result : CommitRetrying(nodes[static_cast<size_t>(pick(3))], LockMode::kWait, batch)) {
          created += result.outcome == CommitOutcome::kCreated ? 1 : 0;
        }
      }
    } else {
      while (moving) {
        const auto ended = static_cast<size_t>(pick(3));
        // Moves share an incarnation's row, and here they come without a pause: on a busy machine they can exceed a
        // statement's timeout. Then the call is repeated, as the balancer does.
        absl::Status reclaimed;
        do {
          reclaimed = stock().ReclaimIncarnation(nodes[ended]).status();
        } while (absl::IsUnavailable(reclaimed) && moving);
        EXPECT_TRUE(reclaimed.ok() || absl::IsUnavailable(reclaimed)) << reclaimed;
        nodes[ended] = Register();
        EXPECT_TRUE(stock().SetDraining(nodes[ended], true, "test").ok());
      }
    }
  });
  int64_t unsold = 0;
  for (const std::string& sku_id : skus) unsold += stock().GetSku(sku_id)->unsold;
  EXPECT_GT(created, 0);
  EXPECT_EQ(unsold, kSkus * kStock - created);
}

// A random history of every call, checked after each step against what must hold for any ledger.
class RandomHistory {
 public:
  RandomHistory(ReservationLedger* reservations, StockLedger* stock, uint32_t seed)
      : reservations_(reservations), stock_(stock), random_(seed) {}

  void AddSku(const std::string& sku_id) { skus_.push_back(sku_id); }

  void Step() {
    switch (Pick(17)) {
      case 0:
        if (const auto id = stock_->RegisterIncarnation("node", "a:1"); id.ok()) nodes_.push_back(*id);
        break;
      case 1:
        if (!nodes_.empty() && Pick(4) == 0) {
          EXPECT_TRUE(stock_->ReclaimIncarnation(AnyNode()).ok());
        }
        break;
      case 2:
        EXPECT_TRUE(stock_->AddStock(AnySku(), 1 + Pick(20), std::nullopt, "test").ok());
        break;
      case 3:
        EXPECT_TRUE(stock_->ReduceStock(AnySku(), 1 + Pick(10), std::nullopt, "test").ok());
        break;
      case 4:
      case 5:
      case 6:
        MoveSomething();
        break;
      case 7:
        EXPECT_TRUE(stock_->SetQuotaFrozen(AnySku(), Pick(2) == 0, "test").ok());
        break;
      case 8:
        if (!nodes_.empty()) (void)stock_->SetDraining(AnyNode(), Pick(2) == 0, "test");
        break;
      case 9:
        MoveMany();
        break;
      case 10:
      case 11:
        TakeSomething();
        break;
      case 12:
        ChangeTerms();
        break;
      default:
        CommitSomething();
    }
  }

 private:
  int Pick(int below) { return static_cast<int>(random_() % static_cast<uint32_t>(below)); }
  const std::string& AnySku() { return skus_[static_cast<size_t>(Pick(static_cast<int>(skus_.size())))]; }
  IncarnationId AnyNode() { return nodes_[static_cast<size_t>(Pick(static_cast<int>(nodes_.size())))]; }

  void MoveSomething() {
    std::vector<QuotaDelta> deltas;
    for (const IncarnationId node : nodes_) {
      if (Pick(2) == 0) deltas.push_back({node, Pick(41) - 15});
    }
    const std::string& sku_id = AnySku();
    const auto before = stock_->ReadQuota(sku_id);
    const auto after = stock_->MoveUnits(sku_id, deltas, before->quota_version, "test");
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(Unsold(*after), Unsold(*before)) << "a move makes and loses nothing";
  }

  void TakeSomething() {
    if (nodes_.empty()) return;
    const PoolRequest request{AnySku(), AnyNode(), 1 + Pick(12)};
    const auto before = stock_->ReadQuota(request.sku_id);
    const auto take = stock_->TakeFromPool(request);
    const auto after = stock_->ReadQuota(request.sku_id);
    ASSERT_TRUE(before.ok() && take.ok() && after.ok()) << take.status();
    EXPECT_EQ(Unsold(*after), Unsold(*before));
    EXPECT_EQ(take->sku.unsold, Unsold(*before));
    EXPECT_EQ(before->slices[0].remaining - after->slices[0].remaining, take->taken);
    EXPECT_TRUE(take->taken == 0 || take->taken >= request.wanted);
  }

  void ChangeTerms() {
    const std::string& sku_id = AnySku();
    const bool pause = Pick(4) == 0;
    const auto paused = stock_->SetSkuPaused(sku_id, pause, pause ? "a break" : "", std::nullopt, "test");
    ASSERT_TRUE(paused.ok()) << paused.status();
    Sku sku = *paused;
    sku.price_minor = 1 + Pick(500);
    sku.per_user_limit = 1 + Pick(5);
    const auto updated = stock_->UpdateSku(sku, "test");
    ASSERT_TRUE(updated.ok()) << updated.status();
    EXPECT_EQ(updated->per_user_limit, sku.per_user_limit);
    EXPECT_EQ(updated->unsold, sku.unsold) << "no unit moves";
  }

  void MoveMany() {
    std::vector<QuotaMove> moves;
    for (const std::string& sku_id : skus_) {
      QuotaMove move{sku_id, {}, std::nullopt};
      for (const IncarnationId node : nodes_) {
        if (Pick(2) == 0) move.deltas.push_back({node, Pick(41) - 20});
      }
      moves.insert(moves.begin() + Pick(static_cast<int>(moves.size()) + 1), std::move(move));
    }
    const auto before = stock_->ReadQuotas(skus_);
    const auto after = stock_->MoveUnitsBatch(moves, "test");
    ASSERT_TRUE(before.ok() && after.ok()) << after.status();
    for (size_t i = 0; i < moves.size(); ++i) {
      ASSERT_TRUE((*after)[i].ok()) << (*after)[i].status();
      EXPECT_EQ((*after)[i]->sku.sku_id, moves[i].sku_id);
      for (const SkuQuota& old : *before) {
        if (old.sku.sku_id != moves[i].sku_id) continue;
        EXPECT_EQ((*after)[i]->sku.unsold, old.sku.unsold) << "a move makes and loses nothing";
      }
    }
  }

  void CommitSomething() {
    if (nodes_.empty()) return;
    std::vector<ReservationClaim> batch;
    absl::flat_hash_set<Uuid> ids;
    for (int i = 1 + Pick(12); i > 0; --i) {
      const bool again = !sent_.empty() && Pick(4) == 0;
      ReservationClaim claim = again ? sent_[static_cast<size_t>(Pick(static_cast<int>(sent_.size())))]
                                     : Claim(AnySku(), absl::StrCat("u", Pick(40)), 1 + Pick(4));
      if (ids.insert(claim.reservation_id).second) batch.push_back(claim);
    }
    const IncarnationId node = AnyNode();
    const LockMode mode = Pick(2) == 0 ? LockMode::kWait : LockMode::kSkipLocked;
    const auto results = reservations_->CommitReservations(node, mode, batch);
    ASSERT_TRUE(results.ok()) << results.status();
    for (size_t i = 0; i < batch.size(); ++i) {
      const CommitOutcome outcome = (*results)[i].outcome;
      const bool known = committed_.contains(batch[i].reservation_id);
      EXPECT_EQ(outcome == CommitOutcome::kReplayed, known);
      if (outcome == CommitOutcome::kCreated) committed_.insert(batch[i].reservation_id);
      sent_.push_back(batch[i]);
    }
  }

  static int64_t Unsold(const QuotaSnapshot& quota) {
    int64_t unsold = 0;
    for (const HeldSlice& slice : quota.slices) unsold += slice.remaining;
    return unsold;
  }

  ReservationLedger* const reservations_;
  StockLedger* const stock_;
  std::mt19937 random_;
  std::vector<std::string> skus_;
  std::vector<IncarnationId> nodes_;
  std::vector<ReservationClaim> sent_;
  absl::flat_hash_set<Uuid> committed_;
};

TEST_P(LedgerRaceContract, RandomHistoriesConserveAtEveryStep) {
  const char* const given = std::getenv("TRANCHE_TEST_SEED");
  const uint32_t seed = given != nullptr ? static_cast<uint32_t>(std::stoul(given)) : std::random_device()();
  RecordProperty("seed", absl::StrCat(seed));
  SCOPED_TRACE(absl::StrCat("TRANCHE_TEST_SEED=", seed));
  RandomHistory history(&reservations(), &stock(), seed);
  int slots = 1;
  for (const char* sku : {"one", "three", "five"}) {
    Create(SkuOf(sku, 60, /*per_user_limit=*/slots, slots));
    history.AddSku(sku);
    slots += 2;
  }
  for (int step = 0; step < 400 && !HasFailure(); ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    history.Step();
    ExpectConserved();
  }
}

// The same change of a SKU's terms at both.
void ChangeTermsOf(const std::vector<StockLedger*>& ledgers, std::mt19937& random) {
  const auto pick = [&random](int below) { return static_cast<int>(random() % static_cast<uint32_t>(below)); };
  const bool pause = pick(3) == 0;
  const int64_t price = 1 + pick(3);
  const int32_t limit = 1 + pick(4);
  const absl::Duration hold = absl::Minutes(10 + pick(2));
  for (StockLedger* ledger : ledgers) {
    ASSERT_TRUE(ledger->SetSkuPaused("tv", pause, pause ? "a break" : "", std::nullopt, "test").ok());
    Sku sku = *ledger->GetSku("tv");
    sku.price_minor = price;
    sku.per_user_limit = limit;
    sku.hold = hold;
    sku.title = pause ? "later" : "now";
    ASSERT_TRUE(ledger->UpdateSku(sku, "test").ok());
  }
}

TEST_P(LedgerRaceContract, BothLedgersGiveTheSameAnswers) {
  // The fake runs beside the ledger under test: the same history must give the same outcomes and quota at each step.
  const char* const given = std::getenv("TRANCHE_TEST_SEED");
  const uint32_t seed = given != nullptr ? static_cast<uint32_t>(std::stoul(given)) : std::random_device()();
  SCOPED_TRACE(absl::StrCat("TRANCHE_TEST_SEED=", seed));
  const auto fake = LedgerBackend::Fake();
  Create(SkuOf("tv", 80, /*per_user_limit=*/4, /*slots=*/3));
  ASSERT_TRUE(fake->stock().CreateSku(SkuOf("tv", 80, 4, 3), "test").ok());
  std::mt19937 random(seed);
  const auto pick = [&random](int below) { return static_cast<int>(random() % static_cast<uint32_t>(below)); };
  std::vector<IncarnationId> nodes;
  for (int i = 0; i < 3; ++i) {
    nodes.push_back(Register());
    ASSERT_EQ(*fake->stock().RegisterIncarnation("node", "a:1"), nodes.back());
  }
  for (int step = 0; step < 150 && !HasFailure(); ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    if (pick(3) == 0) {
      const std::vector<QuotaDelta> deltas = {
          {nodes[0], pick(30) - 12}, {nodes[1], pick(30) - 12}, {nodes[2], pick(30) - 12}};
      Move("tv", deltas);
      ASSERT_TRUE(fake->stock().MoveUnits("tv", deltas, std::nullopt, "test").ok());
      if (pick(3) == 0) {
        const int64_t units = 1 + pick(15);
        ASSERT_EQ(stock().ReduceStock("tv", units, std::nullopt, "test")->units_taken,
                  fake->stock().ReduceStock("tv", units, std::nullopt, "test")->units_taken);
      }
      EXPECT_EQ(*stock().ListPooledSkus("", 9), *fake->stock().ListPooledSkus("", 9));
    }
    if (pick(4) == 0) ChangeTermsOf({&stock(), &fake->stock()}, random);
    std::vector<ReservationClaim> batch;
    for (int i = 0; i < 6; ++i) batch.push_back(Claim("tv", absl::StrCat("u", pick(30)), 1 + pick(4)));
    const IncarnationId node = nodes[static_cast<size_t>(pick(3))];
    const LockMode mode = pick(2) == 0 ? LockMode::kWait : LockMode::kSkipLocked;
    const auto expected = fake->reservations().CommitReservations(node, mode, batch);
    ASSERT_TRUE(expected.ok()) << expected.status();
    const std::vector<Answer> outcomes = Outcomes(node, batch, mode);
    for (size_t i = 0; i < batch.size(); ++i) EXPECT_EQ(outcomes[i], Answer((*expected)[i])) << "claim " << i;
    const QuotaSnapshot fake_quota = *fake->stock().ReadQuota("tv");
    const QuotaSnapshot quota = *stock().ReadQuota("tv");
    ASSERT_EQ(quota.slices.size(), fake_quota.slices.size());
    for (size_t i = 0; i < quota.slices.size(); ++i) {
      EXPECT_EQ(quota.slices[i].remaining, fake_quota.slices[i].remaining);
      EXPECT_EQ(quota.slices[i].allotted, fake_quota.slices[i].allotted);
      EXPECT_EQ(quota.slices[i].version, fake_quota.slices[i].version);
    }
    if (pick(10) == 0) {
      EXPECT_EQ(*stock().ReclaimIncarnation(nodes[0]), *fake->stock().ReclaimIncarnation(nodes[0]));
      nodes[0] = Register();
      ASSERT_EQ(*fake->stock().RegisterIncarnation("node", "a:1"), nodes[0]);
      ASSERT_TRUE(stock().AddStock("tv", 20, std::nullopt, "test").ok());
      ASSERT_TRUE(fake->stock().AddStock("tv", 20, std::nullopt, "test").ok());
    }
  }
  const std::vector<AuditEntry> expected = *fake->stock().ListAudit({}, 0, 10'000);
  const std::vector<AuditEntry> entries = *stock().ListAudit({}, 0, 10'000);
  ASSERT_EQ(entries.size(), expected.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].action, expected[i].action);
    EXPECT_EQ(entries[i].incarnation, expected[i].incarnation);
    EXPECT_EQ(entries[i].before, expected[i].before);
    EXPECT_EQ(entries[i].after, expected[i].after);
  }
}

}  // namespace
}  // namespace tranche::storage
