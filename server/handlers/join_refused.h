// Why a group was not joined.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "quota/sale/sale_result.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::server {

// RefusalError of a claim that joins a group, with what the API promises to tell of group and offer.
absl::Status JoinRefused(const quota::Refused& refused, const std::string& sku_id, const storage::GroupJoin& join);

}  // namespace tranche::server
