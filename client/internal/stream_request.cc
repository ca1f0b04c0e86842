#include "client/internal/stream_request.h"

#include <algorithm>
#include <cstddef>

#include "client/internal/claim_wait.h"
#include "client/internal/convert.h"

namespace tranche::internal {

int WindowRoom(const CreateCart& cart) {
  // A node takes no larger ones: it answers them at once.
  constexpr size_t kMostLines = 32;
  return static_cast<int>(std::clamp<size_t>(cart.lines.size(), 1, kMostLines));
}

void CreateOnStream::Write(tranche::v1::StreamReservationsItem* item) const {
  *item->mutable_create() = ToProto(request_);
}

void CreateOnStream::Deliver(const tranche::v1::StreamReservationsResult& result) {
  callback_(FromProto(result.created().reservation(), result.created().replayed()));
}

void CreateOnStream::AwaitDecision(CallEnvironment& environment, const tranche::v1::StreamReservationsResult& result,
                                   StreamWindow* window) {
  internal::AwaitDecision(environment, request_.reservation_id, FromProto(result.created().queued()),
                          {request_.decide_within, std::move(request_.on_queued)},
                          TellingOfDecision(window, std::move(callback_)));
}

void CreateOnStream::ContinueAsCall(Connection& connection, const CallStart& start, StreamWindow* window) {
  Callback callback = TellingOf(request_, window, std::move(callback_));
  connection.CreateBefore(deadline(), std::move(request_), std::move(callback), start);
}

void CartOnStream::Write(tranche::v1::StreamReservationsItem* item) const {
  *item->mutable_create_cart() = ToProto(cart_);
}

void CartOnStream::Deliver(const tranche::v1::StreamReservationsResult& result) {
  callback_(FromProto(result.cart_created()));
}

void CartOnStream::AwaitDecision(CallEnvironment& environment, const tranche::v1::StreamReservationsResult& result,
                                 StreamWindow* window) {
  internal::AwaitDecision(environment, cart_.lines.front().reservation_id, FromProto(result.cart_created().queued()),
                          {cart_.decide_within, std::move(cart_.on_queued)},
                          TellingOfDecision(window, std::move(callback_)));
}

void CartOnStream::ContinueAsCall(Connection& connection, const CallStart& start, StreamWindow* window) {
  Callback callback = TellingOf(cart_, window, std::move(callback_));
  connection.CreateCartBefore(deadline(), std::move(cart_), std::move(callback), start);
}

void ConfirmOnStream::Write(tranche::v1::StreamReservationsItem* item) const {
  *item->mutable_confirm() = ToProto(change_);
}

void ConfirmOnStream::Deliver(const tranche::v1::StreamReservationsResult& result) {
  callback_(FromProto(result.confirmed()));
}

void ConfirmOnStream::ContinueAsCall(Connection& connection, const CallStart& start, StreamWindow* window) {
  connection.ConfirmBefore(deadline(), std::move(change_), Telling(window, std::move(callback_)), start);
}

void CancelOnStream::Write(tranche::v1::StreamReservationsItem* item) const {
  *item->mutable_cancel() = ToProto(change_);
}

void CancelOnStream::Deliver(const tranche::v1::StreamReservationsResult& result) {
  callback_(FromProto(result.cancelled()));
}

void CancelOnStream::ContinueAsCall(Connection& connection, const CallStart& start, StreamWindow* window) {
  connection.CancelBefore(deadline(), std::move(change_), Telling(window, std::move(callback_)), start);
}

}  // namespace tranche::internal
