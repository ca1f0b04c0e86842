// Stock changed by two operators at once.
#include "server/handlers/field_checks.h"
#include "tests/unit/server/admin_fixture.h"

namespace tranche::server {
namespace {

template <typename Request>
Request StockRequest(int64_t units, bool preview) {
  Request request;
  request.set_sku_id("tv");
  request.set_units(units);
  request.set_preview(preview);
  return request;
}

using OperatorStockTest = AdminHandlersTest;

TEST_F(OperatorStockTest, AnswersWithBeforeAndAfter) {
  const auto added = stock_.Add(StockRequest<v1::AddStockRequest>(7, false), kActor);
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(added->before().stock(), 100);
  EXPECT_EQ(added->before().unsold(), 100);
  EXPECT_EQ(added->before().quota_version() + 1, added->sku().quota_version());
  EXPECT_EQ(added->sku().stock(), 107);
  const auto reduced = stock_.Reduce(StockRequest<v1::ReduceStockRequest>(1000, false), kActor);
  ASSERT_TRUE(reduced.ok());
  EXPECT_EQ(reduced->before().stock(), 107);
  EXPECT_EQ(reduced->sku().stock(), 0);
  EXPECT_EQ(reduced->units_taken(), 107);
}

TEST_F(OperatorStockTest, AnExpectationThatHoldsIsMet) {
  auto add = StockRequest<v1::AddStockRequest>(7, false);
  add.set_expected_stock(100);
  EXPECT_EQ(stock_.Add(add, kActor)->sku().stock(), 107);
  auto reduce = StockRequest<v1::ReduceStockRequest>(7, false);
  reduce.set_expected_stock(107);
  EXPECT_EQ(stock_.Reduce(reduce, kActor)->sku().stock(), 100);
}

TEST_F(OperatorStockTest, AnOutdatedExpectationIsRefusedWithWhoAndWhen) {
  clock_.AdvanceBy(absl::Hours(1));
  ASSERT_TRUE(stock_.Add(StockRequest<v1::AddStockRequest>(7, false), "alice").ok());
  // Later changes of quota must not hide who changed the stock.
  ASSERT_TRUE(quota_.Set(SetRequest("a", 10, false), "bob").ok());
  for (const bool preview : {true, false}) {
    auto add = StockRequest<v1::AddStockRequest>(5, preview);
    add.set_expected_stock(100);
    auto reduce = StockRequest<v1::ReduceStockRequest>(5, preview);
    reduce.set_expected_stock(100);
    for (const absl::Status& refused : {stock_.Add(add, kActor).status(), stock_.Reduce(reduce, kActor).status()}) {
      EXPECT_EQ(ReasonOf(refused), "STOCK_CHANGED");
      EXPECT_EQ(MetadataOf(refused, "stock"), "107");
      EXPECT_EQ(MetadataOf(refused, "changed_by"), "alice");
      EXPECT_EQ(MetadataOf(refused, "changed_at"), "1971-01-01T01:00:00+00:00");
      EXPECT_NE(refused.message().find("alice"), std::string::npos) << refused.message();
    }
  }
  EXPECT_EQ(ledger_.GetSku("tv")->stock, 107);
}

TEST_F(OperatorStockTest, AChangeBetweenTheLookAndTheDeedIsCaughtByTheLedger) {
  const auto meddle = [this] { ASSERT_TRUE(ledger_.AddStock("tv", 1, std::nullopt, "alice").ok()); };
  auto add = StockRequest<v1::AddStockRequest>(5, false);
  add.set_expected_stock(100);
  ledger_.before_next_change = meddle;
  const absl::Status add_refused = stock_.Add(add, kActor).status();
  EXPECT_EQ(ReasonOf(add_refused), "STOCK_CHANGED");
  EXPECT_EQ(MetadataOf(add_refused, "stock"), "101");
  EXPECT_EQ(MetadataOf(add_refused, "changed_by"), "alice");

  auto reduce = StockRequest<v1::ReduceStockRequest>(5, false);
  reduce.set_expected_stock(101);
  ledger_.before_next_change = meddle;
  EXPECT_EQ(ReasonOf(stock_.Reduce(reduce, kActor).status()), "STOCK_CHANGED");
  EXPECT_EQ(ledger_.GetSku("tv")->stock, 102);
}

TEST_F(OperatorStockTest, ExpectationsAreCheckedAtTheEdge) {
  auto add = StockRequest<v1::AddStockRequest>(5, false);
  add.set_expected_stock(-1);
  EXPECT_EQ(ReasonOf(stock_.Add(add, kActor).status()), "FIELD_INVALID");
  auto reduce = StockRequest<v1::ReduceStockRequest>(5, false);
  reduce.set_expected_stock(kMaxStock + 1);
  EXPECT_EQ(ReasonOf(stock_.Reduce(reduce, kActor).status()), "FIELD_INVALID");
  reduce.clear_expected_stock();
  EXPECT_EQ(stock_.Reduce(reduce, kActor)->sku().stock(), 95);
}

TEST_F(OperatorStockTest, WithoutTheAuditLogItSaysLess) {
  auto reduce = StockRequest<v1::ReduceStockRequest>(5, false);
  reduce.set_expected_stock(1);
  ledger_.audit_fails = true;
  const absl::Status refused = stock_.Reduce(reduce, kActor).status();
  EXPECT_EQ(ReasonOf(refused), "STOCK_CHANGED");
  EXPECT_EQ(MetadataOf(refused, "stock"), "100");
  EXPECT_EQ(MetadataOf(refused, "changed_by"), "");
}

}  // namespace
}  // namespace tranche::server
