// Showing who holds how much of a SKU.
#pragma once

#include "client/ctl/session.h"

namespace tranche::ctl {

void PrintQuota(Session& session, const tranche::v1::Quota& quota);
void PrintQuotaChange(Session& session, const tranche::v1::Quota& before, const tranche::v1::Quota& after,
                      bool preview);

}  // namespace tranche::ctl
