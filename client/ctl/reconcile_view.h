// The sums of a reconciliation, for people and for programs.
#pragma once

#include <nlohmann/json.hpp>

#include "client/ctl/session.h"
#include "client/reconcile/totals.h"

namespace tranche::ctl {

void PrintReconcileTotals(Session& session, const reconcile::Totals& totals);
// Numbers are strings, as in all JSON of this tool.
nlohmann::ordered_json ReconcileTotalsJson(const reconcile::Totals& totals);

}  // namespace tranche::ctl
