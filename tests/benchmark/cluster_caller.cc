#include "tests/benchmark/cluster_caller.h"

#include <algorithm>
#include <atomic>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace tranche::benchmark {
namespace {

constexpr absl::Duration kAdminTimeout = absl::Seconds(10);

void SetDeadline(absl::Duration timeout, grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));
}

// Only needs to be distinct: the ledger requires no more.
std::string NextId() {
  static std::atomic<uint64_t> next{0};
  static const uint64_t run = static_cast<uint64_t>(absl::GetCurrentTimeNanos());
  return absl::StrFormat("%08x-%04x-4%03x-8%03x-%012x", run >> 32, (run >> 16) & 0xffff, (run >> 4) & 0xfff, run & 0xf,
                         next.fetch_add(1));
}

}  // namespace

ClusterCaller::ClusterCaller(const std::vector<std::string>& endpoints) {
  for (const std::string& endpoint : endpoints) {
    const auto channel = grpc::CreateChannel(endpoint, grpc::InsecureChannelCredentials());
    reservations_.push_back(v1::ReservationService::NewStub(channel));
    admins_.push_back(v1::AdminService::NewStub(channel));
  }
}

grpc::Status ClusterCaller::Buy(size_t node, const std::string& sku, absl::Duration timeout) {
  grpc::ClientContext context;
  SetDeadline(timeout, &context);
  v1::CreateReservationRequest request;
  v1::CreateReservationResponse response;
  request.set_reservation_id(NextId());
  request.set_user_id(request.reservation_id());
  request.set_sku_id(sku);
  request.set_quantity(1);
  return reservations_[node]->CreateReservation(&context, request, &response);
}

grpc::Status ClusterCaller::CreateSku(const std::string& sku, int64_t stock, bool on_demand) {
  grpc::ClientContext context;
  SetDeadline(kAdminTimeout, &context);
  v1::CreateSkuRequest request;
  v1::CreateSkuResponse response;
  request.mutable_sku()->set_sku_id(sku);
  request.mutable_sku()->set_price_minor(100);
  request.mutable_sku()->set_currency("EUR");
  request.mutable_sku()->set_stock(stock);
  request.mutable_sku()->set_on_demand(on_demand);
  return admins_.front()->CreateSku(&context, request, &response);
}

v1::Quota ClusterCaller::GetQuota(size_t node, const std::string& sku) {
  grpc::ClientContext context;
  SetDeadline(kAdminTimeout, &context);
  v1::GetQuotaRequest request;
  v1::GetQuotaResponse response;
  request.set_sku_id(sku);
  // Empty after a failure: no node has a unit.
  if (!admins_[node]->GetQuota(&context, request, &response).ok()) return {};
  return response.quota();
}

grpc::Status ClusterCaller::Drain(size_t node, const std::string& node_name) {
  grpc::ClientContext context;
  SetDeadline(kAdminTimeout, &context);
  v1::DrainNodeRequest request;
  v1::DrainNodeResponse response;
  request.set_node(node_name);
  request.set_stay(true);
  return admins_[node]->DrainNode(&context, request, &response);
}

grpc::Status ClusterCaller::Undrain(size_t node, const std::string& node_name) {
  grpc::ClientContext context;
  SetDeadline(kAdminTimeout, &context);
  v1::UndrainNodeRequest request;
  v1::UndrainNodeResponse response;
  request.set_node(node_name);
  return admins_[node]->UndrainNode(&context, request, &response);
}

bool AllAtNodesBut(const v1::Quota& quota, const std::string& but) {
  return quota.slices_size() > 1 && std::all_of(quota.slices().begin(), quota.slices().end(), [&](const auto& slice) {
           const bool not_sellable = slice.incarnation() == 0 || slice.node_name() == but;
           if (not_sellable) return slice.remaining() == 0;
           return slice.announced_version() == slice.version();
         });
}

}  // namespace tranche::benchmark
