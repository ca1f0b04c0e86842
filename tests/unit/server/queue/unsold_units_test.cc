#include "server/queue/unsold_units.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/stub_books.h"

namespace tranche::server {
namespace {

constexpr int kMany = 1000;  // as many as are kept

// Has 7 units of every SKU.
class SevenUnitBooks : public tranche::testing::StubBooks {
 public:
  void FindSku(const std::string& sku_id, SkuDone done) override {
    ++asked;
    storage::Sku sku;
    sku.sku_id = sku_id;
    sku.unsold = 7;
    done(sku);
  }

  int asked = 0;
};

class UnsoldUnitsTest : public ::testing::Test {
 protected:
  static std::string Sku(int i) { return absl::StrCat("sku-", i); }
  void ExpectMany() {
    for (int i = 0; i < kMany; ++i) unsold_.Expect(Sku(i));
  }

  SevenUnitBooks books_;
  UnsoldUnits unsold_{&books_};
};

TEST_F(UnsoldUnitsTest, WhatIsAskedForIsKnownAfterTheNextRound) {
  EXPECT_EQ(unsold_.Of("tv"), UnsoldUnits::kUnknown);
  EXPECT_EQ(books_.asked, 0) << "asking does not wait for the ledger";
  unsold_.Refresh();
  EXPECT_EQ(unsold_.Of("tv"), 7);
}

TEST_F(UnsoldUnitsTest, AsManyAsAreKeptAreReadOnceWhileTheyAreExpected) {
  for (int round = 0; round < 30; ++round) {
    ExpectMany();
    unsold_.Refresh();
  }
  EXPECT_EQ(books_.asked, kMany);
}

TEST_F(UnsoldUnitsTest, ANewSkuFindsRoomOnceOthersAreNotUsedAnyMore) {
  ExpectMany();
  unsold_.Refresh();
  unsold_.Expect("tv");
  unsold_.Refresh();
  EXPECT_EQ(books_.asked, kMany) << "there is no room for it";
  for (int round = 0; round < 20; ++round) {
    unsold_.Expect(Sku(0));
    (void)unsold_.Of("tv");
    unsold_.Refresh();
  }
  EXPECT_EQ(unsold_.Of("tv"), 7);
  EXPECT_EQ(unsold_.Of(Sku(0)), 7) << "it was in use";
  EXPECT_EQ(unsold_.Of(Sku(1)), UnsoldUnits::kUnknown) << "it was not";
}

}  // namespace
}  // namespace tranche::server
