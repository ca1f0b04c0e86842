#include "tests/benchmark/echo_server.h"

#include <grpcpp/grpcpp.h>

#include "tests/benchmark/child_server.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::benchmark {
namespace {

class Echo final : public tranche::v1::ReservationService::CallbackService {
  grpc::ServerUnaryReactor* CreateReservation(grpc::CallbackServerContext* context,
                                              const tranche::v1::CreateReservationRequest* request,
                                              tranche::v1::CreateReservationResponse* response) override {
    tranche::v1::Reservation* reservation = response->mutable_reservation();
    reservation->set_reservation_id(request->reservation_id());
    reservation->set_sku_id(request->sku_id());
    reservation->set_user_id(request->user_id());
    reservation->set_quantity(request->quantity());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

}  // namespace

int ServeEcho(const std::string& port_file) {
  Echo echo;
  return ServeInChild(echo, port_file);
}

}  // namespace tranche::benchmark
