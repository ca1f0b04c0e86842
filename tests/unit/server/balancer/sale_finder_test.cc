// Where the sale of a SKU is found.
#include "server/balancer/sale_finder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "storage/fake/fake_ledger.h"

namespace tranche::server {
namespace {

class SaleFinderTest : public ::testing::Test {
 protected:
  static storage::Sku Tv(int64_t stock) {
    storage::Sku sku;
    sku.sku_id = "tv";
    sku.title = "TV";
    sku.currency = "EUR";
    sku.stock = stock;
    return sku;
  }

  storage::FakeClock clock_;
  storage::FakeLedger home_{&clock_};
  std::shared_ptr<storage::FakeLedger> hot_ = std::make_shared<storage::FakeLedger>(&clock_);
  SaleFinder finder_{&home_, &clock_};
};

TEST_F(SaleFinderTest, ASaleIsFoundAtWhicheverShardHasIt) {
  const auto none = finder_.Find("tv");
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_FALSE(none->has_value());
  ASSERT_TRUE(hot_->CreateSku(Tv(7), "test").ok());
  EXPECT_FALSE(finder_.Find("tv")->has_value());
  finder_.AddShard("hot", hot_);
  const auto found = finder_.Find("tv");
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_TRUE((*found)->open);
  EXPECT_EQ((*found)->unsold, 7);
  EXPECT_EQ((*found)->stock, 7);
  hot_.reset();
  EXPECT_FALSE(finder_.Find("tv")->has_value()) << "that shard is served no more";
}

TEST_F(SaleFinderTest, AShardThatDoesNotAnswerMayHaveIt) {
  finder_.AddShard("hot", hot_);
  hot_->FailNext(1);
  EXPECT_FALSE(finder_.Find("tv").ok());
  ASSERT_TRUE(home_.CreateSku(Tv(7), "test").ok());
  hot_->FailNext(1);
  EXPECT_TRUE(finder_.Find("tv")->has_value()) << "home has it, whatever the other one has";
}

TEST_F(SaleFinderTest, OpenIsWhatBuyersCanBuyNow) {
  storage::Sku sku = Tv(7);
  sku.opens_at = clock_.Now() + absl::Seconds(1);
  ASSERT_TRUE(home_.CreateSku(sku, "test").ok());
  EXPECT_FALSE((*finder_.Find("tv"))->open) << "not yet";
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_TRUE((*finder_.Find("tv"))->open);
  ASSERT_TRUE(home_.SetSkuPaused("tv", true, "", std::nullopt, "test").ok());
  EXPECT_FALSE((*finder_.Find("tv"))->open) << "paused";
  ASSERT_TRUE(home_.SetSkuPaused("tv", false, "", std::nullopt, "test").ok());
  ASSERT_TRUE(home_.CloseSku("tv", "test").ok());
  EXPECT_FALSE((*finder_.Find("tv"))->open) << "closed";
}

}  // namespace
}  // namespace tranche::server
