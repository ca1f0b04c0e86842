// Shows who holds how much of a SKU.
#pragma once

#include <nlohmann/json.hpp>

#include "client/ctl/session.h"

namespace tranche::ctl {

enum class JsonForm { kIndented, kOneLine };

void PrintQuota(Session& session, const tranche::v1::Quota& quota, JsonForm form = JsonForm::kIndented);
// `more`: further members of the JSON object.
void PrintQuotaChange(Session& session, const tranche::v1::Quota& before, const tranche::v1::Quota& after, bool preview,
                      const nlohmann::ordered_json& more = nlohmann::ordered_json::object());

}  // namespace tranche::ctl
