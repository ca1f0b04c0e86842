#include "server/services/reservation_service.h"

#include <utility>

#include "server/services/grpc_status.h"

namespace tranche::server {

// The default reactor belongs to the call and lives until Finish has been sent, also when the caller has cancelled: a
// claim that was accepted is always decided, and only its answer is lost.

grpc::ServerUnaryReactor* ReservationServiceImpl::CreateReservation(grpc::CallbackServerContext* context,
                                                                    const v1::CreateReservationRequest* request,
                                                                    v1::CreateReservationResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  handler_->Create(*request, DeadlineOf(*context),
                   [this, context, reactor, response](absl::StatusOr<quota::Sold> sold) {
                     if (!sold.ok()) {
                       AddPushback(sold.status(), context);
                       return reactor->Finish(ToGrpcStatus(sold.status()));
                     }
                     handler_->Fill(sold->reservation, response->mutable_reservation());
                     response->set_replayed(sold->replayed);
                     reactor->Finish(grpc::Status::OK);
                   });
  return reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::GetReservation(grpc::CallbackServerContext* context,
                                                                 const v1::GetReservationRequest* request,
                                                                 v1::GetReservationResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  handler_->Get(*request, DeadlineOf(*context),
                [this, context, reactor, response](absl::StatusOr<storage::Reservation> found) {
                  if (!found.ok()) {
                    AddPushback(found.status(), context);
                    return reactor->Finish(ToGrpcStatus(found.status()));
                  }
                  handler_->Fill(*found, response->mutable_reservation());
                  reactor->Finish(grpc::Status::OK);
                });
  return reactor;
}

grpc::ServerBidiReactor<v1::StreamReservationsRequest, v1::StreamReservationsResponse>*
ReservationServiceImpl::StreamReservations(grpc::CallbackServerContext* context) {
  return ReservationStream::Start(handler_, &streams_, stream_options_);
}

}  // namespace tranche::server
