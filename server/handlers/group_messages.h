// Converts groups between the ledger's types and the API's messages, and checks the fields that name them.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/ledger/group_ledger.h"
#include "storage/uuid.h"
#include "tranche/v1/group_service.pb.h"

namespace tranche::server {

// If it forms, the message tells the time that is left at `now`.
void Fill(const storage::Group& group, absl::Time now, v1::Group* message);
void Fill(const storage::GroupOffer& offer, v1::GroupOffer* message);
// Without the payment: that is the reservation's.
void Fill(const storage::GroupMember& member, v1::GroupMember* message);

// The offer to make, checked against the API's limits. Errors name the field as in CreateGroupOfferRequest.
absl::StatusOr<storage::GroupOffer> OfferOf(const v1::GroupOffer& message);

v1::GroupState ToState(storage::GroupState state);
// nullopt if it is not a state.
std::optional<storage::GroupState> StateOf(v1::GroupState state);
// "FORMING", "FILLED", ...
std::string StateName(storage::GroupState state);

// FIELD_INVALID unless it is a UUID, and not the nil one.
absl::StatusOr<storage::Uuid> CheckGroupId(const std::string& text);
// FIELD_INVALID about the field of this name.
absl::Status CheckOfferId(absl::string_view offer_id, absl::string_view field = "offer_id");

absl::Status GroupNotFound(const storage::Uuid& id);

}  // namespace tranche::server
