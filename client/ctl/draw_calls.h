// What the commands about draws ask of the cluster.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "client/ctl/session.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::ctl {

// This draw of the SKU, with an exact count of its entries. 0: the newest one. kNotFound if there is none, with what to
// do in the message.
absl::StatusOr<tranche::v1::Draw> FindDraw(Session& session, const std::string& sku_id, int64_t number);

// Asks about the draw until `goes_on` no longer holds of it, and returns it as it is then. Says on stderr how far it
// is. While the cluster does not answer, it asks again; any other error ends it. Waits without a limit.
absl::StatusOr<tranche::v1::Draw> AwaitDraw(Session& session, const tranche::v1::Draw& draw,
                                            absl::FunctionRef<bool(const tranche::v1::Draw&)> goes_on);

}  // namespace tranche::ctl
