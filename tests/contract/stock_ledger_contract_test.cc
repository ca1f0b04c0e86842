// What every StockLedger does, on the fake and on PostgreSQL.
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "tests/contract/ledger_fixture.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::ClaimsOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class StockLedgerContract : public LedgerContractTest {
 protected:
  std::vector<std::string> ListedSkus(const std::string& after, int limit) {
    std::vector<std::string> ids;
    const auto skus = stock().ListSkus(after, limit);
    EXPECT_TRUE(skus.ok()) << skus.status();
    if (!skus.ok()) return ids;
    for (const Sku& sku : *skus) ids.push_back(sku.sku_id);
    return ids;
  }

  int64_t Version(const std::string& sku_id) { return stock().ReadQuota(sku_id)->quota_version; }

  HeldSlice SliceOf(const std::string& sku_id, IncarnationId holder) {
    const QuotaSnapshot quota = *stock().ReadQuota(sku_id);
    for (const HeldSlice& slice : quota.slices) {
      if (slice.holder == holder) return slice;
    }
    ADD_FAILURE() << "no slice of " << holder;
    return {};
  }
};
INSTANTIATE_TEST_SUITE_P(Both, StockLedgerContract, BothLedgers(), LedgerName);

TEST_P(StockLedgerContract, CreatedSkuIsReadBack) {
  Sku sku = SkuOf("tv-55.OLED_x", 1000, /*per_user_limit=*/4, /*slots=*/8);
  sku.title = "A television, 55\" 'OLED' ä€";
  sku.hold = absl::Seconds(77);
  sku.presplit = false;
  sku.opens_at = absl::FromUnixMicros(1'700'000'000'123'456);
  sku.closes_at = absl::FromUnixMicros(2'700'000'000'654'321);
  const auto created = stock().CreateSku(sku, "test");
  ASSERT_TRUE(created.ok()) << created.status();
  const auto read = stock().GetSku("tv-55.OLED_x");
  ASSERT_TRUE(read.ok()) << read.status();
  for (const Sku* got : {&*created, &*read}) {
    EXPECT_FALSE(got->presplit);
    EXPECT_FALSE(got->quota_frozen);
    EXPECT_EQ(got->sku_id, sku.sku_id);
    EXPECT_EQ(got->title, sku.title);
    EXPECT_EQ(got->price_minor, 1999);
    EXPECT_EQ(got->currency, "EUR");
    EXPECT_EQ(got->stock, 1000);
    EXPECT_EQ(got->unsold, 1000);
    EXPECT_EQ(got->per_user_limit, 4);
    EXPECT_EQ(got->slots_per_slice, 8);
    EXPECT_EQ(got->hold, absl::Seconds(77));
    EXPECT_EQ(got->opens_at, sku.opens_at);
    EXPECT_EQ(got->closes_at, sku.closes_at);
    EXPECT_FALSE(got->closed);
    EXPECT_FALSE(got->holds_may_lapse);
    EXPECT_EQ(got->quota_version, 1);
  }
  EXPECT_THAT(Remaining("tv-55.OLED_x"), ElementsAre(Pair(kPool, 1000)));
}

TEST_P(StockLedgerContract, WindowMayBeOpenAtBothEnds) {
  Create(SkuOf("tv", 0));
  const Sku read = *stock().GetSku("tv");
  EXPECT_EQ(read.opens_at, absl::InfinitePast());
  EXPECT_EQ(read.closes_at, absl::InfiniteFuture());
}

TEST_P(StockLedgerContract, SkuIdIsTakenOnce) {
  Create(SkuOf("tv", 10));
  EXPECT_EQ(stock().CreateSku(SkuOf("tv", 20), "test").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(stock().GetSku("tv")->stock, 10);
}

TEST_P(StockLedgerContract, RefusesMalformedSkus) {
  const auto refused = [this](const std::function<void(Sku&)>& spoil) {
    Sku sku = SkuOf("tv", 10);
    spoil(sku);
    return stock().CreateSku(sku, "test").status().code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](Sku& sku) { sku.sku_id = ""; }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.sku_id = "a b"; }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.sku_id = "a/b"; }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.sku_id = std::string(65, 'x'); }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.title = std::string(257, 'x'); }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.price_minor = -1; }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.currency = "eur"; }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.stock = -1; }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.stock = 1'000'000'001; }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.per_user_limit = 0; }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.per_user_limit = 1001; }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.hold = absl::ZeroDuration(); }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.slots_per_slice = 0; }));
  EXPECT_TRUE(refused([](Sku& sku) { sku.slots_per_slice = 65; }));
  EXPECT_TRUE(refused([](Sku& sku) {
    sku.opens_at = absl::FromUnixSeconds(2000);
    sku.closes_at = absl::FromUnixSeconds(2000);
  }));
  EXPECT_THAT(ListedSkus("", 10), IsEmpty());
}

TEST_P(StockLedgerContract, UnknownSkuIsNotFound) {
  const auto not_found = absl::StatusCode::kNotFound;
  EXPECT_EQ(stock().GetSku("none").status().code(), not_found);
  EXPECT_EQ(stock().CloseSku("none", "test").status().code(), not_found);
  EXPECT_EQ(stock().AddStock("none", 1, std::nullopt, "test").status().code(), not_found);
  EXPECT_EQ(stock().ReduceStock("none", 1, std::nullopt, "test").status().code(), not_found);
  EXPECT_EQ(stock().ReadQuota("none").status().code(), not_found);
  EXPECT_EQ(stock().MoveUnits("none", {}, std::nullopt, "test").status().code(), not_found);
}

TEST_P(StockLedgerContract, ListsSkusInPages) {
  // The order is that of the bytes, as everywhere in the servers.
  for (const char* id : {"b", "a", "C", "a-1", "a.1", "a_1", "Z", "10", "9"}) Create(SkuOf(id, 1));
  const std::vector<std::string> all = {"10", "9", "C", "Z", "a", "a-1", "a.1", "a_1", "b"};
  EXPECT_EQ(ListedSkus("", 100), all);
  std::vector<std::string> paged;
  for (std::string after;;) {
    const std::vector<std::string> page = ListedSkus(after, 2);
    if (page.empty()) break;
    EXPECT_LE(page.size(), 2u);
    paged.insert(paged.end(), page.begin(), page.end());
    after = page.back();
  }
  EXPECT_EQ(paged, all);
  EXPECT_THAT(ListedSkus("a-", 1), ElementsAre("a-1")) << "the start need not exist";
}

TEST_P(StockLedgerContract, ListsSkusOnSaleWithPooledUnits) {
  for (const char* id : {"a", "b", "closed", "d", "empty"}) Create(SkuOf(id, 10));
  ASSERT_TRUE(stock().CloseSku("closed", "test").ok());
  const IncarnationId node = HolderOf("empty", 10);
  Move("d", {{node, 9}});
  EXPECT_THAT(*stock().ListPooledSkus("", 100), ElementsAre("a", "b", "d"));
  EXPECT_THAT(*stock().ListPooledSkus("", 2), ElementsAre("a", "b"));
  EXPECT_THAT(*stock().ListPooledSkus("a", 1), ElementsAre("b"));
  EXPECT_THAT(*stock().ListPooledSkus("d", 10), IsEmpty());
}

TEST_P(StockLedgerContract, SaysThatHoldsMayLapse) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  EXPECT_FALSE(stock().GetSku("tv")->holds_may_lapse);
  Commit(node, {Claim("tv", "alice")});
  EXPECT_TRUE(stock().GetSku("tv")->holds_may_lapse);
  EXPECT_EQ(stock().GetSku("tv")->unsold, 9);
}

TEST_P(StockLedgerContract, ClosingHappensOnce) {
  Create(SkuOf("tv", 10));
  const Sku closed = *stock().CloseSku("tv", "test");
  EXPECT_TRUE(closed.closed);
  EXPECT_EQ(closed.quota_version, 2);
  EXPECT_EQ(closed.unsold, 10);
  EXPECT_EQ(stock().CloseSku("tv", "test")->quota_version, 2) << "nothing changed";
  EXPECT_TRUE(stock().ReadQuota("tv")->closed);
}

TEST_P(StockLedgerContract, AddedStockLandsInThePool) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 10);
  const int64_t version = Version("tv");
  const Sku sku = *stock().AddStock("tv", 500, std::nullopt, "test");
  EXPECT_EQ(sku.stock, 510);
  EXPECT_EQ(sku.unsold, 510);
  EXPECT_EQ(sku.quota_version, version + 1);
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 500), Pair(node, 10)));
  EXPECT_EQ(stock().AddStock("tv", 0, std::nullopt, "test").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(stock().AddStock("tv", 1'000'000'000, std::nullopt, "test").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(stock().GetSku("tv")->stock, 510);
}

TEST_P(StockLedgerContract, StockChangesOnlyFromTheExpectedOne) {
  Create(SkuOf("tv", 10));
  const auto aborted = absl::StatusCode::kAborted;
  EXPECT_EQ(stock().AddStock("tv", 5, 9, "test").status().code(), aborted);
  EXPECT_EQ(stock().AddStock("tv", 5, 10, "test")->stock, 15);
  const absl::Status again = stock().AddStock("tv", 5, 10, "test").status();
  EXPECT_EQ(again.code(), aborted) << "the same call repeated adds nothing";
  EXPECT_FALSE(IsRetryTransaction(again)) << "to run it once more would not help";
  EXPECT_EQ(stock().ReduceStock("tv", 5, 10, "test").status().code(), aborted);
  EXPECT_EQ(stock().ReduceStock("tv", 5, 15, "test")->units_taken, 5);
  EXPECT_EQ(stock().ReduceStock("tv", 5, 15, "test").status().code(), aborted);
  EXPECT_EQ(stock().GetSku("tv")->stock, 10);
  EXPECT_EQ(stock().GetSku("tv")->quota_version, 3) << "a refused change leaves no trace";
  EXPECT_EQ(stock().AddStock("none", 1, 0, "test").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(stock().AddStock("tv", 0, 9, "test").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StockLedgerContract, ReducedStockComesFromThePoolFirst) {
  Create(SkuOf("tv", 100));
  const IncarnationId rich = HolderOf("tv", 50);
  const IncarnationId poor = HolderOf("tv", 20);
  ReducedStock reduced = *stock().ReduceStock("tv", 25, std::nullopt, "test");
  EXPECT_EQ(reduced.units_taken, 25);
  EXPECT_EQ(reduced.sku.stock, 75);
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 5), Pair(rich, 50), Pair(poor, 20)));
  reduced = *stock().ReduceStock("tv", 35, std::nullopt, "test");
  EXPECT_EQ(reduced.units_taken, 35);
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 0), Pair(rich, 20), Pair(poor, 20)));
  EXPECT_EQ(SliceOf("tv", rich).allotted, 20);
  EXPECT_EQ(SliceOf("tv", rich).version, reduced.sku.quota_version);
}

TEST_P(StockLedgerContract, ReducesNoMoreThanIsUnsold) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 6);
  Commit(node, ClaimsOf("tv", "u", 3));
  const ReducedStock reduced = *stock().ReduceStock("tv", 1'000'000, std::nullopt, "test");
  EXPECT_EQ(reduced.units_taken, 7);
  EXPECT_EQ(reduced.sku.stock, 3);
  EXPECT_EQ(reduced.sku.unsold, 0);
  EXPECT_EQ(stock().ReduceStock("tv", 1, std::nullopt, "test")->units_taken, 0);
  EXPECT_EQ(stock().ReduceStock("tv", 0, std::nullopt, "test").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StockLedgerContract, MovesBetweenPoolAndSlices) {
  Create(SkuOf("tv", 100));
  const IncarnationId a = Register("a");
  const IncarnationId b = Register("b");
  QuotaSnapshot quota = Move("tv", {{a, 60}, {b, 30}});
  ASSERT_EQ(quota.slices.size(), 3u);
  EXPECT_EQ(quota.sku_id, "tv");
  EXPECT_EQ(quota.quota_version, 2);
  EXPECT_EQ(quota.slices[0].holder, kPool);
  EXPECT_EQ(quota.slices[0].remaining, 10);
  EXPECT_EQ(quota.slices[1].holder, a);
  EXPECT_EQ(quota.slices[1].remaining, 60);
  EXPECT_EQ(quota.slices[1].version, 2);
  // Moves go through the pool: what one holder gives, another may take in the same move.
  quota = Move("tv", {{b, 50}, {a, -45}});
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 5), Pair(a, 15), Pair(b, 80)));
  EXPECT_EQ(quota.quota_version, 3);
}

TEST_P(StockLedgerContract, AllottedCountsMovesAndRemainingSales) {
  Create(SkuOf("tv", 100));
  const IncarnationId node = HolderOf("tv", 20);
  Commit(node, ClaimsOf("tv", "u", 8));
  HeldSlice slice = SliceOf("tv", node);
  EXPECT_EQ(slice.allotted, 20);
  EXPECT_EQ(slice.remaining, 12);
  EXPECT_EQ(slice.version, 2) << "a sale is no move";
  Move("tv", {{node, -5}});
  slice = SliceOf("tv", node);
  EXPECT_EQ(slice.allotted, 15);
  EXPECT_EQ(slice.remaining, 7);
  EXPECT_EQ(slice.version, 3);
}

TEST_P(StockLedgerContract, MovesAreClampedToWhatIsThere) {
  Create(SkuOf("tv", 10));
  const IncarnationId a = Register();
  const IncarnationId b = Register();
  const IncarnationId c = Register();
  Move("tv", {{b, 7}, {a, 7}, {c, 7}});
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 0), Pair(a, 3), Pair(b, 7), Pair(c, 0)))
      << "deposits are served in the order given";
  Commit(b, ClaimsOf("tv", "u", 2));
  Move("tv", {{a, -1'000'000}, {b, -1'000'000}});
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 8), Pair(a, 0), Pair(b, 0), Pair(c, 0)));
}

TEST_P(StockLedgerContract, DepositToADeadIncarnationStaysInThePool) {
  Create(SkuOf("tv", 10));
  const IncarnationId dead = Register();
  const IncarnationId live = Register();
  ASSERT_TRUE(stock().ReclaimIncarnation(dead).ok());
  Move("tv", {{dead, 6}, {live + 1000, 6}, {live, 7}});
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 3), Pair(live, 7)));
}

TEST_P(StockLedgerContract, MoveChecksTheExpectedVersion) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = Register();
  const std::vector<QuotaDelta> deltas = {{node, 1}};
  EXPECT_EQ(stock().MoveUnits("tv", deltas, 2, "test").status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 10)));
  EXPECT_TRUE(stock().MoveUnits("tv", deltas, 1, "test").ok());
  EXPECT_EQ(stock().MoveUnits("tv", deltas, 1, "test").status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 9), Pair(node, 1)));
}

TEST_P(StockLedgerContract, MoveRefusesRepeatedHoldersAndThePool) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = Register();
  for (const std::vector<QuotaDelta>& deltas :
       {std::vector<QuotaDelta>{{node, 1}, {node, 2}}, {{kPool, 1}}, {{-node, 1}}}) {
    EXPECT_EQ(stock().MoveUnits("tv", deltas, std::nullopt, "test").status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(Version("tv"), 1);
}

TEST_P(StockLedgerContract, EmptyMoveOnlyBumpsTheVersion) {
  Create(SkuOf("tv", 10));
  EXPECT_EQ(Move("tv", {}).quota_version, 2);
  EXPECT_EQ(Move("tv", {{Register(), 0}}).quota_version, 3);
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 10)));
}

TEST_P(StockLedgerContract, SlotsOfASliceMoveAsOne) {
  // Amounts that are not divisible by the number of slots: every unit must be in exactly one place.
  for (const int slots : {2, 3, 4, 7}) {
    const std::string sku = absl::StrCat("tv", slots);
    Create(SkuOf(sku, 1000, /*per_user_limit=*/1, slots));
    const IncarnationId node = Register();
    int64_t expected = 0;
    for (const int64_t delta : {1, 5, 100, -3, 13, -50, 2, -1, 11}) {
      Move(sku, {{node, delta}});
      expected += delta;
      EXPECT_THAT(Remaining(sku), ElementsAre(Pair(kPool, 1000 - expected), Pair(node, expected)));
      ExpectConserved();
    }
    Move(sku, {{node, -1000}});
    EXPECT_THAT(Remaining(sku), ElementsAre(Pair(kPool, 1000), Pair(node, 0)));
    EXPECT_EQ(SliceOf(sku, node).allotted, 0);
  }
}

TEST_P(StockLedgerContract, ListsSlicesOfOneIncarnation) {
  Create(SkuOf("b", 10, 1, 3));
  Create(SkuOf("a", 10));
  Create(SkuOf("c", 10));
  const IncarnationId node = HolderOf("b", 7);
  Move("a", {{node, 2}});
  HolderOf("c", 1);
  Commit(node, {Claim("b", "alice")});
  const auto slices = stock().ListSlices(node);
  ASSERT_TRUE(slices.ok()) << slices.status();
  ASSERT_EQ(slices->size(), 2u);
  EXPECT_EQ((*slices)[0].first, "a");
  EXPECT_EQ((*slices)[1].first, "b");
  EXPECT_EQ((*slices)[1].second.holder, node);
  EXPECT_EQ((*slices)[1].second.allotted, 7);
  EXPECT_EQ((*slices)[1].second.remaining, 6);
  EXPECT_EQ((*slices)[1].second.version, 2);
  EXPECT_THAT(*stock().ListSlices(node + 1000), IsEmpty());
}

TEST_P(StockLedgerContract, RegistersAndListsLiveIncarnations) {
  const absl::Time before = absl::Now();
  const IncarnationId a = *stock().RegisterIncarnation("front-1", "10.0.0.1:7000");
  const IncarnationId b = *stock().RegisterIncarnation("front-1", "10.0.0.1:7000");
  EXPECT_GT(a, 0);
  EXPECT_GT(b, a) << "every run has a number of its own";
  const std::vector<Incarnation> live = *stock().ListLiveIncarnations();
  ASSERT_EQ(live.size(), 2u);
  EXPECT_EQ(live[0].id, a);
  EXPECT_EQ(live[0].node_name, "front-1");
  EXPECT_EQ(live[0].address, "10.0.0.1:7000");
  EXPECT_LT(absl::AbsDuration(live[0].started_at - before), absl::Minutes(1));
  ASSERT_TRUE(stock().ReclaimIncarnation(a).ok());
  EXPECT_EQ(stock().ListLiveIncarnations()->size(), 1u);
  EXPECT_GT(*stock().RegisterIncarnation("front-1", "x:1"), b) << "numbers are never given again";
  EXPECT_EQ(stock().RegisterIncarnation("", "x:1").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StockLedgerContract, ReclaimMovesEverythingToThePools) {
  Create(SkuOf("b", 10, 1, 3));
  Create(SkuOf("a", 10));
  Create(SkuOf("untouched", 10));
  const IncarnationId node = HolderOf("b", 8);
  Move("a", {{node, 5}});
  Commit(node, {Claim("b", "alice"), Claim("b", "bob")});
  const int64_t version = Version("b");
  EXPECT_THAT(*stock().ReclaimIncarnation(node), ElementsAre("a", "b"));
  EXPECT_THAT(Remaining("b"), ElementsAre(Pair(kPool, 8)));
  EXPECT_THAT(Remaining("a"), ElementsAre(Pair(kPool, 10)));
  EXPECT_EQ(Version("b"), version + 1);
  EXPECT_EQ(Version("untouched"), 1);
}

TEST_P(StockLedgerContract, ReclaimIsIdempotent) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 8);
  EXPECT_THAT(*stock().ReclaimIncarnation(node), ElementsAre("tv"));
  const int64_t version = Version("tv");
  EXPECT_THAT(*stock().ReclaimIncarnation(node), IsEmpty());
  EXPECT_THAT(*stock().ReclaimIncarnation(node + 1000), IsEmpty());
  EXPECT_EQ(Version("tv"), version);
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 10)));
}

TEST_P(StockLedgerContract, VerifyCountsWhatItChecked) {
  Create(SkuOf("tv", 10));
  Create(SkuOf("radio", 10));
  const IncarnationId node = HolderOf("tv", 10);
  Move("radio", {{node, 10}});
  Commit(node, {Claim("tv", "alice"), Claim("tv", "bob"), Claim("radio", "alice")});
  const VerifyReport all = *stock().Verify("");
  EXPECT_THAT(all.violations, IsEmpty());
  EXPECT_EQ(all.skus_checked, 2);
  EXPECT_EQ(all.reservations_checked, 3);
  const VerifyReport one = *stock().Verify("tv");
  EXPECT_EQ(one.skus_checked, 1);
  EXPECT_EQ(one.reservations_checked, 2);
}

TEST_P(StockLedgerContract, VerifyGoesThroughTheLedgerPageByPage) {
  for (const char* sku : {"tv", "radio", "lamp"}) Create(SkuOf(sku, 10));
  const IncarnationId node = HolderOf("tv", 10);
  Commit(node, {Claim("tv", "alice"), Claim("tv", "bob")});

  const VerifyReport first = *stock().VerifyPage({}, 2);
  EXPECT_EQ(first.skus_checked, 2);
  EXPECT_EQ(first.reservations_checked, 0);
  EXPECT_EQ(first.skus_left, 1);
  ASSERT_TRUE(first.next.has_value());
  EXPECT_EQ(first.next->sku_id, "radio");
  const VerifyReport second = *stock().VerifyPage(*first.next, 2);
  EXPECT_EQ(second.skus_checked, 1);
  EXPECT_EQ(second.reservations_checked, 2);
  EXPECT_EQ(second.skus_left, 0);
  EXPECT_FALSE(second.next.has_value());
  EXPECT_FALSE(stock().VerifyPage({}, 3)->next.has_value()) << "a full page may be the last one";
}

}  // namespace
}  // namespace tranche::storage
