// ReservationService on gRPC's callback API: only translates between gRPC and ReservationHandler.
#pragma once

#include "server/handlers/reservation_handler.h"
#include "server/services/reservation_stream.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::server {

class ReservationServiceImpl final : public v1::ReservationService::CallbackService {
 public:
  ReservationServiceImpl(ReservationHandler* handler, ReservationStreamOptions stream_options)
      : handler_(handler), stream_options_(stream_options) {}

  grpc::ServerUnaryReactor* CreateReservation(grpc::CallbackServerContext* context,
                                              const v1::CreateReservationRequest* request,
                                              v1::CreateReservationResponse* response) override;
  grpc::ServerUnaryReactor* GetReservation(grpc::CallbackServerContext* context,
                                           const v1::GetReservationRequest* request,
                                           v1::GetReservationResponse* response) override;
  grpc::ServerBidiReactor<v1::StreamReservationsRequest, v1::StreamReservationsResponse>* StreamReservations(
      grpc::CallbackServerContext* context) override;

  // Ends every stream, and every later one, once what it has accepted is answered.
  void StopStreams() { streams_.StopAll(); }

 private:
  ReservationHandler* const handler_;
  const ReservationStreamOptions stream_options_;
  ReservationStreamSet streams_;
};

}  // namespace tranche::server
