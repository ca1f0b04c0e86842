// Converts the front door's policies from the ledger's type to the API's messages.
#pragma once

#include "storage/ledger/front_ledger.h"
#include "tranche/v1/admin_service.pb.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

// For operators and for buyers. Its key only if it has ended: before, whoever knows it knows everybody's rank, and who
// may choose user ids could choose good ones.
v1::LotteryRound RoundToMessage(const storage::LotteryRound& round);

// Of a policy that is not removed. If this version cannot read it, says why instead of showing a part of it.
v1::StoredFrontPolicy PolicyToMessage(const storage::FrontPolicyRow& row);

}  // namespace tranche::server
