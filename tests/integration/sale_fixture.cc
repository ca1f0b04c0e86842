#include "tests/integration/sale_fixture.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <fstream>
#include <pqxx/pqxx>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_ledger.h"
#include "tests/support/between_looks.h"

namespace tranche::testing {

void SaleTest::StartCluster(MiniClusterOptions options) {
  // The machine does not lose its power in a test, and a slow disk would decide about times.
  options.fsync = Fsync::kOff;
  cluster_ = MiniCluster::Start(options).value();
  client_ = ClientOf(cluster_->endpoints());
}

std::unique_ptr<Client> SaleTest::ClientOf(std::vector<std::string> endpoints) {
  ClientOptions options;
  options.endpoints = std::move(endpoints);
  options.request_timeout = absl::Seconds(5);
  return Client::Open(options).value();
}

std::unique_ptr<grpc::ClientContext> SaleTest::Context() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  return context;
}

std::unique_ptr<v1::AdminService::Stub> SaleTest::Admin() {
  return v1::AdminService::NewStub(
      grpc::CreateChannel(cluster_->endpoints().back(), grpc::InsecureChannelCredentials()));
}

void SaleTest::OpenSale(const std::string& sku, int64_t stock, absl::Duration hold, const std::string& shard,
                        int32_t per_user_limit) {
  CreateSku(sku, stock, hold, shard, per_user_limit);
  WaitUntilAnnounced(sku, stock);
}

void SaleTest::CreateSku(const std::string& sku, int64_t stock, absl::Duration hold, const std::string& shard,
                         int32_t per_user_limit) {
  v1::CreateSkuRequest request;
  request.mutable_sku()->set_sku_id(sku);
  request.mutable_sku()->set_title(sku);
  request.mutable_sku()->set_price_minor(49900);
  request.mutable_sku()->set_currency("EUR");
  request.mutable_sku()->set_stock(stock);
  request.mutable_sku()->set_per_user_limit(per_user_limit);
  request.mutable_sku()->mutable_hold()->set_seconds(absl::ToInt64Seconds(hold));
  request.mutable_sku()->set_shard(shard);
  v1::CreateSkuResponse response;
  const grpc::Status status = Admin()->CreateSku(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
}

int64_t SaleTest::PeakMib(int node) {
  std::ifstream status(absl::StrCat("/proc/", cluster_->node(node).process().pid(), "/status"));
  std::string line;
  while (std::getline(status, line)) {
    int64_t kib = 0;
    if (absl::StartsWith(line, "VmHWM:") && absl::SimpleAtoi(line.substr(6, line.size() - 6 - 3), &kib)) {
      return kib / 1024;
    }
  }
  ADD_FAILURE() << "no VmHWM";
  return 0;
}

v1::Quota SaleTest::QuotaOf(const std::string& sku) {
  v1::GetQuotaRequest request;
  request.set_sku_id(sku);
  v1::GetQuotaResponse response;
  const grpc::Status status = Admin()->GetQuota(Context().get(), request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.quota();
}

void SaleTest::WaitUntilAnnounced(const std::string& sku, int64_t remaining) {
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  v1::Quota quota;
  while (absl::Now() < give_up) {
    quota = QuotaOf(sku);
    int64_t announced = 0;
    for (const v1::Slice& slice : quota.slices()) {
      if (slice.incarnation() != 0 && slice.announced_version() == slice.version()) announced += slice.remaining();
    }
    if (announced == remaining) return;
    RestBetweenLooks();
  }
  FAIL() << "not all " << remaining << " units of " << sku << " are announced: " << quota.DebugString();
}

void SaleTest::WaitUntilShared(const std::string& sku, int64_t units) {
  const auto nodes = static_cast<int64_t>(cluster_->endpoints().size());
  // A node that the balancer hears of after the first split takes its share from the others, and these do not give
  // alike.
  const int64_t share = std::max<int64_t>(1, units / nodes / 2);
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  v1::Quota quota;
  while (absl::Now() < give_up) {
    quota = QuotaOf(sku);
    const auto has_share = [&](const v1::Slice& slice) {
      return slice.incarnation() != 0 && slice.announced_version() == slice.version() && slice.remaining() >= share;
    };
    if (std::count_if(quota.slices().begin(), quota.slices().end(), has_share) == nodes) return;
    RestBetweenLooks();
  }
  FAIL() << "the units of " << sku << " are not shared by " << nodes << " nodes: " << quota.DebugString();
}

std::set<std::string> SaleTest::RowsOf(const std::string& sku) {
  std::set<std::string> ids;
  for (const std::string& dsn : OwnerDsns()) {
    pqxx::connection connection(dsn);
    pqxx::work transaction(connection);
    for (const auto& row :
         transaction.exec_params("SELECT reservation_id FROM tranche.reservation WHERE sku_id = $1", sku)) {
      EXPECT_TRUE(ids.insert(row[0].c_str()).second) << row[0].c_str() << " is on two shards";
    }
  }
  return ids;
}

std::vector<std::string> SaleTest::OwnerDsns() const {
  std::vector<std::string> dsns = {cluster_->postgres().dsn()};
  for (int i = 0; i < cluster_->shards(); ++i) dsns.push_back(cluster_->shard(i).dsn());
  return dsns;
}

void SaleTest::CheckBooks(Shoppers& shoppers, const std::vector<std::string>& skus) {
  std::set<std::string> rows;
  for (const std::string& sku : skus) rows.merge(RowsOf(sku));
  const std::set<std::string> acknowledged = shoppers.acknowledged();
  const std::map<std::string, std::string> unknown = shoppers.unknown();
  for (const std::string& id : acknowledged) EXPECT_TRUE(rows.contains(id)) << id << " was acknowledged and is lost";
  for (const std::string& id : rows) {
    EXPECT_TRUE(acknowledged.contains(id) || unknown.contains(id)) << id << " is booked and nobody was told";
  }
  CheckLedger();
}

void SaleTest::CheckLedger() {
  for (const std::string& dsn : OwnerDsns()) {
    storage::ConnectionPool pool({.dsn = dsn});
    const auto report = storage::PostgresStockLedger(&pool).Verify("");
    ASSERT_TRUE(report.ok()) << report.status();
    for (const auto& violation : report->violations) {
      ADD_FAILURE() << violation.rule << " " << violation.sku_id << ": " << violation.detail;
    }
  }
}

}  // namespace tranche::testing
