// A private server with one SKU, "tv", whose units one node holds, for tests that trouble the server.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_ledger.h"
#include "tests/support/mini_postgres.h"

namespace tranche::storage {

class PostgresOutageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(postgres_.Start().ok());
    PoolOptions options;
    options.dsn = postgres_.node_dsn();
    pool_ = std::make_unique<ConnectionPool>(options);
    ledger_ = std::make_unique<PostgresLedger>(pool_.get());
    stock_ = std::make_unique<PostgresStockLedger>(pool_.get());
    Sku sku;
    sku.sku_id = "tv";
    sku.title = "A television";
    sku.currency = "EUR";
    sku.stock = kStock;
    ASSERT_TRUE(stock_->CreateSku(sku, "test").ok());
    node_ = *stock_->RegisterIncarnation("node", "host:1");
    ASSERT_TRUE(stock_->MoveUnits("tv", {{node_, kStock}}, std::nullopt, "test").ok());
  }

  // Tries until the ledger answers again.
  Sku ReadWhenBack() {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (true) {
      const auto sku = stock_->GetSku("tv");
      if (sku.ok()) return *sku;
      EXPECT_EQ(sku.status().code(), absl::StatusCode::kUnavailable) << sku.status();
      if (absl::Now() > deadline) {
        ADD_FAILURE() << "the ledger does not come back: " << sku.status();
        return {};
      }
      absl::SleepFor(absl::Milliseconds(20));
    }
  }

  // The ledger's first real answer. A backend that continues after it was stopped may hold its locks for longer than a
  // short statement timeout, on a busy machine.
  template <typename Call>
  static auto AnswerOf(const Call& call) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (true) {
      auto answer = call();
      if (!absl::IsUnavailable(answer.status()) || absl::Now() > deadline) return answer;
      absl::SleepFor(absl::Milliseconds(20));
    }
  }

  static constexpr int64_t kStock = 1'000'000;
  testing::MiniPostgres postgres_;
  std::unique_ptr<ConnectionPool> pool_;
  std::unique_ptr<PostgresLedger> ledger_;
  std::unique_ptr<PostgresStockLedger> stock_;
  IncarnationId node_ = kPool;
};

// The process ids of the server's backends for this application.
inline std::string BackendsOf(const testing::MiniPostgres& postgres, const std::string& application) {
  pqxx::connection connection(postgres.dsn());
  pqxx::nontransaction query(connection);
  return query
      .exec1(absl::StrCat("SELECT coalesce(string_agg(pid::text, ' ' ORDER BY pid), '') FROM pg_stat_activity "
                          "WHERE application_name = '",
                          application, "'"))[0]
      .as<std::string>();
}

}  // namespace tranche::storage
