// ReservationService on gRPC's callback API: only translates between gRPC and the handlers.
#pragma once

#include "server/handlers/cart_handler.h"
#include "server/handlers/change_handler.h"
#include "server/handlers/list_handler.h"
#include "server/handlers/reservation_handler.h"
#include "server/handlers/watch_hub.h"
#include "server/rpc/open_calls.h"
#include "server/services/reservation_stream.h"
#include "storage/clock.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::server {

struct ReservationHandlers {
  ReservationHandler* reservation = nullptr;
  CartHandler* cart = nullptr;
  ChangeHandler* change = nullptr;
  ListHandler* list = nullptr;
  WatchHub* watch = nullptr;
};

class ReservationServiceImpl final : public v1::ReservationService::CallbackService {
 public:
  // `calls` is told of every call and of every request of a stream; watches have no deadline. Outlived by all of them.
  ReservationServiceImpl(ReservationHandlers handlers, storage::Clock* clock, OpenCalls* calls,
                         ReservationStreamOptions stream_options)
      : handlers_(handlers), clock_(clock), calls_(calls), stream_options_(stream_options) {}

  grpc::ServerUnaryReactor* CreateReservation(grpc::CallbackServerContext* context,
                                              const v1::CreateReservationRequest* request,
                                              v1::CreateReservationResponse* response) override;
  grpc::ServerUnaryReactor* CreateReservations(grpc::CallbackServerContext* context,
                                               const v1::CreateReservationsRequest* request,
                                               v1::CreateReservationsResponse* response) override;
  grpc::ServerUnaryReactor* ConfirmReservation(grpc::CallbackServerContext* context,
                                               const v1::ConfirmReservationRequest* request,
                                               v1::ConfirmReservationResponse* response) override;
  grpc::ServerUnaryReactor* CancelReservation(grpc::CallbackServerContext* context,
                                              const v1::CancelReservationRequest* request,
                                              v1::CancelReservationResponse* response) override;
  grpc::ServerUnaryReactor* ExtendReservation(grpc::CallbackServerContext* context,
                                              const v1::ExtendReservationRequest* request,
                                              v1::ExtendReservationResponse* response) override;
  grpc::ServerUnaryReactor* GetReservation(grpc::CallbackServerContext* context,
                                           const v1::GetReservationRequest* request,
                                           v1::GetReservationResponse* response) override;
  grpc::ServerUnaryReactor* ListReservations(grpc::CallbackServerContext* context,
                                             const v1::ListReservationsRequest* request,
                                             v1::ListReservationsResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchReservationResponse>* WatchReservation(
      grpc::CallbackServerContext* context, const v1::WatchReservationRequest* request) override;
  grpc::ServerBidiReactor<v1::StreamReservationsRequest, v1::StreamReservationsResponse>* StreamReservations(
      grpc::CallbackServerContext* context) override;

  // Ends every stream, and every later one, once what it has accepted is answered.
  void StopStreams() { streams_.StopAll(); }

 private:
  const ReservationHandlers handlers_;
  storage::Clock* const clock_;
  OpenCalls* const calls_;
  const ReservationStreamOptions stream_options_;
  ReservationStreamSet streams_;
};

}  // namespace tranche::server
