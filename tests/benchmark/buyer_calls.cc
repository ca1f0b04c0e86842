#include "tests/benchmark/buyer_calls.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "tranche/uuid.h"

namespace tranche::benchmark {

NodeConnections::NodeConnections(const std::string& endpoint, int count) {
  for (int i = 0; i < count; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    const auto channel = grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
    stubs_.push_back({v1::FrontDoorService::NewStub(channel), v1::ReservationService::NewStub(channel)});
  }
}

std::optional<Buyer> NewBuyer() { return Buyer{.user_id = MakeUuidV7(), .token = ""}; }

void LetIn::Add(Buyer buyer) {
  absl::MutexLock lock(&mutex_);
  buyers_.push_back(std::move(buyer));
}

std::optional<Buyer> LetIn::Take() {
  absl::MutexLock lock(&mutex_);
  if (buyers_.empty()) return std::nullopt;
  Buyer buyer = std::move(buyers_.back());
  buyers_.pop_back();
  return buyer;
}

CallFigures EnterSales(const NodeConnections& node, const BuyerLoad& load, LetIn& buyers) {
  CallKind<v1::EnterSaleRequest, v1::EnterSaleResponse> kind;
  kind.next = [&](v1::EnterSaleRequest& request) {
    request.set_sku_id(load.sku);
    request.set_user_id(MakeUuidV7());
    return true;
  };
  kind.call = [&](grpc::ClientContext* context, const v1::EnterSaleRequest* request, v1::EnterSaleResponse* response,
                  std::function<void(grpc::Status)> done) {
    node.door().async()->EnterSale(context, request, response, std::move(done));
  };
  kind.problem = [&](const v1::EnterSaleRequest& request, const v1::EnterSaleResponse& response) -> std::string {
    if (!response.admitted()) return "not admitted";
    if (response.purchase_token().empty() == load.token) return load.token ? "no token" : "an unexpected token";
    buyers.Add({request.user_id(), response.purchase_token()});
    return "";
  };
  return AsyncCalls<v1::EnterSaleRequest, v1::EnterSaleResponse>(std::move(kind), load.in_flight)
      .Run(load.duration, load.node_pid);
}

CallFigures Claims(const NodeConnections& node, const BuyerLoad& load, const BuyerSource& next) {
  CallKind<v1::CreateReservationRequest, v1::CreateReservationResponse> kind;
  kind.next = [&](v1::CreateReservationRequest& request) {
    std::optional<Buyer> buyer = next();
    if (!buyer.has_value()) return false;
    request.set_reservation_id(MakeUuidV7());
    request.set_sku_id(load.sku);
    request.set_user_id(std::move(buyer->user_id));
    request.set_quantity(1);
    request.set_purchase_token(std::move(buyer->token));
    return true;
  };
  kind.call = [&](grpc::ClientContext* context, const v1::CreateReservationRequest* request,
                  v1::CreateReservationResponse* response, std::function<void(grpc::Status)> done) {
    node.reservations().async()->CreateReservation(context, request, response, std::move(done));
  };
  kind.problem = [](const v1::CreateReservationRequest&, const v1::CreateReservationResponse&) {
    return std::string();
  };
  return AsyncCalls<v1::CreateReservationRequest, v1::CreateReservationResponse>(std::move(kind), load.in_flight)
      .Run(load.duration, load.node_pid);
}

}  // namespace tranche::benchmark
