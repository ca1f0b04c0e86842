// Showing SKUs.
#pragma once

#include <vector>

#include "client/ctl/session.h"

namespace tranche::ctl {

void PrintSkus(Session& session, const std::vector<tranche::v1::Sku>& skus);
void PrintSku(Session& session, const tranche::v1::Sku& sku);
// What a change would do or has done: `before` and `after`, and when `preview`, how to apply it (on stderr).
void PrintSkuChange(Session& session, const tranche::v1::Sku& before, const tranche::v1::Sku& after, bool preview);

}  // namespace tranche::ctl
