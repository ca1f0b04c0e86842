// Converts draws between the ledger's types and the API's messages.
#pragma once

#include <string>

#include "storage/ledger/draw_ledger.h"
#include "tranche/v1/admin_service.pb.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

v1::Draw DrawToMessage(const storage::Draw& draw);
// "OPEN", "CLOSING", ...
std::string DrawStateName(storage::DrawState state);

v1::GetDrawEntryResponse::Outcome ToOutcome(storage::AwardOutcome outcome);
v1::DrawAward AwardToMessage(const storage::DrawAward& award);

}  // namespace tranche::server
