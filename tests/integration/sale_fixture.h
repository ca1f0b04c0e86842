// A cluster of real servers with an SDK client and the admin calls, and a check of the books at the end.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/integration/shoppers.h"
#include "tests/support/mini_cluster.h"
#include "tranche/client.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace tranche::testing {

class SaleTest : public ::testing::Test {
 protected:
  // Starts the cluster and a client that knows all its nodes. If it does not start, this throws, and GoogleTest ends
  // the test and says why: an assertion here would only return, and the test go on without a cluster.
  void StartCluster(MiniClusterOptions options);
  // Throws if there can be none, likewise.
  std::unique_ptr<Client> ClientOf(std::vector<std::string> endpoints);

  void CreateSku(const std::string& sku, int64_t stock, absl::Duration hold = absl::Minutes(15),
                 const std::string& shard = "", int32_t per_user_limit = 1);
  // Creates the SKU and waits until all its units are announced to the nodes.
  void OpenSale(const std::string& sku, int64_t stock, absl::Duration hold = absl::Minutes(15),
                const std::string& shard = "", int32_t per_user_limit = 1);
  // Waits until the node's slices of the SKU are announced and hold `remaining` units in total.
  void WaitUntilAnnounced(const std::string& sku, int64_t remaining);
  // Waits until each serving node has half of an equal share of `units` at least, as of a presplit SKU before its
  // buyers come. A node that the balancer heard of after the SKU was created gets its share a moment later than the
  // others.
  void WaitUntilShared(const std::string& sku, int64_t units);
  v1::Quota QuotaOf(const std::string& sku);

  // A context with a deadline.
  static std::unique_ptr<grpc::ClientContext> Context();
  // An admin stub for a node that is up.
  std::unique_ptr<v1::AdminService::Stub> Admin();

  // The most memory that this node has used since it began, in MiB.
  int64_t PeakMib(int node);

  // Sums over all shards.
  std::set<std::string> RowsOf(const std::string& sku);
  std::vector<std::string> OwnerDsns() const;
  // Checks that every acknowledged reservation has its row, that every row was acknowledged or reported as unknown, and
  // that the ledger's invariants hold.
  void CheckBooks(Shoppers& shoppers, const std::vector<std::string>& skus);
  void CheckLedger();

  std::unique_ptr<MiniCluster> cluster_;
  std::unique_ptr<Client> client_;
};

}  // namespace tranche::testing
