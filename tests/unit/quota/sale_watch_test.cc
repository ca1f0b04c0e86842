#include "quota/balancer/round/sale_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "tests/support/logged_lines.h"

namespace tranche::quota {
namespace {

class SaleWatchTest : public ::testing::Test {
 protected:
  void See(const std::string& sku_id) {
    storage::Sku sku{.sku_id = sku_id, .title = "", .currency = "", .stock = 10};
    sku.unsold = 10;
    watch_.OnSku(sku);
  }
  int Warnings() const {
    int warnings = 0;
    for (const std::string& line : lines_.lines()) warnings += absl::StrContains(line, "more than 2 SKUs") ? 1 : 0;
    return warnings;
  }

  storage::FakeClock clock_;
  SaleWatch watch_{&clock_, 2};
  const testing::LoggedLines lines_;
};

TEST_F(SaleWatchTest, TellsOnceAnHourThatSomeArePassedOver) {
  See("a");
  See("b");
  See("b");
  EXPECT_EQ(Warnings(), 0) << "all that there are are seen";
  See("c");
  EXPECT_EQ(Warnings(), 1) << "at once";
  See("d");
  clock_.AdvanceBy(absl::Minutes(59));
  See("c");
  EXPECT_EQ(Warnings(), 1);
  clock_.AdvanceBy(absl::Minutes(1));
  See("c");
  EXPECT_EQ(Warnings(), 2);
}

}  // namespace
}  // namespace tranche::quota
