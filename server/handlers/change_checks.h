// Checks requests to change a reservation against the API's limits.
#pragma once

#include "absl/status/statusor.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// The change that is requested, or an error about the field that is wrong.
absl::StatusOr<storage::Payment> ToChange(const v1::ConfirmReservationRequest& request);
absl::StatusOr<storage::Cancellation> ToChange(const v1::CancelReservationRequest& request);
absl::StatusOr<storage::Extension> ToChange(const v1::ExtendReservationRequest& request);

}  // namespace tranche::server
