#include "client/internal/stream_request.h"

#include <algorithm>
#include <cstddef>

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

void CreateOnStream::ContinueAsCall(Connection& connection, const CallStart& start, StreamWindow* window) {
  connection.CreateBefore(deadline(), std::move(request_), Telling(window, std::move(callback_)), start);
}

void CartOnStream::Write(tranche::v1::StreamReservationsItem* item) const {
  *item->mutable_create_cart() = ToProto(cart_);
}

void CartOnStream::Deliver(const tranche::v1::StreamReservationsResult& result) {
  callback_(FromProto(result.cart_created()));
}

void CartOnStream::ContinueAsCall(Connection& connection, const CallStart& start, StreamWindow* window) {
  connection.CreateCartBefore(deadline(), std::move(cart_), Telling(window, std::move(callback_)), start);
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
