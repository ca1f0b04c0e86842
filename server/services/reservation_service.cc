#include "server/services/reservation_service.h"

#include <utility>

#include "server/rpc/grpc_status.h"
#include "server/services/reservation_watch.h"

namespace tranche::server {
namespace {

// A call that began, and what it takes to finish it. Copied into the callback that its handler answers.
template <typename Response>
struct Unary {
  Unary(OpenCalls* calls, CallKind kind, grpc::CallbackServerContext* context, Response* response)
      : calls(calls),
        call(calls->Begin(kind, DeadlineOf(*context))),
        context(context),
        reactor(context->DefaultReactor()),
        response(response) {}

  void FinishWith(const absl::Status& error) const {
    calls->End(call);
    AddPushback(error, context);
    reactor->Finish(ToGrpcStatus(error));
  }
  void Finish() const {
    calls->End(call);
    reactor->Finish(grpc::Status::OK);
  }

  // With what the handler answers.
  auto Answer() const {
    return [unary = *this](absl::StatusOr<Response> answer) {
      if (!answer.ok()) return unary.FinishWith(answer.status());
      *unary.response = *std::move(answer);
      unary.Finish();
    };
  }

  OpenCalls* calls;
  OpenCall call;
  grpc::CallbackServerContext* context;
  grpc::ServerUnaryReactor* reactor;
  Response* response;
};

}  // namespace

// The default reactor belongs to the call and lives until Finish has been sent, also when the caller has cancelled: a
// claim that was accepted is always decided, and only its answer is lost.

grpc::ServerUnaryReactor* ReservationServiceImpl::CreateReservation(grpc::CallbackServerContext* context,
                                                                    const v1::CreateReservationRequest* request,
                                                                    v1::CreateReservationResponse* response) {
  const Unary unary(calls_, CallKind::kReservation, context, response);
  handlers_.reservation->Create(*request, DeadlineOf(*context), [this, unary](absl::StatusOr<quota::Sold> sold) {
    if (!sold.ok()) return unary.FinishWith(sold.status());
    handlers_.reservation->Fill(sold->reservation, unary.response->mutable_reservation());
    unary.response->set_replayed(sold->replayed);
    unary.Finish();
  });
  return unary.reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::CreateReservations(grpc::CallbackServerContext* context,
                                                                     const v1::CreateReservationsRequest* request,
                                                                     v1::CreateReservationsResponse* response) {
  const Unary unary(calls_, CallKind::kCart, context, response);
  handlers_.cart->Create(*request, DeadlineOf(*context), unary.Answer());
  return unary.reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::ConfirmReservation(grpc::CallbackServerContext* context,
                                                                     const v1::ConfirmReservationRequest* request,
                                                                     v1::ConfirmReservationResponse* response) {
  const Unary unary(calls_, CallKind::kConfirm, context, response);
  handlers_.change->Confirm(*request, DeadlineOf(*context), unary.Answer());
  return unary.reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::CancelReservation(grpc::CallbackServerContext* context,
                                                                    const v1::CancelReservationRequest* request,
                                                                    v1::CancelReservationResponse* response) {
  const Unary unary(calls_, CallKind::kCancel, context, response);
  handlers_.change->Cancel(*request, DeadlineOf(*context), unary.Answer());
  return unary.reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::ExtendReservation(grpc::CallbackServerContext* context,
                                                                    const v1::ExtendReservationRequest* request,
                                                                    v1::ExtendReservationResponse* response) {
  const Unary unary(calls_, CallKind::kExtend, context, response);
  handlers_.change->Extend(*request, DeadlineOf(*context), unary.Answer());
  return unary.reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::GetReservation(grpc::CallbackServerContext* context,
                                                                 const v1::GetReservationRequest* request,
                                                                 v1::GetReservationResponse* response) {
  const Unary unary(calls_, CallKind::kGet, context, response);
  handlers_.reservation->Get(*request, DeadlineOf(*context), [this, unary](absl::StatusOr<storage::Reservation> found) {
    if (!found.ok()) return unary.FinishWith(found.status());
    handlers_.reservation->Fill(*found, unary.response->mutable_reservation());
    unary.Finish();
  });
  return unary.reactor;
}

grpc::ServerUnaryReactor* ReservationServiceImpl::ListReservations(grpc::CallbackServerContext* context,
                                                                   const v1::ListReservationsRequest* request,
                                                                   v1::ListReservationsResponse* response) {
  const Unary unary(calls_, CallKind::kList, context, response);
  handlers_.list->List(*request, DeadlineOf(*context), unary.Answer());
  return unary.reactor;
}

grpc::ServerWriteReactor<v1::WatchReservationResponse>* ReservationServiceImpl::WatchReservation(
    grpc::CallbackServerContext* context, const v1::WatchReservationRequest* request) {
  return ReservationWatch::Start(handlers_.watch, clock_, *request);
}

grpc::ServerBidiReactor<v1::StreamReservationsRequest, v1::StreamReservationsResponse>*
ReservationServiceImpl::StreamReservations(grpc::CallbackServerContext* context) {
  return ReservationStream::Start(handlers_.reservation, &streams_, calls_, stream_options_);
}

}  // namespace tranche::server
