#include "server/services/reservation_service.h"

#include <utility>

#include "server/services/grpc_status.h"
#include "server/services/reservation_watch.h"

namespace tranche::server {
namespace {

// Finishes a call with what its handler answers.
template <typename Response>
auto FinishWith(grpc::CallbackServerContext* context, grpc::ServerUnaryReactor* reactor, Response* response) {
  return [context, reactor, response](absl::StatusOr<Response> answer) {
    if (!answer.ok()) {
      AddPushback(answer.status(), context);
      return reactor->Finish(ToGrpcStatus(answer.status()));
    }
    *response = *std::move(answer);
    reactor->Finish(grpc::Status::OK);
  };
}

}  // namespace

// The default reactor belongs to the call and lives until Finish has been sent, also when the caller has cancelled: a
// claim that was accepted is always decided, and only its answer is lost.

grpc::ServerUnaryReactor* ReservationServiceImpl::CreateReservation(grpc::CallbackServerContext* context,
                                                                    const v1::CreateReservationRequest* request,
                                                                    v1::CreateReservationResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  handlers_.reservation->Create(*request, DeadlineOf(*context),
                                [this, context, reactor, response](absl::StatusOr<quota::Sold> sold) {
                                  if (!sold.ok()) {
                                    AddPushback(sold.status(), context);
                                    return reactor->Finish(ToGrpcStatus(sold.status()));
                                  }
                                  handlers_.reservation->Fill(sold->reservation, response->mutable_reservation());
                                  response->set_replayed(sold->replayed);
                                  reactor->Finish(grpc::Status::OK);
                                });
  return reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::CreateReservations(grpc::CallbackServerContext* context,
                                                                     const v1::CreateReservationsRequest* request,
                                                                     v1::CreateReservationsResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  handlers_.cart->Create(*request, DeadlineOf(*context), FinishWith(context, reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::ConfirmReservation(grpc::CallbackServerContext* context,
                                                                     const v1::ConfirmReservationRequest* request,
                                                                     v1::ConfirmReservationResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  handlers_.change->Confirm(*request, DeadlineOf(*context), FinishWith(context, reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::CancelReservation(grpc::CallbackServerContext* context,
                                                                    const v1::CancelReservationRequest* request,
                                                                    v1::CancelReservationResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  handlers_.change->Cancel(*request, DeadlineOf(*context), FinishWith(context, reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::ExtendReservation(grpc::CallbackServerContext* context,
                                                                    const v1::ExtendReservationRequest* request,
                                                                    v1::ExtendReservationResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  handlers_.change->Extend(*request, DeadlineOf(*context), FinishWith(context, reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::GetReservation(grpc::CallbackServerContext* context,
                                                                 const v1::GetReservationRequest* request,
                                                                 v1::GetReservationResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  handlers_.reservation->Get(*request, DeadlineOf(*context),
                             [this, context, reactor, response](absl::StatusOr<storage::Reservation> found) {
                               if (!found.ok()) {
                                 AddPushback(found.status(), context);
                                 return reactor->Finish(ToGrpcStatus(found.status()));
                               }
                               handlers_.reservation->Fill(*found, response->mutable_reservation());
                               reactor->Finish(grpc::Status::OK);
                             });
  return reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::ListReservations(grpc::CallbackServerContext* context,
                                                                   const v1::ListReservationsRequest* request,
                                                                   v1::ListReservationsResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  handlers_.list->List(*request, DeadlineOf(*context), FinishWith(context, reactor, response));
  return reactor;
}

grpc::ServerWriteReactor<v1::WatchReservationResponse>* ReservationServiceImpl::WatchReservation(
    grpc::CallbackServerContext* context, const v1::WatchReservationRequest* request) {
  return ReservationWatch::Start(handlers_.watch, clock_, *request);
}

grpc::ServerBidiReactor<v1::StreamReservationsRequest, v1::StreamReservationsResponse>*
ReservationServiceImpl::StreamReservations(grpc::CallbackServerContext* context) {
  return ReservationStream::Start(handlers_.reservation, &streams_, stream_options_);
}

}  // namespace tranche::server
