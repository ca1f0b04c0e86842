// Shows SKUs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/ctl/session.h"

namespace tranche::ctl {

void PrintSkus(Session& session, const std::vector<tranche::v1::Sku>& skus);
void PrintSku(Session& session, const tranche::v1::Sku& sku);

struct SkuChangeNotes {
  bool preview = false;
  // The flags to put after --yes.
  std::string more_flags = {};
  // More members of the JSON object.
  nlohmann::ordered_json more = nlohmann::ordered_json::object();
};
// What a change would do or has done: `before` and `after`, and for a preview, how to apply it (on stderr).
void PrintSkuChange(Session& session, const tranche::v1::Sku& before, const tranche::v1::Sku& after,
                    const SkuChangeNotes& notes);
// The same for a change of the terms: what is different, field by field.
void PrintSkuTermsChange(Session& session, const tranche::v1::Sku& before, const tranche::v1::Sku& after,
                         const SkuChangeNotes& notes);

}  // namespace tranche::ctl
