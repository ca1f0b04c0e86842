// Between the client's plain values and the messages of tranche.v1.
#pragma once

#include "tranche/reservation.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::internal {

// `request` must have its reservation id.
tranche::v1::CreateReservationRequest ToProto(CreateReservation request);
Reservation FromProto(const tranche::v1::Reservation& message, bool replayed);

}  // namespace tranche::internal
