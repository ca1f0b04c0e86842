#include "server/services/reservation_service.h"

#include "server/errors.h"
#include "server/services/claim_watch.h"
#include "server/services/reservation_watch.h"

namespace tranche::server {
namespace {

// What the sale decided, as opposed to what is wrong with the request or the service.
bool IsDecision(const absl::Status& refusal) {
  return absl::IsFailedPrecondition(refusal) || absl::IsResourceExhausted(refusal);
}

CallEntry CreateCall(CallPolicy policy, ReservationHandler* handler, const VisitorAddresses& visitors) {
  return InlineCall<v1::CreateReservationRequest, v1::CreateReservationResponse>(
      policy, [handler, visitors](const CallContext& call, const v1::CreateReservationRequest& request,
                                  const Reply<v1::CreateReservationResponse>& reply) {
        const bool in_response = request.refusal_in_response();
        const auto answer = [handler, reply, in_response](const absl::StatusOr<Accepted>& accepted) {
          if (!accepted.ok()) {
            if (!in_response || !IsDecision(accepted.status())) return reply.Finish(accepted.status());
            *reply.response()->mutable_refusal() = ToRpcStatus(accepted.status());
            return reply.Finish(absl::OkStatus(), accepted.status());
          }
          handler->Fill(*accepted, reply.response());
          reply.Finish(absl::OkStatus());
        };
        handler->Create(request, call.deadline(), answer, visitors.Of(call, request.buyer_address()));
      });
}

CallEntry CartCall(CallPolicy policy, CartHandler* handler, const VisitorAddresses& visitors) {
  return InlineCall<v1::CreateReservationsRequest, v1::CreateReservationsResponse>(
      policy, [handler, visitors](const CallContext& call, const v1::CreateReservationsRequest& request,
                                  const Reply<v1::CreateReservationsResponse>& reply) {
        handler->Create(request, call.deadline(), reply, visitors.Of(call, request.buyer_address()));
      });
}

CallEntry GetCall(CallPolicy policy, ReservationHandler* handler) {
  return InlineCall<v1::GetReservationRequest, v1::GetReservationResponse>(
      policy, [handler](const CallContext& call, const v1::GetReservationRequest& request,
                        const Reply<v1::GetReservationResponse>& reply) {
        handler->Get(request, call.deadline(), [handler, reply](absl::StatusOr<storage::Reservation> found) {
          if (!found.ok()) return reply.Finish(found.status());
          handler->Fill(*found, reply.response()->mutable_reservation());
          reply.Finish(absl::OkStatus());
        });
      });
}

CallEntry WatchClaimCall(CallPolicy policy, WatchHub* hub, ClaimHandler* handler) {
  return ServerStreamCall<v1::WatchClaimRequest, v1::WatchClaimResponse>(
      policy, [hub, handler](const CallContext& call, const CallFrame& frame, const v1::WatchClaimRequest& request) {
        return ClaimWatch::Start(call, frame, hub, handler, request);
      });
}

CallEntry WatchCall(CallPolicy policy, WatchHub* hub) {
  return ServerStreamCall<v1::WatchReservationRequest, v1::WatchReservationResponse>(
      policy, [hub](const CallContext& call, const CallFrame& frame, const v1::WatchReservationRequest& request) {
        return ReservationWatch::Start(call, frame, hub, request);
      });
}

CallEntry StreamCall(CallPolicy policy, const StreamHandlers& handlers, ReservationStreamSet* streams,
                     ReservationStreamOptions options) {
  return BidiStreamCall<v1::StreamReservationsRequest, v1::StreamReservationsResponse>(
      policy, [=](const CallContext& call, const CallFrame& frame) {
        return ReservationStream::Start(call, frame, handlers, streams, options);
      });
}

}  // namespace

std::vector<CallEntry> ReservationCalls(const ReservationHandlers& to, ReservationStreamSet* streams,
                                        ReservationStreamOptions stream_options) {
  using enum Permission;
  using enum RunsOn;
  using enum Repeatable;
  using enum CallKind;
  // A change names its reservation by an id that the caller chose, so repeating it changes nothing.
  return {
      CreateCall({"CreateReservation", kClaim, kInline, kYes, kReservation}, to.reservation, to.visitors),
      CartCall({"CreateReservations", kClaim, kInline, kYes, kCart}, to.cart, to.visitors),
      InlineCall({"ConfirmReservation", kPay, kInline, kYes, kConfirm}, to.change, &ChangeHandler::Confirm),
      InlineCall({"CancelReservation", kGiveBack, kInline, kYes, kCancel}, to.change, &ChangeHandler::Cancel),
      InlineCall({"ExtendReservation", kClaim, kInline, kYes, kExtend}, to.change, &ChangeHandler::Extend),
      GetCall({"GetReservation", kRead, kInline, kYes, kGet}, to.reservation),
      LargeInlineCall({"BatchGetReservations", kRead, kInline, kYes, kGet}, to.list, &ListHandler::BatchGet),
      LargeInlineCall({"ListReservations", kReadAll, kInline, kYes, kList}, to.list, &ListHandler::List),
      InlineCall({"GetClaim", kRead, kInline, kYes, kGet}, to.claim, &ClaimHandler::Get),
      // Not counted: a watch has no deadline, and a stream's requests are counted one by one.
      WatchCall({"WatchReservation", kRead, kInline, kYes}, to.watch),
      WatchClaimCall({"WatchClaim", kRead, kInline, kYes}, to.watch, to.claim),
      StreamCall({"StreamReservations", kPay, kInline, kYes}, {to.reservation, to.cart, to.change, to.visitors},
                 streams, stream_options),
  };
}

ReservationServiceImpl::ReservationServiceImpl(const ReservationHandlers& handlers, const CallFrame& frame,
                                               ReservationStreamOptions stream_options)
    : clock_(frame.clock),
      streams_(stream_options.limits),
      service_(*v1::CreateReservationRequest::descriptor()->file()->FindServiceByName("ReservationService"), frame,
               ReservationCalls(handlers, &streams_, stream_options)) {}

}  // namespace tranche::server
