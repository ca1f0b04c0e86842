#include "tranche/reservation_stream.h"

#include <utility>

#include "client/internal/stream_session.h"

namespace tranche {

ReservationStream::ReservationStream(std::shared_ptr<internal::StreamSession> session) : session_(std::move(session)) {}

ReservationStream::~ReservationStream() { session_->Close(); }

void ReservationStream::Create(CreateReservation request, Callback callback) {
  session_->Create(std::move(request), std::move(callback));
}

bool ReservationStream::TryCreate(CreateReservation& request, Callback& callback) {
  return session_->TryCreate(request, callback);
}

void ReservationStream::CreateCart(tranche::CreateCart cart, CartCallback callback) {
  session_->CreateCart(std::move(cart), std::move(callback));
}

void ReservationStream::Confirm(ConfirmReservation change, ConfirmCallback callback) {
  session_->Confirm(std::move(change), std::move(callback));
}

void ReservationStream::Cancel(CancelReservation change, Callback callback) {
  session_->Cancel(std::move(change), std::move(callback));
}

void ReservationStream::Close() { session_->Close(); }

}  // namespace tranche
