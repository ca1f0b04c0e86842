#include "server/services/stream_item.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "server/errors.h"
#include "server/proto_time.h"

namespace tranche::server {
namespace {

using v1::StreamReservationsItem;
using v1::StreamReservationsResult;

absl::StatusOr<absl::Time> DeadlineOfItem(const CallFrame& frame, const StreamReservationsItem& item) {
  std::optional<absl::Duration> timeout = absl::InfiniteDuration();
  if (item.has_timeout()) timeout = FromDuration(item.timeout());
  if (!timeout.has_value() || *timeout <= absl::ZeroDuration()) {
    return FieldError(v1::ERROR_REASON_FIELD_INVALID, "timeout", "must be a positive duration");
  }
  const absl::Time now = frame.clock->Now();
  return EffectiveDeadline(*frame.deadlines, now + *timeout, now);
}

// What a handler calls that answers with the message of its unary call; `slot` is where that goes.
template <typename Response>
auto Answering(const CallFrame& frame, CallKind kind, absl::Time deadline,
               Response* (StreamReservationsResult::*slot)(), ItemDone done) {
  const OpenCall call = frame.open_calls->Begin(kind, deadline);
  return [&frame, call, slot, done = std::move(done)](absl::StatusOr<Response> answer) mutable {
    frame.open_calls->End(call);
    if (!answer.ok()) return done(answer.status());
    StreamReservationsResult result;
    *(result.*slot)() = *std::move(answer);
    done(std::move(result));
  };
}

void ServeClaim(ReservationHandler* handler, const CallFrame& frame, const v1::CreateReservationRequest& request,
                absl::Time deadline, ItemDone done, std::string buyer_address) {
  const OpenCall call = frame.open_calls->Begin(CallKind::kReservation, deadline);
  handler->Create(
      request, deadline,
      [handler, &frame, call, done = std::move(done)](const absl::StatusOr<Accepted>& accepted) mutable {
        frame.open_calls->End(call);
        if (!accepted.ok()) return done(accepted.status());
        StreamReservationsResult result;
        handler->Fill(*accepted, result.mutable_created());
        done(std::move(result));
      },
      std::move(buyer_address));
}

}  // namespace

int64_t RoomOf(const StreamReservationsItem& item) {
  switch (item.request_case()) {
    case StreamReservationsItem::kCreateCart:
      return std::clamp<int64_t>(item.create_cart().lines_size(), 1, kMostRoom);
    case StreamReservationsItem::kConfirm:
      return 2;  // the reservation, and the one that was booked instead
    default:
      return 1;
  }
}

bool IsChange(const StreamReservationsItem& item) { return item.has_confirm() || item.has_cancel(); }

void ServeItem(const StreamHandlers& handlers, const CallFrame& frame, const StreamReservationsItem& item,
               ItemDone done, const std::string& of_call) {
  const absl::StatusOr<absl::Time> deadline = DeadlineOfItem(frame, item);
  if (!deadline.ok()) return done(deadline.status());
  switch (item.request_case()) {
    case StreamReservationsItem::kCreate:
      return ServeClaim(handlers.reservation, frame, item.create(), *deadline, std::move(done),
                        handlers.visitors.OfRequest(item.create().buyer_address(), of_call));
    case StreamReservationsItem::kCreateCart:
      return handlers.cart->Create(item.create_cart(), *deadline,
                                   Answering(frame, CallKind::kCart, *deadline,
                                             &StreamReservationsResult::mutable_cart_created, std::move(done)),
                                   handlers.visitors.OfRequest(item.create_cart().buyer_address(), of_call));
    case StreamReservationsItem::kConfirm:
      return handlers.change->Confirm(item.confirm(), *deadline,
                                      Answering(frame, CallKind::kConfirm, *deadline,
                                                &StreamReservationsResult::mutable_confirmed, std::move(done)));
    case StreamReservationsItem::kCancel:
      return handlers.change->Cancel(item.cancel(), *deadline,
                                     Answering(frame, CallKind::kCancel, *deadline,
                                               &StreamReservationsResult::mutable_cancelled, std::move(done)));
    case StreamReservationsItem::REQUEST_NOT_SET:
      break;
  }
  done(InvalidField("request", "is missing, or of a kind that is newer than this node"));
}

}  // namespace tranche::server
