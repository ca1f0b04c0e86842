// Several shards as one stock ledger: what each method of the interfaces promises holds over all of them.
#include "storage/shards/routing_stock_ledger.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/fake/fake_ledger.h"
#include "storage/pipeline/commit_lane.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Place = SkuWhereabouts::Place;

// The stock ledger of one shard. `after`, if set, runs once, when the next call has been answered.
class HookedStock : public ForwardingStockLedger<HookedStock> {
 public:
  explicit HookedStock(FakeLedger* ledger) : ledger_(ledger) {}

  template <typename Ask>
  auto Around(const LedgerCall&, const Ask& ask) {
    auto answer = ask(*ledger_);
    if (const std::function<void()> hook = std::exchange(after, nullptr)) hook();
    return answer;
  }

  std::function<void()> after;

 private:
  FakeLedger* const ledger_;
};

// Home's list of shards.
class ListedShards : public ShardLedger {
 public:
  absl::StatusOr<SchemaRange> Schema() override { return SchemaRange{}; }
  absl::StatusOr<ShardIdentity> Identity() override { return ShardIdentity{}; }
  absl::StatusOr<absl::Time> ReadClock() override { return absl::UnixEpoch(); }
  absl::StatusOr<std::vector<Shard>> ListShards() override { return shards; }
  absl::StatusOr<bool> AddShard(const std::string&, const std::string&, const Actor&) override { return false; }
  absl::Status ReserveSku(const std::string& sku_id, const std::string&) override {
    if (taken) return absl::AlreadyExistsError("taken");
    reserved.insert(sku_id);
    return absl::OkStatus();
  }
  absl::StatusOr<bool> Adopt(const std::string&, const std::string&, const std::vector<std::string>&,
                             const Actor&) override {
    return false;
  }
  absl::StatusOr<bool> RegisterIncarnationAs(const Incarnation&) override { return true; }

  std::vector<Shard> shards;
  std::set<std::string> reserved;
  bool taken = false;  // no id is free
};

// What one shard knows about where SKUs are.
class NotedWhereabouts : public WhereaboutsLedger {
 public:
  absl::StatusOr<SkuWhereabouts> Where(const std::string& sku_id) override {
    if (const std::function<void()> hook = std::exchange(before_where, nullptr)) hook();
    const auto found = known.find(sku_id);
    return found == known.end() ? SkuWhereabouts() : found->second;
  }
  absl::StatusOr<std::vector<ListedWhereabouts>> ListWhereabouts(const std::string& after, int limit) override {
    std::vector<ListedWhereabouts> listed;
    for (auto sku = known.upper_bound(after); sku != known.end(); ++sku) {
      if (static_cast<int>(listed.size()) < limit) listed.push_back({sku->first, sku->second});
    }
    largest_page = std::max(largest_page, listed.size());
    return listed;
  }

  void Set(const std::string& sku_id, SkuWhereabouts::Place place, const std::string& other_shard = "",
           int64_t version = 1) {
    known[sku_id].place = place;
    known[sku_id].other_shard = other_shard;
    known[sku_id].version = version;
  }

  std::map<std::string, SkuWhereabouts> known;
  std::function<void()> before_where;  // if set, runs once, before the next answer
  size_t largest_page = 0;
};

struct ShardOfFakes : ShardBackend {
  ShardOfFakes(std::string shard, Clock* clock) : ledger(clock), hooked(&ledger), sales(clock) {
    PipelineOptions stepped;
    stepped.lanes = 0;
    pipeline = std::make_unique<CommitPipeline>(&sales, clock, stepped);
    lane = std::make_unique<CommitLane>(pipeline.get());
    name = std::move(shard);
    reservations = &ledger;
    stock = &hooked;
    shards = &listed;
    whereabouts = &noted;
    claims = pipeline.get();
  }

  // From now on it is known not to answer.
  void FallSilent() {
    sales.FailNext(1);
    pipeline->Submit(1, ReservationClaim{}, absl::InfiniteFuture(), [](const absl::StatusOr<CommitResult>&) {});
    lane->Step();
    ASSERT_FALSE(Answers());
  }

  FakeLedger ledger;
  HookedStock hooked;
  ListedShards listed;
  NotedWhereabouts noted;
  FakeLedger sales;  // of the pipeline, which shows whether it answers
  std::unique_ptr<CommitPipeline> pipeline;
  std::unique_ptr<CommitLane> lane;
};

class RoutingStockLedgerTest : public ::testing::Test {
 protected:
  RoutingStockLedgerTest() {
    home_->listed.shards = {{"s1", "dsn1", {}}, {"s2", "dsn2", {}}};
    EXPECT_TRUE(set_.Refresh().ok());
    for (ShardOfFakes* shard : {home_, s1_, s2_}) {
      node_ = *shard->ledger.RegisterIncarnation("node", "host:1");
      other_ = *shard->ledger.RegisterIncarnation("other", "host:2");
    }
  }
  ~RoutingStockLedgerTest() override { set_.StopMirrors(); }

  std::unique_ptr<ShardBackend> Make(const std::string& name) {
    auto made = std::make_unique<ShardOfFakes>(name, &clock_);
    (name == "s1" ? s1_ : s2_) = made.get();
    return made;
  }

  static Sku Wanted(const std::string& sku_id, const std::string& shard) {
    Sku sku;
    sku.sku_id = sku_id;
    sku.title = "A thing";
    sku.currency = "EUR";
    sku.stock = 10;
    sku.shard = shard;
    return sku;
  }
  static void Create(ShardOfFakes* shard, const std::string& sku_id) {
    EXPECT_TRUE(shard->ledger.CreateSku(Wanted(sku_id, shard->name), "test").ok());
  }
  // Into the slice of `node_`.
  void Give(ShardOfFakes* shard, const std::string& sku_id, int64_t units) const {
    EXPECT_TRUE(shard->ledger.MoveUnits(sku_id, {{node_, units}}, std::nullopt, "test").ok());
  }
  void Buy(ShardOfFakes* shard, const std::string& sku_id, Uuid id) const {
    const ReservationClaim claim{.reservation_id = id, .sku_id = sku_id, .user_id = "alice", .quantity = 1};
    EXPECT_EQ(shard->ledger.CommitReservations(node_, LockMode::kWait, {claim})->front().outcome,
              CommitOutcome::kCreated);
  }
  // Units come back into its empty pool.
  void ReturnOne(ShardOfFakes* shard, const std::string& sku_id) const {
    Give(shard, sku_id, 10);
    Uuid id{};
    id.bytes[0] = static_cast<uint8_t>(sku_id[0]);
    Buy(shard, sku_id, id);
    EXPECT_TRUE(shard->ledger.CancelReservations({Cancellation{id, ""}}).ok());
  }

  // "rule sku: detail" of all pages, as an operator's verification reads them.
  std::vector<std::string> VerifyAll(int page_size) {
    std::vector<std::string> violations;
    VerifyPosition after;
    while (true) {
      const absl::StatusOr<VerifyReport> page = ledger_.VerifyPage(after, page_size);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return violations;
      for (const LedgerViolation& violation : page->violations) {
        violations.push_back(absl::StrCat(violation.rule, " ", violation.sku_id, ": ", violation.detail));
      }
      if (!page->next.has_value()) return violations;
      after = *page->next;
    }
  }

  static std::vector<std::string> IdsOf(const absl::StatusOr<std::vector<Sku>>& skus) {
    std::vector<std::string> ids;
    for (const Sku& sku : skus.value()) ids.push_back(sku.sku_id);
    return ids;
  }

  FakeClock clock_;
  ShardOfFakes* s1_ = nullptr;
  ShardOfFakes* s2_ = nullptr;
  ShardOfFakes* home_ = new ShardOfFakes(kHomeShard, &clock_);  // owned by the set
  ShardSet set_{std::unique_ptr<ShardBackend>(home_), [this](const Shard& shard) { return Make(shard.name); },
                [](IncarnationId) {}};
  RoutingStockLedger ledger_{&set_};
  IncarnationId node_ = kPool;
  IncarnationId other_ = kPool;
};

TEST_F(RoutingStockLedgerTest, ListsTheSkusOfAllShardsAscendingInPages) {
  Create(home_, "b");
  Create(s1_, "d");
  Create(s1_, "a");
  Create(s2_, "c");
  EXPECT_THAT(IdsOf(ledger_.ListSkus("", 3)), ElementsAre("a", "b", "c"));
  EXPECT_THAT(IdsOf(ledger_.ListSkus("c", 3)), ElementsAre("d"));
}

TEST_F(RoutingStockLedgerTest, OfTwoCopiesListsTheOneThatHasArrived) {
  Create(home_, "tv");
  Create(s1_, "tv");
  Create(s2_, "tv");
  Give(s1_, "tv", 1);
  const auto skus = ledger_.ListSkus("", 10);
  ASSERT_EQ(skus->size(), 1u);
  EXPECT_EQ(skus->front().shard, "s1");
}

TEST_F(RoutingStockLedgerTest, FindsWhatMovesToAShardThatWasAskedAlready) {
  home_->hooked.after = [this] { Create(home_, "listed"); };
  EXPECT_THAT(IdsOf(ledger_.ListSkus("", 10)), ElementsAre("listed"));
  home_->hooked.after = [this] { Create(home_, "read"); };
  EXPECT_EQ(ledger_.ReadQuotas({"read"})->size(), 1u);
  home_->hooked.after = [this] { Create(home_, "moved"); };
  const QuotaMove move{"moved", {{node_, 4}}, std::nullopt};
  EXPECT_TRUE(ledger_.MoveUnitsBatch({move}, "test")->front().ok());
}

TEST_F(RoutingStockLedgerTest, ChangesASkuWhereItIs) {
  Create(s2_, "tv");
  EXPECT_EQ(ledger_.GetSku("tv")->shard, "s2");
  EXPECT_EQ(ledger_.AddStock("tv", 5, 10, "test")->stock, 15);
  EXPECT_EQ(ledger_.ReduceStock("tv", 2, std::nullopt, "test")->units_taken, 2);
  EXPECT_TRUE(ledger_.SetQuotaFrozen("tv", true, "test")->quota_frozen);
  EXPECT_TRUE(ledger_.CloseSku("tv", "test")->closed);
  EXPECT_TRUE(absl::IsAborted(ledger_.AddStock("tv", 5, 10, "test").status()));
  EXPECT_TRUE(absl::IsNotFound(ledger_.GetSku("radio").status()));
}

TEST_F(RoutingStockLedgerTest, ReadsQuotasAscending) {
  Create(home_, "b");
  Create(s1_, "c");
  Create(s2_, "a");
  const auto quotas = ledger_.ReadQuotas({"c", "none", "a", "b"});
  ASSERT_TRUE(quotas.ok()) << quotas.status();
  std::vector<std::string> ids;
  for (const SkuQuota& quota : *quotas) ids.push_back(quota.sku.sku_id);
  EXPECT_THAT(ids, ElementsAre("a", "b", "c"));
}

TEST_F(RoutingStockLedgerTest, EachMoveIsMadeOrRefusedByItself) {
  Create(home_, "b");
  Create(s1_, "c");
  Create(s2_, "a");
  const std::vector<QuotaMove> moves = {{"c", {{node_, 3}}, std::nullopt},
                                        {"none", {{node_, 1}}, std::nullopt},
                                        {"a", {{node_, 1}}, 7},
                                        {"b", {{node_, 2}}, std::nullopt}};
  const auto moved = ledger_.MoveUnitsBatch(moves, "test");
  ASSERT_TRUE(moved.ok()) << moved.status();
  ASSERT_EQ(moved->size(), 4u);
  EXPECT_EQ((*moved)[0]->quota.slices.back().remaining, 3);
  EXPECT_TRUE(absl::IsNotFound((*moved)[1].status()));
  EXPECT_TRUE(absl::IsAborted((*moved)[2].status()));
  EXPECT_EQ((*moved)[3]->quota.slices.back().remaining, 2);
}

TEST_F(RoutingStockLedgerTest, ListsPooledSkusOfAllShards) {
  Create(home_, "b");
  Create(s1_, "a");
  Create(s2_, "c");
  EXPECT_THAT(*ledger_.ListPooledSkus("", 2), ElementsAre("a", "b"));
  EXPECT_THAT(*ledger_.ListPooledSkus("b", 2), ElementsAre("c"));
}

TEST_F(RoutingStockLedgerTest, ListsAndAcknowledgesReturnedSkusOfAllShards) {
  Create(home_, "b");
  Create(s1_, "a");
  ReturnOne(home_, "b");
  ReturnOne(s1_, "a");
  EXPECT_THAT(*ledger_.ListReturnedSkus("", 10), ElementsAre("a", "b"));
  EXPECT_THAT(*ledger_.ListReturnedSkus("", 1), ElementsAre("a"));
  const int64_t at = ledger_.GetSku("a")->quota_version, bt = ledger_.GetSku("b")->quota_version;
  EXPECT_TRUE(ledger_.AckReturnedSkus({{"a", at}, {"b", bt - 1}}).ok());
  EXPECT_THAT(*ledger_.ListReturnedSkus("", 10), ElementsAre("b"));
}

TEST_F(RoutingStockLedgerTest, ListsEachSliceOnceAsItIsNow) {
  Create(home_, "b");
  Give(home_, "b", 2);
  Create(s2_, "a");
  Give(s2_, "a", 3);
  for (ShardOfFakes* shard : {home_, s1_}) {
    Create(shard, "tv");
    Give(shard, "tv", 4);
  }
  // It left for s1, and its old copy is not cleared away yet.
  Buy(s1_, "tv", Uuid{});
  const auto slices = ledger_.ListSlices(node_);
  ASSERT_TRUE(slices.ok()) << slices.status();
  std::vector<std::pair<std::string, int64_t>> remaining;
  for (const auto& [sku_id, slice] : *slices) remaining.emplace_back(sku_id, slice.remaining);
  EXPECT_THAT(remaining, ElementsAre(std::pair("a", 3), std::pair("b", 2), std::pair("tv", 3)));
}

TEST_F(RoutingStockLedgerTest, TellsTheNewestChangesOfAllShards) {
  Create(home_, "b");
  clock_.AdvanceBy(absl::Seconds(1));
  Create(s1_, "a");
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_TRUE(ledger_.AddStock("a", 1, std::nullopt, "alice").ok());
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_TRUE(ledger_.CloseSku("b", "bob").ok());
  const auto entries = ledger_.ListAudit({}, 0, 3);
  ASSERT_TRUE(entries.ok()) << entries.status();
  std::vector<std::string> actors;
  for (const AuditEntry& entry : *entries) actors.push_back(entry.actor);
  EXPECT_THAT(actors, ElementsAre("bob", "alice", "test"));
  EXPECT_EQ(entries->back().sku_id, "a");
  // Entries of one SKU, wherever it is.
  const auto of_one = ledger_.ListAudit({.sku_id = "a"}, 0, 1);
  ASSERT_EQ(of_one->size(), 1u);
  EXPECT_EQ(of_one->front().actor, "alice");
  // Ids are one shard's.
  EXPECT_TRUE(absl::IsInvalidArgument(ledger_.ListAudit({}, 3, 10).status()));
}

TEST_F(RoutingStockLedgerTest, ASilentShardLeavesNoListComplete) {
  Create(home_, "tv");
  s2_->FallSilent();
  EXPECT_TRUE(absl::IsUnavailable(ledger_.ListSkus("", 10).status()));
  EXPECT_EQ(ShardOf(ledger_.ListSkus("", 10).status()), "s2") << "the operator shall know where to look";
  EXPECT_TRUE(absl::IsUnavailable(ledger_.ListPooledSkus("", 10).status()));
  EXPECT_TRUE(absl::IsUnavailable(ledger_.ListReturnedSkus("", 10).status()));
  EXPECT_TRUE(absl::IsUnavailable(ledger_.AckReturnedSkus({{"tv", 1}})));
  EXPECT_TRUE(absl::IsUnavailable(ledger_.ListAudit({}, 0, 10).status()));
  EXPECT_EQ(ledger_.ListAudit({.sku_id = "tv"}, 0, 10)->size(), 1u) << "its own shard answers";
  EXPECT_TRUE(absl::IsUnavailable(ledger_.Verify("").status()));
  EXPECT_TRUE(absl::IsUnavailable(ledger_.ReadQuotas({"tv", "radio"}).status())) << "perhaps it has the radio";
  EXPECT_TRUE(absl::IsUnavailable(ledger_.GetSku("radio").status()));
  EXPECT_EQ(ledger_.ReadQuotas({"tv"})->size(), 1u);
  EXPECT_TRUE(ledger_.GetSku("tv").ok());
  const std::vector<QuotaMove> moves = {{"tv", {{node_, 3}}, std::nullopt}, {"radio", {{node_, 1}}, std::nullopt}};
  const auto moved = ledger_.MoveUnitsBatch(moves, "test");
  EXPECT_TRUE((*moved)[0].ok());
  EXPECT_TRUE(absl::IsUnavailable((*moved)[1].status()));
  EXPECT_THAT(*ledger_.ListSlices(other_), IsEmpty());
}

TEST_F(RoutingStockLedgerTest, NothingIsCreatedOnASilentShard) {
  s1_->FallSilent();
  EXPECT_TRUE(absl::IsUnavailable(ledger_.CreateSku(Wanted("tv", "s1"), "test").status()));
  EXPECT_THAT(home_->listed.reserved, IsEmpty()) << "the id is free, also on another shard";
  EXPECT_TRUE(ledger_.CreateSku(Wanted("tv", "s2"), "test").ok());
  EXPECT_THAT(home_->listed.reserved, ElementsAre("tv"));
}

TEST_F(RoutingStockLedgerTest, WhoCreatesASkuThatIsOnAnotherShardIsToldWhere) {
  Create(home_, "cam");
  home_->noted.Set("cam", Place::kGone, "s1", 3);
  const absl::Status there = ledger_.CreateSku(Wanted("cam", "home"), "test").status();
  EXPECT_TRUE(absl::IsAlreadyExists(there));
  EXPECT_EQ(ShardOf(there), "s1");
  home_->listed.taken = true;
  EXPECT_EQ(ShardOf(ledger_.CreateSku(Wanted("cam", "s2"), "test").status()), "s1");
  home_->noted.Set("cam", Place::kHere);
  for (const char* shard : {"home", "s2"}) {
    const absl::Status here = ledger_.CreateSku(Wanted("cam", shard), "test").status();
    EXPECT_TRUE(absl::IsAlreadyExists(here));
    EXPECT_EQ(ShardOf(here), "");
  }
}

TEST_F(RoutingStockLedgerTest, VerifiesAllShards) {
  Create(home_, "b");
  Create(s1_, "a");
  EXPECT_EQ(ledger_.Verify("")->skus_checked, 2);
  EXPECT_EQ(ledger_.Verify("a")->skus_checked, 1);
}

TEST_F(RoutingStockLedgerTest, VerifiesShardAfterShardPageByPage) {
  for (const char* sku : {"b", "c", "d"}) Create(home_, sku);
  Create(s2_, "a");
  std::vector<std::string> pages;
  VerifyPosition after;
  while (true) {
    const VerifyReport page = *ledger_.VerifyPage(after, 2);
    pages.push_back(absl::StrCat(after.shard, "/", after.sku_id, ": ", page.skus_checked));
    if (!page.next.has_value()) break;
    after = *page.next;
  }
  EXPECT_THAT(pages, ElementsAre("/: 2", "home/c: 1", "s1/: 0", "s2/: 1", "~/: 0")) << "~ compares them";
  EXPECT_EQ(ledger_.VerifyPage({.shard = "s11", .sku_id = "zz"}, 2)->skus_checked, 1)
      << "removed: the next one follows";
  EXPECT_FALSE(ledger_.VerifyPage({.shard = "z", .sku_id = ""}, 2)->next.has_value());
  s2_->FallSilent();
  EXPECT_TRUE(absl::IsUnavailable(ledger_.VerifyPage({.shard = "s2", .sku_id = ""}, 2).status()));
}

TEST_F(RoutingStockLedgerTest, ComparesTheShardsPageByPage) {
  // "tv" came back to home by a restore, and s2 has forgotten "cam". All others are where they should be.
  for (const char* sku : {"a", "b", "cam", "d", "e", "tv"}) home_->noted.Set(sku, Place::kGone, "s2", 3);
  for (const char* sku : {"a", "b", "d", "e", "tv"}) s2_->noted.Set(sku, Place::kHere, "", 4);
  home_->noted.Set("tv", Place::kHere, "", 2);
  home_->noted.Set("f", Place::kHere);
  home_->noted.Set("g", Place::kLeaving, "s1", 7);
  s1_->noted.Set("g", Place::kHere, "", 8);
  const auto found =
      ElementsAre("sku_on_no_shard cam: home says it has gone to s2, s1 does not know it, s2 does not know it",
                  "sku_on_several_shards tv: on home and s2");
  for (const int page_size : {1, 2, 3, 100}) EXPECT_THAT(VerifyAll(page_size), found) << page_size << " at a time";
  const VerifyReport all = *ledger_.Verify("");
  EXPECT_EQ(all.violations.size(), 2u);
  EXPECT_EQ(ledger_.Verify("tv")->violations.size(), 1u);
  EXPECT_THAT(ledger_.Verify("a")->violations, IsEmpty());
  EXPECT_THAT(ledger_.Verify("cam")->violations, IsEmpty()) << "no shard has it: see VerifyHandler";
}

TEST_F(RoutingStockLedgerTest, ASkuThatMovesWhileTheShardsAreComparedIsInOrder) {
  home_->noted.Set("tv", Place::kHere, "", 5);
  s1_->noted.Set("tv", Place::kHere, "", 6);
  // It was listed at home, arrived at s1, was listed there, and home is told now.
  home_->noted.before_where = [this] { home_->noted.Set("tv", Place::kGone, "s1", 5); };
  EXPECT_THAT(VerifyAll(10), IsEmpty());
  home_->noted.Set("radio", Place::kGone, "s1", 5);
  s1_->noted.Set("radio", Place::kGone, "home", 6);
  home_->noted.before_where = [this] { home_->noted.Set("radio", Place::kHere, "", 7); };
  EXPECT_THAT(VerifyAll(10), IsEmpty());
}

TEST_F(RoutingStockLedgerTest, ComparingTheShardsKeepsFewSkusInMemory) {
  for (int i = 0; i < 5000; ++i) {
    const std::string sku = absl::StrCat("sku-", i);
    home_->noted.Set(sku, Place::kGone, "s1", 1);
    s1_->noted.Set(sku, Place::kHere, "", 2);
  }
  home_->noted.Set("sku-4999", Place::kHere);
  EXPECT_EQ(VerifyAll(10000).size(), 1u);
  EXPECT_LE(home_->noted.largest_page, 1000u);
  EXPECT_LE(s1_->noted.largest_page, 1000u);
}

TEST_F(RoutingStockLedgerTest, ShardsAreComparedOnlyWhenAllAnswer) {
  s1_->FallSilent();
  EXPECT_TRUE(absl::IsUnavailable(ledger_.VerifyPage({.shard = "~", .sku_id = ""}, 2).status()));
}

}  // namespace
}  // namespace tranche::storage
