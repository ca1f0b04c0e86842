// Whether those who ask before they claim could buy anything.
#include "quota/sale/entry_check.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "storage/fake/fake_ledger.h"
#include "tests/support/inline_executor.h"
#include "tests/support/one_shard.h"

namespace tranche::quota {
namespace {

class EntryCheckTest : public ::testing::Test {
 protected:
  EntryCheckTest() { slices_.Begin(1); }

  void Create(const std::string& sku_id, int64_t stock, absl::Time opens_at = absl::InfinitePast()) {
    storage::Sku sku{.sku_id = sku_id, .title = "", .price_minor = 100, .currency = "EUR", .stock = stock};
    sku.per_user_limit = 1;
    sku.opens_at = opens_at;
    ASSERT_TRUE(ledger_.CreateSku(sku, "test").ok());
  }
  // The node knows the SKU by its announcement, and holds so many units.
  void Announce(const SkuTerms& terms, int64_t units) {
    const std::shared_ptr<Slice> slice = slices_.FindOrAdd("tv");
    slice->SetTerms(terms);
    slice->counter().Apply(units, /*version=*/1);
  }
  // Why nobody could buy it; nothing if somebody could.
  std::optional<Refusal> Check(const std::string& sku_id = "tv") {
    std::optional<Refusal> refusal;
    int answers = 0;
    CheckEntry(slices_, directory_, clock_, sku_id, [&](std::optional<Refused> refused) {
      ++answers;
      if (refused.has_value()) refusal = refused->refusal;
    });
    EXPECT_EQ(answers, 1);
    return refusal;
  }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  SliceTable slices_;
  tranche::testing::InlineExecutor executor_;
  tranche::testing::OneShard shard_{&ledger_, &executor_, &clock_};
  SkuDirectory directory_{shard_.books(), &clock_};
};

TEST_F(EntryCheckTest, WhatIsAnnouncedDecides) {
  Announce({}, 0);
  EXPECT_EQ(Check(), std::nullopt) << "units may come";
  Announce({.opens_at = clock_.Now() + absl::Hours(1)}, 5);
  EXPECT_EQ(Check(), Refusal::kSaleNotOpen);
  Announce({.closes_at = clock_.Now()}, 5);
  EXPECT_EQ(Check(), Refusal::kSaleClosed);
  Announce({.closed = true}, 5);
  EXPECT_EQ(Check(), Refusal::kSaleClosed);
  Announce({.paused = true}, 5);
  EXPECT_EQ(Check(), Refusal::kSalePaused);
}

TEST_F(EntryCheckTest, SoldOutIsWhatNobodyHasUnitsOf) {
  Announce({.at_most = 0}, 0);
  EXPECT_EQ(Check(), Refusal::kSoldOut);
}

TEST_F(EntryCheckTest, ANodeThatHasUnitsSellsThemWhateverIsAnnounced) {
  Announce({.at_most = 0}, 3);
  EXPECT_EQ(Check(), std::nullopt);
}

TEST_F(EntryCheckTest, WhatTheNodeDoesNotHoldIsLookedUp) {
  Create("tv", 10);
  Create("rug", 0);
  Create("later", 10, clock_.Now() + absl::Hours(1));
  EXPECT_EQ(Check("tv"), std::nullopt);
  EXPECT_EQ(Check("rug"), Refusal::kSoldOut);
  EXPECT_EQ(Check("later"), Refusal::kSaleNotOpen);
  EXPECT_EQ(Check("unknown"), Refusal::kSkuNotFound);
}

TEST_F(EntryCheckTest, ALedgerThatIsAwayIsTold) {
  Create("tv", 10);
  ledger_.FailNext(1);
  EXPECT_EQ(Check("tv"), Refusal::kLedgerUnavailable);
}

}  // namespace
}  // namespace tranche::quota
