// The generated code without the SDK.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>

#include "google/rpc/error_details.pb.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

int main(int argc, char** argv) {
  const auto stub =
      tranche::v1::ReservationService::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  tranche::v1::CreateReservationRequest request;
  request.set_sku_id("tv");
  tranche::v1::CreateReservationResponse response;
  const grpc::Status status = stub->CreateReservation(&context, request, &response);
  std::cout << status.error_code() << " " << google::rpc::ErrorInfo::descriptor()->full_name() << " "
            << tranche::v1::AdminService::service_full_name() << "\n";
}
