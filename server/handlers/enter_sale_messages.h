// EnterSale between the API's messages and the front door.
#pragma once

#include "absl/status/status.h"
#include "server/admission/front_door.h"
#include "server/admission/outside_checks.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

// OK, or INVALID_ARGUMENT with the field, by what front_door_service.proto says of each.
absl::Status CheckEnterSale(const v1::EnterSaleRequest& request);

// Of an entry that is not refused. `captcha`: whose site key buyers need; null: this node has none, and no entry asks
// for one.
v1::EnterSaleResponse ToEnterSaleResponse(const DoorEntry& entry, const CaptchaVerifier* captcha);

}  // namespace tranche::server
