// Converts between the client's plain values and the messages of tranche.v1.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "tranche/draw.h"
#include "tranche/front_door.h"
#include "tranche/group.h"
#include "tranche/reservation.h"
#include "tranche/sku.h"
#include "tranche/v1/catalog_service.pb.h"
#include "tranche/v1/front_door_service.pb.h"
#include "tranche/v1/group_service.pb.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::internal {

// `request` must have its reservation id.
tranche::v1::CreateReservationRequest ToProto(CreateReservation request);
// The lines must have their ids.
tranche::v1::CreateReservationsRequest ToProto(CreateCart cart);
tranche::v1::ConfirmReservationRequest ToProto(ConfirmReservation change);
tranche::v1::CancelReservationRequest ToProto(CancelReservation change);
tranche::v1::ExtendReservationRequest ToProto(const ExtendReservation& change);
tranche::v1::ListReservationsRequest ToProto(ListReservations query);
tranche::v1::CatalogServiceListSkusRequest ToProto(ListSkus query);
tranche::v1::EnterSaleRequest ToProto(EnterSale request);
tranche::v1::EnterDrawRequest ToProto(EnterDraw request);
tranche::v1::GetDrawEntryRequest ToProto(GetDrawEntry query);
// The requests must have their ids.
tranche::v1::OpenGroupRequest ToProto(OpenGroup request);
tranche::v1::JoinGroupRequest ToProto(JoinGroup request);
tranche::v1::LeaveGroupRequest ToProto(LeaveGroup change);
tranche::v1::GetGroupRequest ToProto(GetGroup query);
tranche::v1::ListGroupsRequest ToProto(ListGroups query);

Reservation FromProto(const tranche::v1::Reservation& message, bool replayed);
Cart FromProto(const tranche::v1::CreateReservationsResponse& message);
QueuedClaim FromProto(const tranche::v1::QueuedClaim& message);
// INTERNAL for an outcome that this version does not know.
absl::StatusOr<ClaimOutcome> FromProto(const tranche::v1::GetClaimResponse& message);
Confirmation FromProto(const tranche::v1::ConfirmReservationResponse& message);
Reservation FromProto(const tranche::v1::CancelReservationResponse& message);
Reservation FromProto(const tranche::v1::ExtendReservationResponse& message);
ReservationPage FromProto(const tranche::v1::ListReservationsResponse& message);
std::vector<Reservation> FromProto(const tranche::v1::BatchGetReservationsResponse& message);
Sku FromProto(const tranche::v1::CatalogServiceGetSkuResponse& message);
SkuPage FromProto(const tranche::v1::CatalogServiceListSkusResponse& message);
SaleEntry FromProto(const tranche::v1::EnterSaleResponse& message);
EnteredDraw FromProto(const tranche::v1::EnterDrawResponse& message);
DrawEntry FromProto(const tranche::v1::GetDrawEntryResponse& message);
Group FromProto(const tranche::v1::Group& message);
Reservation FromProto(const tranche::v1::LeaveGroupResponse& message);
GroupWithMembers FromProto(const tranche::v1::GetGroupResponse& message);
GroupPage FromProto(const tranche::v1::ListGroupsResponse& message);
std::vector<GroupOffer> FromProto(const tranche::v1::ListGroupOffersResponse& message);

}  // namespace tranche::internal
