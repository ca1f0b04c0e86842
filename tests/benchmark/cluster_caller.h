// Plain calls to the nodes of a cluster, without the SDK's retries: measures single answers of single nodes.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::benchmark {

// Thread-safe.
class ClusterCaller {
 public:
  explicit ClusterCaller(const std::vector<std::string>& endpoints);

  // Reserves a unit for a new buyer at that node.
  grpc::Status Buy(size_t node, const std::string& sku, absl::Duration timeout);
  // `on_demand`: its units wait in the pool. Otherwise they are split over the nodes.
  grpc::Status CreateSku(const std::string& sku, int64_t stock, bool on_demand);
  v1::Quota GetQuota(size_t node, const std::string& sku);
  // The node stays up and registered.
  grpc::Status Drain(size_t node, const std::string& node_name);
  grpc::Status Undrain(size_t node, const std::string& node_name);

  size_t nodes() const { return reservations_.size(); }

 private:
  std::vector<std::unique_ptr<v1::ReservationService::Stub>> reservations_;
  std::vector<std::unique_ptr<v1::AdminService::Stub>> admins_;
};

// Whether nodes other than `but` hold all unsold units, and every announcement agrees with the ledger.
bool AllAtNodesBut(const v1::Quota& quota, const std::string& but);

}  // namespace tranche::benchmark
