// A page of a verification may take longer than any other statement of a node.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/postgres_shard_backend.h"
#include "tests/contract/postgres_outage_fixture.h"

namespace tranche::storage {
namespace {

// The least that --statement-timeout-ms takes.
constexpr absl::Duration kStatementTimeout = absl::Milliseconds(100);

// Each call of these procedures takes half a second more.
constexpr char kSlowProcedures[] = R"(
  ALTER FUNCTION tranche.verify_page(text, text, integer) RENAME TO quick_verify_page;
  CREATE FUNCTION tranche.verify_page(p_sku_id text, p_after text, p_limit integer)
  RETURNS TABLE (rule text, sku_id text, detail text) LANGUAGE sql SECURITY DEFINER AS $$
    SELECT pg_sleep(0.5);
    SELECT * FROM tranche.quick_verify_page(p_sku_id, p_after, p_limit);
  $$;
  ALTER FUNCTION tranche.list_skus(text, integer, text) RENAME TO quick_list_skus;
  CREATE FUNCTION tranche.list_skus(p_after text, p_limit integer, p_only text DEFAULT NULL)
  RETURNS SETOF tranche.sku_state LANGUAGE sql SECURITY DEFINER AS $$
    SELECT pg_sleep(0.5);
    SELECT * FROM tranche.quick_list_skus(p_after, p_limit, p_only);
  $$)";

// The SKUs "tv", whose stock is wrong, and "radio".
class VerifyTimeoutTest : public PostgresOutageTest {
 protected:
  void SetUp() override {
    PostgresOutageTest::SetUp();
    Sku radio;
    radio.sku_id = "radio";
    radio.currency = "EUR";
    ASSERT_TRUE(stock_->CreateSku(radio, "test").ok());
    Execute("UPDATE tranche.sku SET stock = stock + 1 WHERE sku_id = 'tv'");
    Execute(kSlowProcedures);
    PostgresShardOptions options;
    options.pool.dsn = postgres_.node_dsn();
    options.pool.statement_timeout = kStatementTimeout;
    shard_ = std::make_unique<PostgresShardBackend>(kHomeShard, options);
  }
  void TearDown() override {
    if (shard_ == nullptr) return;
    shard_->StopExecutor();
    shard_->StopPipelines();
  }

  void Execute(const std::string& sql) {
    const absl::Status done = testing::ExecuteSql(postgres_.dsn(), sql);
    ASSERT_TRUE(done.ok()) << done;
  }
  static void ExpectWrongTv(const VerifyReport& report) {
    ASSERT_EQ(report.violations.size(), 1u);
    EXPECT_EQ(report.violations[0].rule, "conservation");
    EXPECT_EQ(report.violations[0].sku_id, "tv");
  }

  std::unique_ptr<PostgresShardBackend> shard_;
};

TEST_F(VerifyTimeoutTest, AStatementThatTakesLongerIsCancelled) {
  const auto sku = shard_->stock->GetSku("tv");
  EXPECT_TRUE(absl::IsUnavailable(sku.status()) && LedgerIsUp(sku.status())) << sku.status();
}

TEST_F(VerifyTimeoutTest, APageEndsWithTheRightAnswer) {
  const absl::Time began_at = absl::Now();
  const auto first = shard_->stock->VerifyPage({}, 1);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_GT(absl::Now() - began_at, kStatementTimeout) << "it was not slow";
  EXPECT_TRUE(first->violations.empty());
  EXPECT_EQ(first->skus_checked, 1);
  ASSERT_TRUE(first->next.has_value());
  const auto last = shard_->stock->VerifyPage(*first->next, 1);
  ASSERT_TRUE(last.ok()) << last.status();
  ExpectWrongTv(*last);
  EXPECT_FALSE(last->next.has_value());
}

TEST_F(VerifyTimeoutTest, SoDoesTheVerificationOfOneSku) {
  const auto report = shard_->stock->Verify("tv");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->skus_checked, 1);
  ExpectWrongTv(*report);
}

}  // namespace
}  // namespace tranche::storage
